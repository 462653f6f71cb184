"""Documents and expressions of strangers: each ends, and soon, with words that say why. Work is counted, so no clock is asked."""

from __future__ import annotations

from typing import Any

import pytest

from intellirouter.bounds import patterns, schemas, values
from intellirouter.bounds.fuel import OutOfFuel, tank
from intellirouter.bounds.schemas import BadSchema
from intellirouter.bounds.values import reading
from intellirouter.chains import expr
from intellirouter.chains.check import check
from intellirouter.chains.source import Document, InvalidChain, read
from intellirouter.errors import InvalidRequest

BIG = list(range(20_000))
TEXT = "x" * 900_000
DAG: Any = ["x"]
for _ in range(40):
    DAG = [DAG, DAG]
NAMES = {"big": BIG, "text": TEXT, "dag": DAG, "objects": [{"a": n, "b": [n] * 5} for n in range(20_000)]}

TOO_MUCH = [
    "text" + " ~ text" * 60,
    "dag|tojson", "dag == dag", "dag in [dag]", "dag is eq dag", "[dag]|sort", "dag|join", "[dag, dag]",
    "1|round(100000000, 'ceil')",
    "text|trim(text)",
    "text|replace('x', text)",
    "text|list|join(text)",
    "big|select('in', big)|list",
    "objects|map(attribute='" + "a." * 50_000 + "')|list",
    "text * 1000",
    "[text, text, text, text, text]",
    "objects|map('tojson')|join|length",
    "'%1000000000d'|format(1)",
    "(" * 3_000 + "1" + ")" * 3_000,
    "[" * 900 + "]" * 900,
    "-" * 5_000 + "1",
]  # fmt: skip
TEMPLATES_TOO_MUCH = [
    "{% for x in big+big %}{{ (big+big)|sort|sum }}{% endfor %}",
    "{% for x in big %}{{ text[0:800000]|length }}{% endfor %}",
    "{% for x in big %}{{ text == text|lower }}{% endfor %}",
    "{% for x in big %}{{ text }}{% endfor %}",
    "{{ " * 3_000,
    "{# " * 100_000,
    "{% if 1 %}" * 2_000 + "{% endif %}" * 2_000,
]


@pytest.mark.parametrize("source", TOO_MUCH, ids=lambda text: text[:40])
def test_an_expression_that_grows_without_end_is_refused(source: str) -> None:
    with pytest.raises(expr.BadExpression):
        expr.evaluate(source, NAMES)


@pytest.mark.parametrize("source", TEMPLATES_TOO_MUCH, ids=lambda text: text[:40])
def test_a_template_that_grows_without_end_is_refused(source: str) -> None:
    with pytest.raises(expr.BadExpression):
        expr.render(source, NAMES)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("big|length", 20_000),
        ("big|sort(reverse=true)|first", 19_999),
        ("big|unique|list|length", 20_000),
        ("big|min + big|max", 19_999),
        ("big|sum", 199_990_000),
        ("[[1, 2], [3]]|sum(start=[])", [1, 2, 3]),
        ("[{'a': 1}, {'a': 2}]|sum(attribute='a')", 3),
        ("objects|selectattr('a', 'lt', 2)|map(attribute='b')|first", [0] * 5),
        ("big[::2]|length", 10_000),
        ("big[-1]", 19_999),
        ("text[1:4]", "xxx"),
        ("'a' ~ 1 ~ [1]", "a1[1]"),
        ("{'b': 1, 'a': 2}|dictsort", [["a", 2], ["b", 1]]),
        ("1 < 2 < 3 and 2 in [1, 2] and 'b' not in 'ac'", True),
        ("2.567|round(1)", 2.6),
        ("' x '|trim ~ '-x-'|trim('-')", "xx"),
        ("'ab'|list", ["a", "b"]),
    ],
)
def test_what_people_write_works(source: str, value: Any) -> None:
    assert expr.evaluate(source, NAMES) == value


