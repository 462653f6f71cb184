"""The chains that come with the product, to start from. A wheel has them beside this module, a source tree in `config/chains`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_PLACES = (Path(__file__).parent / "examples", Path(__file__).parents[2] / "config" / "chains")
_NAME = re.compile(r"^chain: \{name: [a-z0-9._-]{1,100}", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Example:
    """A definition, and the cases that test it (empty where it has none)."""

    name: str
    summary: str
    source: str
    cases: str

    def named(self, name: str) -> str:
        """The definition under another name."""
        return _NAME.sub(f"chain: {{name: {name}", self.source, count=1)


def examples() -> dict[str, Example]:
    """Every one, by name."""
    folder = next((place for place in _PLACES if place.is_dir()), None)
    found = {}
    for file in sorted(folder.glob("*.yaml")) if folder is not None else ():
        source, cases = file.read_text("utf-8"), file.parent / "cases" / file.name
        summary = source.partition("\n")[0].removeprefix("# ").partition(". ")[0].partition(": ")[0]
        text = cases.read_text("utf-8") if cases.is_file() else ""
        found[file.stem] = Example(file.stem, summary.rstrip("."), source, text)
    return found
