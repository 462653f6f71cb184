"""A definition is refused with every problem at its line, and a hostile one without harm."""

import json
import time

import pytest

from intellirouter.chains import expr
from intellirouter.chains.check import Known, check
from intellirouter.chains.plan import RecursiveChain, bundle, width
from intellirouter.chains.source import InvalidChain, read
from tests.chains.offline import SUPPORT, chain

HEAD = "chain: {name: t}\n"

PROBLEMS = {
    "unknown key": ("steps:\n  - id: a\n    lmm: {model: m}\n", ":3", "exactly one kind|lmm"),
    "two kinds": ("steps:\n  - {id: a, sleep: 1, set: {a: '1'}}\n", ":3", "exactly one kind"),
    "no steps": ("steps: []\n", ":2", "non-empty"),
    "steps in a word": ("steps: hello\n", ":2", "a list, in YAML with '- '"),
    "a step in a word": ("steps: [hello]\n", ":2", "It has id and perhaps when, .*llm"),
    "a kind in a word": ("steps: [{id: a, llm: hi}]\n", ":2", "it has model and perhaps .*prompt"),
    "inputs in a list": ("input: [a]\nsteps: [{id: a, sleep: 1}]\n", ":2", "names with a type"),
    "a number without end": ("steps: [{id: a, sleep: 1" + "0" * 5_000 + "}]\n", ":2", "not of a form"),
    "loop without max": ("steps:\n  - {id: a, loop: {until: 'true'}, do: [{id: b, sleep: 1}]}\n", ":3", "'max' is a required"),
    "loop without a body": ("steps:\n  - {id: a, loop: {max: 3}}\n", ":3", "needs a 'do'"),
    "unknown step": ("steps:\n  - {id: a, set: {x: steps.b.y}}\n", ":3", "No step 'b'"),
    "a later step": ("steps:\n  - {id: a, set: {x: steps.b}}\n  - {id: b, set: {x: '1'}}\n", ":3", "No step 'b'"),
    "unknown name": ("steps:\n  - {id: a, set: {x: nothing}}\n", ":3", "no 'nothing'"),
    "bad expression": ("steps:\n  - {id: a, set: {x: '1 +'}}\n", ":3", "1 \\+"),
    "an input that is not there": ("input: {question: {type: string}}\nsteps:\n  - {id: a, set: {x: input.qestion}}\n", ":4", "Did you mean 'question'"),
    "an input in a template": ("steps:\n  - {id: a, llm: {model: gpt-4, prompt: 'Hi {{ input.who }}'}}\n", ":3", "no input 'who'"),
    "braces in an expression": ("steps:\n  - {id: a, when: '{{ true }}', sleep: 1}\n", ":3", "without {{ }}"),
    "same id": ("steps:\n  - {id: a, sleep: 1}\n  - {id: a, sleep: 1}\n", ":4", "twice"),
    "same key": ("steps:\n  - {id: a, sleep: 1, sleep: 2}\n", ":3", "twice"),
    "bad duration": ("steps:\n  - {id: a, sleep: soon}\n", ":3", "Seconds, or a number"),
    "longer than there are dates": ("steps:\n  - {id: a, wait: {signal: s, timeout: 9999999d}}\n", ":3", "not of a form"),
    "more seconds than that": ("steps:\n  - {id: a, timeout: 1e11, llm: {model: gpt-4, prompt: x}}\n", ":3", "Seconds, or a number"),
    "wait beside others": ("steps:\n  - {id: a, parallel: [{do: [{id: w, wait: {signal: s}}]}]}\n", ":3", "cannot stand"),
    "unknown model": ("steps:\n  - {id: a, llm: {model: gtp-4, prompt: x}}\n", ":3", "Did you mean 'gpt-4'"),
    "a cost of what costs nothing": ("steps:\n  - {id: a, http: {url: 'http://x'}, limits: {cost: 1}}\n", ":3", "asks no model"),
    "one thing at a time": ("steps:\n  - {id: a, set: {x: '1'}, limits: {parallelism: 2}}\n", ":3", "one thing at a time"),
    "said twice": ("steps:\n  - {id: a, map: {over: '[1]', as: m, max_items: 1, max_parallel: 2}, limits: {parallelism: 2}, do: [{id: b, sleep: 1}]}\n", ":3", "says it already"),
    "bytes of nothing": ("steps:\n  - {id: a, sleep: 1, limits: {bytes: 10}}\n", ":3", "gives nothing"),
    "more bytes than any": ("steps:\n  - {id: a, rag: {collection: c, query: q}, limits: {bytes: 5MB}}\n", ":3", "at most 4,000,000"),
    "no size": ("steps:\n  - {id: a, sleep: 1, limits: {bytes: big}}\n", ":3", "Bytes, or a number"),
    "unknown limit": ("steps:\n  - {id: a, sleep: 1, limits: {byte: 1}}\n", ":3", "Did you mean 'bytes'"),
    "a fallback's own cost": ("steps:\n  - {id: a, llm: {model: gpt-4, prompt: x}, fallback: {llm: {model: gpt-4, prompt: y}, limits: {cost: 1}}}\n", ":3", "together"),
}  # fmt: skip