@pytest.mark.parametrize(
    "source",
    [
        "{% for x in big %}{% if x %}{% endif %}{% endfor %}",
        "{{ text == text|default }}",
        "{{ (text ~ text)|length }}",
        "{{ text[1:]|length }}",
    ],
)
def test_what_loops_compares_or_copies_costs_by_its_size(source: str) -> None:
    with tank(20_000), pytest.raises(expr.TooMuchWork):
        expr.render(source, NAMES)
    with tank(20_000):
        expr.render(source, {"big": [1], "text": "x"})


def test_doubling_over_steps_ends_at_the_size_of_one_value() -> None:
    value: Any = ["a" * 1_000]
    with pytest.raises(expr.BadExpression, match="grew past"):
        for _ in range(60):
            value = expr.evaluate("[x, x]", {"x": value})


def test_the_same_work_ends_at_the_same_place_every_time() -> None:
    left = set()
    for _ in range(3):
        with tank(10_000_000) as fuel:
            expr.render("{% for x in big %}{{ loop.index }}{% endfor %}", NAMES)
            left.add(fuel.left)
    assert len(left) == 1


def deep(levels: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(levels):
        found = {"not": found}
    return found


def test_a_schema_of_many_levels_is_taken() -> None:
    schemas.schema(deep(60))


@pytest.mark.parametrize("value", ["a" * 1_000, ["abc"] * 10, {"a": {"b": [1, 2.0, None]}}, 7])
def test_to_read_a_value_again_costs_as_much_again(value: Any) -> None:
    def spent(times: int) -> int:
        with tank(10_000) as fuel:
            reading(value, times)
            return 10_000 - fuel.left

    assert spent(3) == 3 * spent(1)


REFUSED_SCHEMAS: list[tuple[Any, str]] = [
    ({"$ref": "http://127.0.0.1:9/x"}, "nothing is fetched"),
    ({"$ref": "file:///etc/passwd"}, "nothing is fetched"),
    ({"$ref": "other.json"}, "nothing is fetched"),
    ({"$dynamicRef": "https://a/b#c"}, "nothing is fetched"),
    ({"$id": "http://a/b/", "$ref": "c"}, "nothing is fetched"),
    ({"$ref": "https://json-schema.org/draft/2020-12/schema"}, "nothing is fetched"),
    ({"properties": {"x": {"items": {"$ref": "ftp://h/x"}}}}, "properties/x/items/$ref"),
    ({"$ref": "#/nowhere"}, "leads nowhere"),
    ({"properties": {"x": {"pattern": "(?=a)"}}}, "properties/x/pattern"),
    ({"pattern": r"(a)\1"}, "pattern"),
    ({"patternProperties": {"(?<!a)b": {}}}, "patternProperties"),
    ({"properties": {"x": {"$schema": "http://json-schema.org/draft-07/schema#"}}}, "at the root only"),
    ({"type": "nonsense"}, "no JSON Schema"),
    ({"enum": ["x" * 300_000]}, "at most"),
    (deep(66), "64 deep"),
    ([], "an object"),
    ({"allOf": [{"$ref": "#"}]}, ""),
]


@pytest.mark.parametrize(("document", "words"), REFUSED_SCHEMAS, ids=lambda each: str(each)[:40])
def test_a_schema_that_leaves_its_document_is_refused(document: Any, words: str) -> None:
    with pytest.raises(BadSchema, match=words.replace("$", r"\$") or None):
        schemas.schema(document).complaint([1])


def bomb() -> dict[str, Any]:
    levels = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)}
    return {"$ref": "#/$defs/d0", "$defs": {**levels, "d40": {"type": "string"}}}


@pytest.mark.parametrize(
    ("document", "value"),
    [
        (bomb(), "x"),
        ({"items": True}, [1] * 500_000),
        ({"anyOf": [{"type": "string"}] * 2_000}, ["x" * 100] * 10_000),
        ({"type": "array"}, DAG),
    ],
    ids=["exponential", "many", "quoted", "shared"],
)
def test_judging_ends(document: Any, value: Any) -> None:
    with pytest.raises((OutOfFuel, values.TooLarge)):
        schemas.schema(document).complaint(value)


