"""The commit this code is of: what the build wrote into the wheel, or what the checkout says. Imports nothing of ours: the build reads it too."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

FILE = "_commit.txt"
LENGTH = 12
_HASH = re.compile(r"[0-9a-f]{40,64}")


@cache
def commit() -> str:
    """Its first twelve characters; empty where nobody knows."""
    package = Path(__file__).parent
    return (built(package) or checked_out(package.parent))[:LENGTH]


def built(package: Path) -> str:
    """What the build wrote."""
    return _line(package / FILE)


def checked_out(root: Path) -> str:
    """What git has checked out in `root`, read from its files: git itself may not be there, or not trust the directory's owner."""
    folder = root / ".git"
    if folder.is_file():  # a worktree, or a submodule: the file says where the rest is
        folder = root / _text(folder).removeprefix("gitdir:").strip()
    head = _text(folder / "HEAD").strip()
    if not head.startswith("ref:"):
        return head if _HASH.fullmatch(head) else ""
    name = head.removeprefix("ref:").strip()
    shared = folder / (_text(folder / "commondir").strip() or ".")
    if found := _line(shared / name) or _line(folder / name):
        return found
    packed = re.search(
        rf"^([0-9a-f]{{40,64}}) {re.escape(name)}$", _text(shared / "packed-refs"), re.MULTILINE
    )
    return packed[1] if packed else ""


def _line(file: Path) -> str:
    text = _text(file).strip()
    return text if _HASH.fullmatch(text) else ""


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
