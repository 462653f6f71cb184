"""Read a definition's text into a plain document, and know the line of everything in it.

YAML is read as JSON with comments: no aliases (the "billion laughs" needs them), no tags, keys are always strings and
only `true` and `false` are booleans, so that `on` and `yes` stay words.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import tomli
import yaml

from intellirouter.config.lines import key_lines
from intellirouter.config.problem import Problem
from intellirouter.errors import InvalidRequest

MAX_CHARACTERS = 1_000_000
MAX_DEPTH = 60

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
    except (tomli.TOMLDecodeError, json.JSONDecodeError) as error:
        raise InvalidChain([document.problem((), f"This is not valid: {error}.")]) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        at = Document(f"{name}:{mark.line + 1}" if mark else name, None)
        raise InvalidChain([at.problem((), f"This is not valid YAML: {error.problem}.")]) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise InvalidChain(
            [document.problem((), "This cannot be read: bad characters or nested too deeply.")]
        ) from error
    return document


def _read_yaml(text: str, document: Document) -> None:
    problems: list[Problem] = []
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = Document(f"{document.name}:{_line(event.start_mark)}", None)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise InvalidChain([line.problem((), "Anchors and aliases are not allowed in a chain.")])
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise InvalidChain([line.problem((), f"Nested more than {MAX_DEPTH} deep.")])
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    document.data = None if root is None else _plain(root, (), document, problems)
    if problems:
        raise InvalidChain(problems)


def _line(mark: Any) -> int:
    return mark.line + 1 if mark else 1


def _plain(node: yaml.Node, path: Path, document: Document, problems: list[Problem]) -> Any:
    document.lines.setdefault(path, _line(node.start_mark))
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            inner = (*path, key)
            if key in mapping:
                problems.append(document.problem(inner, "This key stands twice."))
            document.lines[inner] = _line(key_node.start_mark)
            mapping[key] = _plain(value_node, inner, document, problems)
        return mapping
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*path, n), document, problems) for n, item in enumerate(node.value)]
    return _scalar(str(node.value), plain=getattr(node, "style", None) is None)


def _scalar(text: str, *, plain: bool) -> Any:
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