@pytest.mark.parametrize(
    ("document", "good", "bad"),
    [
        ({"pattern": "^(a|a)*$"}, "a" * 100_000, "a" * 100_000 + "!"),
        ({"pattern": r"^\u00e4\/$"}, "ä/", "a/"),
        ({"uniqueItems": True}, [1, True, "1", {"a": 1}], [1, 1.0]),
        ({"additionalProperties": False, "properties": {"a": {}}}, {"a": 1}, {"b": 1}),
        ({"additionalProperties": {"type": "string"}, "patternProperties": {"^x": {"type": "integer"}}}, {"xa": 1, "b": ""}, {"b": 1}),
        ({"$schema": "https://json-schema.org/draft/2020-12/schema", "$ref": "#/$defs/t", "$defs": {"t": {"type": "string"}}}, "", 1),
        ({"$id": "http://a/b", "$ref": "#/$defs/x", "$defs": {"x": {"type": "string"}}}, "", 1),
        ({"type": "object", "properties": {"t": {"$ref": "#"}}}, {"t": {"t": {}}}, {"t": {"t": 1}}),
    ],
    ids=lambda each: str(each)[:40],
)  # fmt: skip
def test_schemas_that_people_write_judge_right(document: Any, good: Any, bad: Any) -> None:
    made = schemas.schema(document)
    assert made.complaint(good) is None
    assert made.complaint(bad) is not None


HEAD = "chain: {name: a}\nsteps:\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD + "".join(f"- {{id: s{n}, set: {{x: '1'}}}}\n" for n in range(2_000)), "at most 1,000"),
        (HEAD + "- {id: a, set: {x: '1'}}\n" * 900, "stands twice"),
        (HEAD + "".join(f"- {{id: s{n}, set: {{x: 'steps.no{n}'}}}}\n" for n in range(900)), "No step 'no1'"),
        ("".join(f"k{n}: 1\n" for n in range(80_000)), "not allowed"),
        ("[" * 100_000, "YAML"),
        ("[[]," * 100_000, "deep"),
        ("a: &a [1]\nb: *a\n", "aliases"),
        ("? [a]\n: 1\n", "key"),
        ("a: 1\n---\nb: 2\n", "more than one"),
        ("a: " + "x" * 1_000_001, "longer"),
        ("chain: {name: a}\ninput: {x: {type: string, $ref: 'http://x/y'}}\nsteps: [{id: a, set: {x: '1'}}]", "input.x"),
        (HEAD + "- {id: a, llm: {model: m, prompt: x, schema: {$ref: 'file:///x'}}}", "nothing is fetched"),
    ],
    ids=lambda text: text[:30],
)  # fmt: skip
def test_a_definition_that_is_too_much_is_told_its_place(text: str, words: str) -> None:
    with pytest.raises(InvalidChain) as refused:
        check(read(text))
    assert words in refused.value.message
    assert len(refused.value.problems) <= 100


def test_a_thousand_steps_hold() -> None:
    steps = [{"id": f"s{n}", "llm": {"model": "m", "prompt": "{{ input.a }}"}} for n in range(1_000)]
    chain = check(Document("x", {"chain": {"name": "a"}, "input": {"a": {"type": "string"}}, "steps": steps}))
    assert len(chain.steps) == 1_000


@pytest.mark.parametrize("pattern", ["(?=a)", r"(a)\1", "a{1001}", "(", "x" * 1_001, "\ud800"])
def test_a_pattern_that_is_not_linear_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidRequest):
        patterns.compiled(pattern)


def test_a_pattern_is_searched_in_texts_that_no_utf_8_has() -> None:
    assert patterns.found_in(patterns.compiled("^b", any_case=True), "B\ud800")
