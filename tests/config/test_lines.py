"""Where a key stands in a file, or what holds it where the key itself stands nowhere."""

from __future__ import annotations

import pytest

from intellirouter.config.lines import Path, key_lines, line_of, statement_lines

TEXT = """\
top = 1
"quoted name".inner = 2
[server]
port = 8080
hosts = [
  "a",  # [not.a.table]
  "b",
]
text = \'\'\'
[nor.this]
\'\'\'
[[providers]]
name = "one"
[[providers]]
name = "two"
models = ["m"]
[providers.limits]
rate = 3
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 1),
        (("quoted name", "inner"), 2),
        (("server",), 3),
        (("server", "port"), 4),
        (("server", "text"), 9),
        (("server", "missing"), 3),
        (("server", "hosts", 1), 5),
        (("providers", 0), 12),
        (("providers", 0, "name"), 13),
        (("providers", 1, "name"), 15),
        (("providers", 1, "limits", "rate"), 18),
        (("providers", 1, "limits", "missing", "deep"), 17),
        (("providers", 2, "name"), None),
        (("not",), None),
        (("nor", "this"), None),
        ((), None),
    ],
)
def test_a_key_is_found_or_the_table_that_holds_it(path: Path, line: int | None) -> None:
    assert line_of(key_lines(TEXT), path) == line


def test_a_statement_begins_where_nothing_is_open() -> None:
    assert statement_lines(TEXT) == [1, 2, 3, 4, 5, 9, 12, 13, 14, 15, 16, 17, 18]
