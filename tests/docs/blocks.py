"""The fenced blocks of a guide, and what is to be done with each.

```sh run              run by bash in order, as a reader would
```python run          run by Python
```toml                a whole configuration: it must hold
```sh reason="why"     not run, and why
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
GUIDES = sorted(
    file for pattern in ("README.md", "config/*.md", "packaging/*.md") for file in ROOT.glob(pattern)
)
_FENCE = re.compile(r"^(\s*)(```+)(\S*)\s*(.*)$")


@dataclass(frozen=True)
class Block:
    """One fenced block; `line` is that of its first line of text."""

    guide: Path
    line: int
    language: str
    marks: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.guide.relative_to(ROOT)}:{self.line}"

    @property
    def runs(self) -> bool:
        return self.marks == "run" and self.language in ("sh", "bash", "python")

    @property
    def checked(self) -> bool:
        return self.language == "toml" and not self.marks

    @property
    def reason(self) -> str:
        found = re.fullmatch(r'reason="([^"]+)"', self.marks)
        return found[1] if found else ""


def blocks(guide: Path) -> list[Block]:
    """In order. Raises `ValueError` for a fence that is not closed."""
    found: list[Block] = []
    opened: tuple[str, str, str, int] | None = None
    text: list[str] = []
    for number, line in enumerate(guide.read_text(encoding="utf-8").splitlines(), 1):
        fence = _FENCE.match(line)
        if opened is None and fence:
            opened, text = (fence[2], fence[3], fence[4].strip(), number + 1), []
        elif opened is not None and fence and fence[2] == opened[0] and not fence[3]:
            found.append(Block(guide, opened[3], opened[1], opened[2], "\n".join(text) + "\n"))
            opened = None
        elif opened is not None:
            text.append(line)
    if opened is not None:
        raise ValueError(f"{guide}:{opened[3]}: the fence is not closed")
    return found
