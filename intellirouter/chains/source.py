"""Read a definition's text into a plain document, and know the line of everything in it.

YAML is read as JSON with comments (`bounds.yamls`): no aliases, no tags, keys are always strings and only `true` and `false`
are booleans, so that `on` and `yes` stay words.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import tomli

from intellirouter.bounds import yamls
from intellirouter.bounds.values import TooLarge, weight
from intellirouter.config.lines import key_lines
from intellirouter.config.problem import Problem
from intellirouter.errors import InvalidRequest

MAX_CHARACTERS = 1_000_000
MAX_DEPTH = yamls.MAX_DEPTH
MAX_PROBLEMS = 100

Path = tuple[str | int, ...]
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?\Z")


class InvalidChain(InvalidRequest):
    """The definition does not hold; `problems` lists everything that is wrong with it."""

    code = "invalid_chain"

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)), problems=[str(problem) for problem in problems])
        self.problems = problems


@dataclass(slots=True)
class Document:
    """A definition as plain data. `name` is the file's, for messages; `lines` are 1-based."""

    name: str
    data: Any
    lines: dict[Path, int] = field(default_factory=dict)

    @property
    def chain_name(self) -> str:
        """What the definition calls itself, right or wrong; empty where it says nothing."""
        head = self.data.get("chain") if isinstance(self.data, dict) else None
        return str(head.get("name", "")) if isinstance(head, dict) else ""

    def problem(self, path: Path, message: str, advice: str = "") -> Problem:
        """A problem at `path`, with the nearest known line."""
        line = next((self.lines[path[:n]] for n in range(len(path), -1, -1) if path[:n] in self.lines), None)
        return Problem(f"{self.name}:{line}" if line else self.name, dotted(path), message, advice)


def dotted(path: Path) -> str:
    """`("steps", 0, "llm")` as `steps[0].llm`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def read(text: str, name: str = "chain.yaml") -> Document:
    """Parse by the name's ending (`.toml`, `.json`, else YAML). Raises `InvalidChain`."""
    document = Document(name, None)
    if len(text) > MAX_CHARACTERS:
        raise InvalidChain(
            [document.problem((), f"The definition is longer than {MAX_CHARACTERS:,} characters.")]
        )
    try:
        if name.endswith(".toml"):
            document.data, document.lines = tomli.loads(text), dict(key_lines(text))
        elif name.endswith(".json"):
            document.data = json.loads(text)
        else:
            _read_yaml(text, document)
    except ValueError as error:  # of either reader, and of a number with thousands of digits
        raise InvalidChain([document.problem((), f"This is not valid: {error}.")]) from error
    except yamls.BadYaml as error:
        at = Document(f"{name}:{error.line}" if error.line else name, None)
        raise InvalidChain([at.problem((), error.message)]) from error
    except RecursionError as error:
        raise InvalidChain([document.problem((), "This is nested too deeply.")]) from error
    return within_bounds(document)


def within_bounds(document: Document) -> Document:
    """The document as it is. Raises `InvalidChain` where its data is larger or deeper than a definition may be."""
    try:
        weight(document.data, 4 * MAX_CHARACTERS, MAX_DEPTH)
    except TooLarge as error:
        raise InvalidChain([document.problem((), error.message)]) from error
    return document


def _read_yaml(text: str, document: Document) -> None:
    found = yamls.read(text, _scalar)
    document.data, document.lines = found.data, found.lines
    if found.twice:
        raise InvalidChain(
            [document.problem(path, "This key stands twice.") for path in found.twice[:MAX_PROBLEMS]]
        )


def _scalar(text: str, plain: bool) -> Any:
    if not plain:
        return text
    if text in ("true", "false"):
        return text == "true"
    if text in ("", "~", "null"):
        return None
    if match := _NUMBER.match(text):
        whole = match.group(2) is None and match.group(3) is None and len(text) < 40 and "." not in text
        return int(text) if whole else float(text)
    return text