@pytest.mark.parametrize("name", PROBLEMS)
def test_each_problem_is_told_with_its_line(name: str) -> None:
    text, line, words = PROBLEMS[name]
    with pytest.raises(InvalidChain, match=words) as caught:
        check(read(HEAD + text, "t.yaml"), Known(models=["gpt-4"]))
    assert f"t.yaml{line}" in caught.value.message


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        ("chain: letter\n", "t.yaml", "'letter' is not of type 'object'. .*it has name and perhaps version"),
        ("hello\n", "t.yaml", "It has chain, steps and perhaps input"),
        (f'{{"chain": {"1" * 5_000}}}', "t.json", "not valid"),
        (f"chain = {'1' * 5_000}", "t.toml", "not valid"),
    ],
)
def test_what_is_no_chain_at_all_is_told_what_one_is(text: str, name: str, words: str) -> None:
    with pytest.raises(InvalidChain, match=words):
        check(read(text, name))


def test_what_is_told_of_many_names_is_short() -> None:
    inputs = "".join(f"  number_{n}: {{type: string}}\n" for n in range(5_000))
    wanted = " ".join(f"{{{{ input.numbers_{n} }}}}" for n in range(90))
    with pytest.raises(InvalidChain, match="Did you mean 'number_") as caught:
        chain(f"{HEAD}input:\n{inputs}steps: [{{id: a, llm: {{model: m, prompt: '{wanted}'}}}}]\n")
    assert len(caught.value.message) < 20_000
    with pytest.raises(InvalidChain, match=r"Inputs: number_0, .* …\.$"):
        chain(f"{HEAD}input:\n{inputs}steps: [{{id: a, set: {{x: input.qqq}}}}]\n")


def test_all_problems_are_told_at_once() -> None:
    text = (
        HEAD + "steps:\n  - {id: a, set: {x: nope}}\n  - {id: b, set: {y: steps.z}}\noutput: {q: steps.c}\n"
    )
    with pytest.raises(InvalidChain) as caught:
        chain(text)
    assert [problem.where.rsplit(":")[-1] for problem in caught.value.problems] == ["3", "4", "5"]


def test_yaml_json_and_plain_data_say_the_same() -> None:
    made = chain(SUPPORT)
    assert check(read(json.dumps(made.document), "x.json")) == made
    assert width(made.steps[1]) == 21


def test_toml_is_read_with_lines() -> None:
    text = '[chain]\nname = "t"\n\n[[steps]]\nid = "a"\nsleep = "1s"\n\n[[steps]]\nid = "b"\nset = {x = "nope"}\n'
    with pytest.raises(InvalidChain, match=r"t.toml:(8|10)"):
        check(read(text, "t.toml"))


HOSTILE_DEFINITIONS = {
    "YAML bomb": "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
    "nested deep": "a: " + "[" * 5_000,
    "too long": "#" * 1_000_001,
    "10,000 steps": HEAD + "steps:\n" + "".join(f"  - {{id: s{n}, sleep: 1}}\n" for n in range(10_000)),
    "endless loops": HEAD
    + "steps: [{id: a, loop: {max: 1000}, do: [{id: b, loop: {max: 1000}, do: [{id: c, sleep: 1}]}]}]",
    "python tag": "a: !!python/object/apply:os.system ['true']\n",
    "not YAML": "a: [",
    "a list": "- 1\n",
}


