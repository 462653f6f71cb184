"""Personas as files: read, inherited, rendered, versioned, taken back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from intellirouter.errors import Conflict, IntelliRouterError, InvalidRequest, NotFound
from intellirouter.peers.contract import ResolvedPersona
from intellirouter.roles.persona_layer.library import Library
from intellirouter.roles.persona_layer.resolver import resolve
from intellirouter.roles.persona_layer.source import InvalidPersona, parse

SHIPPED = {"analyst", "coder", "editor", "support", "translator", "tutor"}


def library(tmp_path: Path, **files: str) -> Library:
    for name, text in files.items():
        stem, _, extension = name.rpartition("_")
        (tmp_path / f"{stem}.{extension}").write_text(text)
    opened = Library(tmp_path)
    opened.open()
    return opened


def ready(shelf: Library, name: str, **variables: Any) -> ResolvedPersona:
    return resolve(shelf.get(name), variables, shelf.parts)


def test_the_shipped_personas_render_with_what_they_ask_for(tmp_path: Path) -> None:
    shelf = library(tmp_path)
    assert {entry.own.name for entry in shelf.entries()} == SHIPPED
    assert not shelf.problems
    given: dict[str, dict[str, Any]] = {"support": {"company": "Acme"}, "translator": {"target": "French"}}
    for name in SHIPPED:
        assert len(ready(shelf, name, **given.get(name, {})).messages[0].text) > 200
    assert "Acme" in ready(shelf, "support", company="Acme").messages[0].text
    assert ready(shelf, "tutor", locale="de").messages[0].text.startswith("Du hilfst")
    assert [message.role for message in ready(shelf, "translator", target="French").messages] == [
        "system",
        "user",
        "assistant",
    ]


FORMS = {
    "p_toml": 'prompt = "Hi {{ who }}"\ntags = ["a"]\n[variables.who]\ndefault = "you"\n',
    "p_md": '+++\ntags = ["a"]\n[variables.who]\ndefault = "you"\n+++\nHi {{ who }}\n',
    "q_md": "---\ntags: [a]\nvariables: {who: {default: you}}\n---\nHi {{ who }}\n",
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_of_file_says_the_same(tmp_path: Path, name: str) -> None:
    shelf = library(tmp_path, **{name: FORMS[name]})
    entry = shelf.get(name[0])
    assert entry.own.tags == ("a",)
    assert ready(shelf, name[0]).messages[0].text == "Hi you"
    assert ready(shelf, name[0], who="there").messages[0].text == "Hi there"


def test_a_child_inherits_what_it_does_not_say_and_parts_are_included(tmp_path: Path) -> None:
    shelf = library(
        tmp_path,
        base_toml='prompt = "Be kind."\nmodel = "smart"\ntags = ["x"]\ndefaults = {temperature = 0.1, top_p = 0.5}\n',
        child_toml='extends = "base"\nprompt = "{{ parent }} And {{ parts.style }}"\ndefaults = {temperature = 0.9}\n',
        _style_md="brief.",
    )
    resolved = ready(shelf, "child")
    assert resolved.messages[0].text == "Be kind. And brief."
    assert resolved.model == "smart"
    assert resolved.defaults == {"temperature": 0.9, "top_p": 0.5}


@pytest.mark.parametrize(
    ("files", "name", "words"),
    [
        ({"a_toml": 'extends = "b"', "b_toml": 'extends = "a"'}, "a", "extends itself"),
        ({"a_toml": 'extends = "gone"'}, "a", "does not exist"),
    ],
)
def test_a_broken_inheritance_concerns_only_who_inherits(
    tmp_path: Path, files: dict[str, str], name: str, words: str
) -> None:
    shelf = library(tmp_path, **files)
    with pytest.raises(InvalidPersona, match=words):
        shelf.get(name)
    shelf.get("analyst")


VARIABLES = """
prompt = "{{ n }} {{ s }}"
[variables.n]
type = "integer"
required = true
[variables.s]
choices = ["x", "y"]
default = "x"
max_length = 3
[variables.l]
type = "list"
max_length = 3
"""


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({}, "persona_variables.n"),
        ({"n": "1"}, "persona_variables.n"),
        ({"n": True}, "persona_variables.n"),
        ({"n": 1, "s": "z"}, "persona_variables.s"),
        ({"n": 1, "t": 1}, "persona_variables.t"),
        ({"n": 1, "l": ["long"]}, "persona_variables.l"),
        ({"n": 1, "l": [{}]}, "persona_variables.l"),
    ],
)
def test_a_variable_that_is_missing_or_wrong_is_named(
    tmp_path: Path, given: dict[str, Any], param: str
) -> None:
    shelf = library(tmp_path, p_toml=VARIABLES)
    with pytest.raises(InvalidRequest) as refused:
        ready(shelf, "p", **given)
    assert refused.value.param == param


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ who.__init__.__globals__ }}",
        "{{ self._TemplateReference__context }}",
        "{% include '/etc/passwd' %}",
        "{% for a in range(1000000000) %}x{% endfor %}",
        "{{ 'x' * 1000000000 }}",
        "{{ cycler.__init__ }}",
        "{% set x = 1 %}{{ x }}",
    ],
)
def test_a_template_cannot_escape_or_grow(tmp_path: Path, template: str) -> None:
    text = f"prompt = '''{template}'''\n[variables.who]\ndefault = \"x\"\n"
    shelf = library(tmp_path, p_toml=text)
    with pytest.raises(IntelliRouterError):
        ready(shelf, "p")


def test_what_a_user_gives_is_text_and_never_a_template(tmp_path: Path) -> None:
    shelf = library(tmp_path, p_toml='prompt = "Hi {{ who }}"\n[variables.who]\n')
    assert ready(shelf, "p", who="{{ 7 * 7 }}").messages[0].text == "Hi {{ 7 * 7 }}"


def test_every_change_is_a_version_and_any_version_comes_back(tmp_path: Path) -> None:
    shelf = library(tmp_path)
    assert shelf.write("p", 'prompt = "one"', ".toml", author="ann").version == 1
    assert shelf.write("p", 'prompt = "two"', ".toml", expected=1).version == 2
    with pytest.raises(Conflict):
        shelf.write("p", 'prompt = "lost"', ".toml", expected=1)
    (tmp_path / "p.toml").write_text('prompt = "three, by hand"')
    assert shelf.refresh()
    assert ready(shelf, "p").messages[0].text == "three, by hand"
    assert shelf.rollback("p", 1).version == 4
    again = Library(tmp_path)
    again.open()
    assert ready(again, "p").messages[0].text == "one"
    assert [(v.version, v.author) for v in again.history("p")] == [(1, "ann"), (2, ""), (3, ""), (4, "")]
    again.delete("p")
    with pytest.raises(NotFound):
        again.get("p")


def test_a_bad_file_is_reported_and_the_last_good_version_stays(tmp_path: Path) -> None:
    shelf = library(tmp_path, p_toml='prompt = "good"')
    (tmp_path / "p.toml").write_text("prompt = ")
    assert shelf.refresh()
    assert "not TOML" in shelf.problems["p"]
    assert ready(shelf, "p").messages[0].text == "good"


def test_one_that_ships_can_be_replaced_and_shows_again(tmp_path: Path) -> None:
    shelf = library(tmp_path)
    with pytest.raises(Conflict):
        shelf.delete("analyst")
    shelf.write("analyst", 'prompt = "mine"', ".toml")
    assert ready(shelf, "analyst").messages[0].text == "mine"
    shelf.delete("analyst")
    assert shelf.get("analyst").builtin


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('prompt = "Hi {{ who"', "prompt"),
        ('prompt = "Hi"\n[locales.de]\nprompt = "{% if %}"', r"locales\.de\.prompt"),
        ('prompt = "Hi"\nfew_shot = [{ user = "{{ x() }}", assistant = "a" }]', r"few_shot\.0\.user"),
    ],
)
def test_a_template_that_cannot_be_read_is_named_when_the_file_is(text: str, field: str) -> None:
    with pytest.raises(InvalidPersona, match=rf"persona 'x': {field}: "):
        parse(text, ".toml", "x")


def test_problems_of_a_file_are_named_all_at_once() -> None:
    with pytest.raises(InvalidPersona) as refused:
        parse('promt = "x"\ndefaults = {model = "x"}\n', ".toml", "p")
    assert "promt" in refused.value.message
    assert "cannot set model" in refused.value.message


BASE = 'prompt = "BASE"\n[guardrails]\nforbidden_topics = ["bombs"]\n[locales.de]\nprompt = "BASIS"\n'


def test_a_child_that_sets_a_rule_keeps_those_of_its_parent(tmp_path: Path) -> None:
    kid = 'extends = "base"\nprompt = "{{ parent }} KID"\n[guardrails]\nmax_length = 500\n'
    shelf = library(tmp_path, base_toml=BASE, kid_toml=kid)
    rules = ready(shelf, "kid").guardrails
    assert (rules["forbidden_topics"], rules["max_length"]) == (["bombs"], 500)


@pytest.mark.parametrize(
    ("locale", "said"),
    [
        ("de", "Hallo"),
        ("DE", "Hallo"),
        ("de-AT", "Hallo"),
        ("de_DE", "Hallo"),
        ("pt-br", "Olá"),
        ("pt", "Hello"),
        ("", "Hello"),
    ],
)
def test_a_language_is_found_as_clients_write_it(tmp_path: Path, locale: str, said: str) -> None:
    text = 'prompt = "Hello"\n[locales.de]\nprompt = "Hallo"\n[locales.pt-BR]\nprompt = "Olá"\n'
    assert ready(library(tmp_path, p_toml=text), "p", locale=locale).messages[0].text == said


def test_a_childs_own_prompt_stands_in_every_language_around_its_parents(tmp_path: Path) -> None:
    shelf = library(
        tmp_path,
        base_toml=BASE,
        kid_toml='extends = "base"\nprompt = "{{ parent }} KID"\n',
        heir_toml='extends = "base"\n',
    )
    assert ready(shelf, "kid", locale="de").messages[0].text.startswith("BASIS KID")
    assert ready(shelf, "heir", locale="de").messages[0].text.startswith("BASIS")


def test_what_is_extended_is_not_deleted_and_a_child_is_whole_again_when_it_comes_back(
    tmp_path: Path,
) -> None:
    shelf = library(tmp_path, base_toml=BASE, kid_toml='extends = "base"\n')
    with pytest.raises(Conflict, match="kid"):
        shelf.delete("base")
    (tmp_path / "base.toml").unlink()
    shelf.refresh()
    with pytest.raises(InvalidPersona, match="does not exist"):
        shelf.get("kid")
    shelf.write("base", BASE, ".toml")
    assert ready(shelf, "kid").messages[0].text.startswith("BASE")
    assert not shelf.problems


def test_what_is_wrong_with_a_file_is_told_until_it_is_mended(tmp_path: Path) -> None:
    shelf = library(tmp_path, base_toml=BASE, kid_toml='extends = "base"\n')
    (tmp_path / "base.toml").unlink()
    shelf.refresh()
    assert "does not exist" in shelf.problems["kid"]
    (tmp_path / "kid.toml").write_text('extends = "base"\npromt = "x"\n')
    shelf.refresh()
    (tmp_path / "base.toml").write_text(BASE)
    shelf.refresh()
    assert "promt" in shelf.problems["kid"]
    (tmp_path / "kid.toml").write_text('extends = "base"\nprompt = "x"\n')
    shelf.refresh()
    assert not shelf.problems


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('prompt = "Hi {{ nope }}"', "no variable 'nope'"),
        ('prompt = "x"\n[[few_shot]]\nuser = "{{ nope }}"\nassistant = "a"', "few_shot.0.user"),
        ('prompt = "{{ n }}"\n[variables.n]\ntype = "integer"\ndefault = "x"', "variables.n.default: must be an integer"),
        ('prompt = "{{ n }}"\n[variables.n]\ntype = "integer"\nchoices = ["1"]', "variables.n.choices"),
        ('prompt = "{{ n }}"\n[variables.n]\ndefault = "z"\nchoices = ["a"]', "must be one of: a"),
        ('prompt = "x"\n[defaults]\ntemperature = "hot"', "defaults.temperature"),
        ('prompt = "x"\n[defaults]\nmax_tokens = -1', "defaults.max_tokens"),
        ('prompt = "x"\n[rag]\ncolections = ["a"]', "rag.colections"),
        ('prompt = "x"\n[rag]\ntop_k = 3', "rag.collections"),
        ('prompt = "x"\n[[tools]]\nname = "f"', "tools"),
        ('promt = "x"', "did you mean 'prompt'"),
        ('extends = "support"\nprompt = "{{ nope }}"', "no variable 'nope'"),
    ],
)  # fmt: skip
def test_what_would_fail_every_request_is_refused_when_it_is_written(
    tmp_path: Path, text: str, named: str
) -> None:
    with pytest.raises(InvalidPersona, match=named):
        library(tmp_path).write("p", text, ".toml")


def test_a_node_and_a_command_beside_it_number_the_versions_alike(tmp_path: Path) -> None:
    node, command = library(tmp_path), library(tmp_path)
    command.write("p", "One.", ".md", author="command line")
    command.write("p", "Two.", ".md", author="command line")
    assert node.refresh()  # it saw the second of the two alone
    assert node.get("p").version == 2
    assert node.get("p@1").own.prompt.strip() == "One."
    node.write("p", "Three.", ".md", author="ann")
    command.write("p", "Four.", ".md", author="command line")
    node.refresh()
    written = [(1, "command line"), (2, "command line"), (3, "ann"), (4, "command line")]
    for shelf in (node, command, library(tmp_path)):
        assert [(seen.version, seen.author) for seen in shelf.history("p")] == written


def test_a_change_that_two_have_seen_is_one_version_and_keeps_its_author(tmp_path: Path) -> None:
    library(tmp_path).write("p", "One.", ".md", author="ann")
    history = tmp_path / "history.jsonl"
    line = history.read_bytes()
    history.write_bytes(
        line.replace(b'"ann"', b'""') + line + b'{"name":"p","ver'
    )  # and one died as it wrote
    (seen,) = library(tmp_path).history("p")
    assert (seen.version, seen.author) == (1, "ann")
    library(tmp_path).write("p", "Two.", ".md", author="ann")  # behind the line without an end
    assert [(one.version, one.author) for one in library(tmp_path).history("p")] == [(1, "ann"), (2, "ann")]
