"""A template that only names values means what Jinja says it means."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import TemplateError

from intellirouter.chains import expr
from intellirouter.chains.places import Places, places

PIECES = st.sampled_from(
    [
        "Hello ", "\n", "  ", "}}", "{", "}", "%", "#", "{{ a }}", "{{a}}", "{{ b.c }}", "{{ b.c.d }}", "{{\n a \t}}", "{{ missing }}",
        "{{ b.missing }}", "{{ none }}", "{{ True }}", "{{ loop }}", "{{ self }}", "{{ e }}", "{{ e.f.g }}", "{{ a.b }}", "{{ n }}",
        "{{- a -}}", "{{ a|upper }}", "{# note #}", "{% if a %}x{% endif %}", "{{", "\r\n", "{{ b.0 }}", "{{ l }}", "{{ é }}", "{{ ü.x }}",
    ]
)  # fmt: skip
NAMES: dict[str, Any] = {
    "a": "A", "b": {"c": {"d": 1.5}}, "e": None, "n": True, "l": ["x", {"y": 1}], "é": "acute", "ü": {"x": "umlaut"},
}  # fmt: skip


@given(st.lists(PIECES, max_size=6).map("".join))
def test_the_short_way_gives_what_jinja_gives(source: str) -> None:
    short = places(expr._ENVIRONMENT, source)
    if short is None:
        return
    whole = expr._ENVIRONMENT.from_string(source)
    try:
        wanted = "".join(whole.generate(**NAMES))
    except TemplateError as error:
        with pytest.raises(type(error)) as caught:
            "".join(short.generate(**NAMES))
        assert str(caught.value) == str(error)
    else:
        assert "".join(short.generate(**NAMES)) == wanted


@pytest.mark.parametrize(
    ("source", "is_short"),
    [
        ("plain", True),
        ("{{ a }} and {{ b.c }}", True),
        ("{{ a|upper }}", False),
        ("{% if a %}{% endif %}", False),
        ("{{ not }}", False),
        ("{{ a", False),
        ("line\r\n{{ a }}", False),
        ("{# {{ a }} #}", False),
    ],
)
def test_only_names_take_the_short_way(source: str, is_short: bool) -> None:
    assert isinstance(places(expr._ENVIRONMENT, source), Places) is is_short
