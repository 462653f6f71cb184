"""`intellirouter route eval`: what is drawn of a file of outcomes, and what is said of one that is wrong."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from intellirouter.cli.route import app
from intellirouter.errors import InvalidRequest


def lines(*pairs: tuple[object, object]) -> bytes:
    rows = [
        {"prompt": f"What is {n}?", "weak": weak, "strong": strong} for n, (weak, strong) in enumerate(pairs)
    ]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (lines((0, 1), (1, 1)), ("2 prompts; APGR", "100.0%", "50.0%")),
        (lines((1, 1), (1, 1)), ("both are equally good", "100.0%", "90.0%")),
        (lines((1, 0), (1, 1)), ("are the two swapped?",)),
        (b"\xef\xbb\xbf" + lines((False, True)), ("1 prompt;",)),
        (gzip.compress(lines((0.5, 1)), mtime=0), ("1 prompt;",)),
    ],
)
def test_a_curve_fits_the_terminal_and_says_what_it_means(
    data: bytes, told: tuple[str, ...], tmp_path: Path
) -> None:
    file, picture = tmp_path / "outcomes.jsonl", tmp_path / "curve.svg"
    file.write_bytes(data)
    result = CliRunner().invoke(app, ["eval", str(file), "--svg", str(picture)])
    assert result.exit_code == 0, result.output
    assert all(word in result.output for word in told), result.output
    assert max(map(len, result.output.splitlines())) <= 80
    assert "nan" not in result.output + picture.read_text()
    places = re.findall(r"([\d.]+),([\d.]+)", " ".join(re.findall(r'points="([^"]*)"', picture.read_text())))
    assert {float(x) for x, _ in places} >= {60.0, 620.0}, "from edge to edge"
    assert all(60 <= float(x) <= 620 and 40 <= float(y) <= 350 for x, y in places)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "no lines"),
        (lines((0, 1)) + b"\n[1]\n", "Line 3"),
        (b'{"prompt": "a", "weak": 1}', "'strong' is missing"),
        (b'{"prompt": "a", "weak": NaN, "strong": 1}', "Line 1"),
        (b'{"prompt": "a", "weak": 1e308, "strong": 1}', "0 to 1"),
        (b'{"prompt": 5, "weak": 1, "strong": 1}', "Line 1"),
        (bytes(range(256)), "Line 1"),
        (gzip.compress(lines((0, 1)), mtime=0)[:-5], "cannot be unpacked"),
    ],
)
def test_a_file_that_is_wrong(data: bytes, told: str, tmp_path: Path) -> None:
    file = tmp_path / "outcomes.jsonl"
    file.write_bytes(data)
    with pytest.raises(InvalidRequest, match=told):
        CliRunner().invoke(app, ["eval", str(file)], catch_exceptions=False)
