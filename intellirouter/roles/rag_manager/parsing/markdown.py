"""Markdown by heading; fenced code and tables are blocks of their own, and a table's head goes with each of its parts."""

from __future__ import annotations

import re

from intellirouter.roles.rag_manager.chunking import Block

TITLE = 300
"""Characters of a heading that are kept as a title and in what tells where a passage stands."""
_RULE = re.compile(r"[\s|:+-]+")
MOST_HEAD = 400
"""Characters of a table's head that are repeated."""


def sections(text: str) -> tuple[str, list[Block]]:
    """The first heading, and the blocks."""
    title = ""
    path: list[tuple[int, str]] = []
    blocks: list[Block] = []
    held: list[str] = []
    kind = "text"

    def flush() -> None:
        if any(line.strip() for line in held):
            head = _head(held) if kind == "table" else ""
            blocks.append(Block("\n".join(held), " › ".join(name for _, name in path), kind, head))
        held.clear()

    for line in text.splitlines():
        fence = line.lstrip().startswith(("```", "~~~"))
        if kind == "code":
            held.append(line)
            if fence:
                flush()
                kind = "text"
            continue
        heading = _heading(line)
        wanted = "code" if fence else "table" if line.lstrip().startswith("|") else "text"
        if heading or wanted != kind:
            flush()
            kind = wanted
        if heading:
            level, name = heading
            title = title or name
            path = [above for above in path if above[0] < level] + [heading]
        else:
            held.append(line)
    flush()
    return title, blocks


def _heading(line: str) -> tuple[int, str] | None:
    """The level and the words of a heading (`## Words ##`); None for any other line."""
    level = len(line) - len(line[:7].lstrip("#")) - len(line[7:])
    if not 1 <= level <= 6 or not line[level : level + 1].isspace():
        return None
    words = line[level:].strip()
    words = words.rstrip("#").rstrip() or words
    return (level, words[:TITLE]) if words else None


def _head(lines: list[str]) -> str:
    """The first row of a table, with the rule below it where there is one."""
    rows = [line for line in lines[:3] if line.strip()]
    head = "\n".join(rows[:2] if len(rows) > 1 and _RULE.fullmatch(rows[1]) else rows[:1])
    return f"{head}\n" if len(head) <= MOST_HEAD else ""
