"""The guide says of each rule when it is told, and the rules are so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from intellirouter.alerts.builtin import BY_NAME, MINUTE

GUIDE = Path(__file__).parents[2] / "config" / "ALERTS.md"
WORDS = {"one": 1.0, "all": 1.0, "yes": 1.0, "degraded": 1.0, "unhealthy": 2.0, "drained": 1.0, "lost": 1.0}


def numbers(cell: str) -> list[float]:
    """What a cell of the table names, shares as such."""
    found = []
    for part in filter(None, map(str.strip, cell.split(","))):
        number = re.search(r"[\d.]+", part)
        found.append(float(number[0]) if number else WORDS[part])
    return found


def rows() -> Iterator[tuple[str, list[float], list[float], float]]:
    """Each rule with its warnings, what is critical, and how many seconds it lasts before it is told."""
    for line in GUIDE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        names = [name for name in re.findall(r"`(\w+)`", cells[0]) if name in BY_NAME]
        if not line.startswith("| `") or not names or len(cells) != 4:
            continue
        warning, critical, lasting = map(numbers, cells[1:])
        last = [MINUTE * number for number in lasting] or [0.0] * len(names)
        if len(names) == 1:
            yield names[0], warning, critical, last[0]
            continue
        first, second = (
            names  # a cell with one value says the first's warning, and what of the second is critical
        )
        yield first, warning[:1], critical[:1] if len(critical) == 2 else [], last[0]
        yield second, warning[1:], critical[-1:], last[1]


TABLE = {name: told for name, *told in rows()}


@pytest.mark.parametrize("name", BY_NAME)
def test_a_rule_is_as_the_guide_has_it(name: str) -> None:
    rule = BY_NAME[name]
    scale = 100 if rule.unit == "share" else 1
    levels = [
        [pytest.approx(level.at * scale) for level in rule.levels if level.severity == severity]
        for severity in ("warning", "critical")
    ]
    assert TABLE[name] == [*levels, rule.for_seconds]