@pytest.mark.parametrize("name", HOSTILE_DEFINITIONS)
def test_a_hostile_definition_is_refused_quickly(name: str) -> None:
    began = time.process_time()
    with pytest.raises(InvalidChain):
        chain(HOSTILE_DEFINITIONS[name])
    assert time.process_time() - began < 30  # bounded, not fast: the parser is pure Python


def test_chains_that_call_one_another_are_refused() -> None:
    text = "chain: {{name: {0}}}\nsteps: [{{id: a, chain: {{name: {1}}}}}]"
    library = {name: chain(text.format(name, other)) for name, other in (("a", "b"), ("b", "a"))}
    with pytest.raises(RecursiveChain, match="a → b → a"):
        bundle(library["a"], library)


BIG = "x" * 900_000
HOSTILE_TEMPLATES = (
    "{{ ''.__class__.__mro__ }}",
    "{{ input.__class__ }}",
    "{{ input['__init__'] }}",
    "{{ range(10) }}",
    "{{ input.keys() }}",
    "{{ 'a' * 1000000000 }}",
    "{{ [0] * 1000000000 }}",
    "{{ 9 ** 9 ** 9 }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ 'a'|center(1000000000) }}",
    "{{ input.big|replace('x', input.big) }}",
    "{{ input.big|list|join(input.big) }}",
    "{{ input.big + input.big }}",
    "{% for a in input.big %}{% for b in input.big %}{% endfor %}{% endfor %}",
    "{% for a in input.big %}{{ input.big }}{% endfor %}",
    "{% set a = input.big ~ input.big %}{{ a }}",
    "{% include 'x' %}",
    "{% macro m() %}{{ m() }}{% endmacro %}",
    "{{ " + " ~ ".join(["input.big"] * 100) + " }}",
    "{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}",
    "{{ cycler }}{{ lipsum }}{{ self }}",
)


@pytest.mark.parametrize("template", HOSTILE_TEMPLATES, ids=lambda text: text[:40])
def test_a_hostile_template_is_refused(template: str) -> None:
    with pytest.raises(expr.BadExpression):
        expr.render(template, {"input": {"big": BIG}})


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("input.n * 2 + 1", 7),
        ("input.items|length", 2),
        ("input.keys", "an entry"),
        ("input.gone.deeper", None),
        ("input.items|map(attribute='v')|list", [1, 2]),
        ("input.items[0].v == 1 and 'a' in ['a']", True),
        ("'yes' if input.n > 2 else 'no'", "yes"),
        ("{'a': [input.n]}", {"a": [3]}),
        ("'http://h/?q=' ~ ('a&b=ü #1/'|urlencode)", "http://h/?q=a%26b%3D%C3%BC%20%231%2F"),
        ("{'q': 'a b', 'n': input.n}|urlencode", "q=a%20b&n=3"),
    ],
)
def test_expressions_give_plain_values(source: str, value: object) -> None:
    names = {"input": {"n": 3, "items": [{"v": 1}, {"v": 2}], "keys": "an entry", "gone": None}}
    assert expr.evaluate(source, names) == value


def test_an_unknown_key_is_an_error_and_not_an_empty_text() -> None:
    with pytest.raises(expr.BadExpression, match="typo"):
        expr.render("{{ input.typo }}", {"input": {}})


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("1 / 0", "divides by zero"),
        ("'a' + 1", "a text and a number.*~"),
        ("input.none * 2", "null and a number"),
        ("[1] - {}", "a list and an object"),
        ("1e300 * 1e300", "below 1e30"),
        ("input.typo", "the object has no 'typo'"),
    ],
)
def test_an_expression_that_fails_says_why_in_the_words_of_a_definition(source: str, said: str) -> None:
    with pytest.raises(expr.BadExpression, match=said):
        expr.evaluate(source, {"input": {"none": None}})


def test_an_item_called_input_is_no_input_of_the_chain() -> None:
    body = "{over: '[{\"a\": 1}]', as: input, max_items: 2}"
    chain(HEAD + f"steps:\n  - {{id: m, map: {body}, do: [{{id: s, set: {{v: input.a}}}}]}}\n")
