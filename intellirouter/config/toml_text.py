"""TOML text to plain values, with every syntax error of the text and a hint for the usual ones.

A parser stops at the first error. Here the statement at fault is left out and the rest is read again, so that a person
sees all of them in one round. No message repeats a value: one of them may be a secret.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import tomli

from intellirouter.config.lines import statement_lines

MOST_ERRORS = 50

_VALUE = re.compile(r"^\s*(?P<key>[^=#]+?)\s*=\s*(?P<value>[^#]*?)\s*(?:#.*)?$")
_TABLE = re.compile(r"^\s*\[")


@dataclass(frozen=True, slots=True)
class SyntaxProblem:
    """What is wrong on a line, and what to write instead."""

    line: int
    message: str
    advice: str = ""


def parse(text: str) -> tuple[dict[str, Any], list[SyntaxProblem]]:
    """What could be read, and the syntax errors, at most `MOST_ERRORS` of them."""
    lines, found = text.splitlines(), list[SyntaxProblem]()
    while True:
        try:
            return tomli.loads("\n".join(lines) + "\n"), found
        except RecursionError:
            found.append(SyntaxProblem(1, "is nested deeper than any setting is."))
            return {}, found
        except tomli.TOMLDecodeError as error:
            start, end = _statement(lines, min(error.lineno, len(lines)), error.msg)
            found.append(SyntaxProblem(start, *_explain(error.msg, lines[start - 1])))
            if len(found) >= MOST_ERRORS:
                return {}, found
            for number in range(start, end + 1):
                lines[number - 1] = ""


def _statement(lines: list[str], at: int, reason: str) -> tuple[int, int]:
    """First and last line of what is left out: the statement that holds line `at`, or a header and all below it."""
    starts = [number for number in statement_lines("\n".join(lines)) if lines[number - 1].strip()]
    if reason.startswith("Unclosed"):  # noticed where the next statement begins
        opened = [number for number in starts if number <= at and re.search(r"[\[{]", lines[number - 1])]
        return (opened or [at])[-1], at if not _VALUE.match(lines[at - 1]) else max(
            (opened or [at])[-1], at - 1
        )
    start = max((number for number in starts if number <= at), default=at)
    if not _TABLE.match(lines[start - 1]):
        following = next((number for number in starts if number > at), at + 1)
        return start, following - 1
    headers = (number for number in range(start + 1, len(lines) + 1) if _TABLE.match(lines[number - 1]))
    return start, max(next(headers, len(lines) + 1) - 1, at)


def _explain(reason: str, line: str) -> tuple[str, str]:
    """The message and the hint for what a person most likely meant."""
    statement = line.strip()
    if twice := re.match(r"Cannot declare \((.*?),?\) twice", reason):
        name = ".".join(part.strip("' ") for part in twice.group(1).split(","))
        return f"the table [{name}] is there twice.", "Put the keys of both under one heading."
    if reason.startswith(("Cannot overwrite", "Duplicate inline")):
        return "is not TOML: the key is there twice, or is a table elsewhere.", "Leave one of them."
    if statement.startswith("[") and "=" not in statement:
        return (
            "is not TOML: a table's heading is not closed.",
            "Write [name], or [[name]] for one of several.",
        )
    given = _VALUE.match(line)
    if given is None:
        hint = 'Write key = "value".' if re.match(r"^[\w.-]+\s*[: ]", statement) else ""
        return f"is not TOML: {_lower(reason)}.", hint
    return f"is not TOML: {_lower(reason)}.", _hint(given["key"], given["value"])


def _hint(key: str, value: str) -> str:
    if not re.fullmatch(r"[\w.\-\"' ]+", key, re.ASCII) or (" " in key and key[:1] not in "\"'"):
        return "A key is made of letters, digits, '-' and '_'; any other stands in quotes."
    if not value:
        return f'Give {key} a value, or leave the line out: {key} = "…".'
    if value[0] in "“”„‘’«":
        return 'Use straight quotes: "…".'
    if value.lower() in ("true", "false", "yes", "no", "on", "off"):
        return "A switch is true or false, in small letters and without quotes."
    if value.lower() in ("none", "null", "nil"):
        return "There is no such value in TOML: leave the line out."
    if value[0] in "\"'" and (len(value) == 1 or value[-1] != value[0]):
        return f"The text has no closing {value[0]}."
    if value[0] == '"' and "\\" in value:
        return "In double quotes a backslash is doubled; single quotes take it as it is."
    if value[0] == "[":
        return "Items stand between [ and ], with a comma between them."
    if value[0] == "{":
        return "An inline table stands between { and }, with a comma between its keys."
    if re.fullmatch(r"0\d+", value):
        return "A number has no leading zero."
    if re.fullmatch(r"[\d.]+\s*[a-zA-Z]+", value):
        return "A number has no unit; a duration is in seconds."
    return f'Text stands in quotes: {key} = "…".'


def _lower(reason: str) -> str:
    return reason[:1].lower() + reason[1:]
