"""A query as conditions of SQL, the same in both stores but for the marks of their parameters."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from intellirouter.errors import InvalidRequest
from intellirouter.records.query import EQUAL, Query
from intellirouter.records.row import DEAR_BUCKET, SLOW_BUCKET, id_at, seconds_bucket, usd_bucket

MAX_WORDS = 16
MAX_STATUS = 1 << 16
USUAL = {"endpoint": "chat_completions", "role": "Router"}
"""What most rows have there, and no index need hold."""
_CLASS = re.compile(r"[1-5]xx")
_WORD = re.compile(r"[^\W_]+")


@dataclass(slots=True)
class Conditions:
    """What must hold, each with its values; `?` stands for a value."""

    parts: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)

    def add(self, words: str, *values: Any) -> None:
        """One more."""
        self.parts.append((words, values))

    def swap(self, words: str, others: str) -> None:
        """Say one of them in other words."""
        self.parts = [(others if told == words else told, values) for told, values in self.parts]

    @property
    def sql(self) -> str:
        """All of them, joined."""
        return " and ".join(words for words, _ in self.parts) or "true"

    @property
    def values(self) -> tuple[Any, ...]:
        """Their values, in order."""
        return tuple(value for _, values in self.parts for value in values)


def conditions(query: Query) -> Conditions:
    """Everything but `tag` and `text`, which look into other tables. Raises `InvalidRequest` for a status that is none."""
    found = Conditions()
    if query.tenant is not None:
        found.add('requests."tenant" = ?' + _said("tenant", query.tenant), query.tenant)
    if query.since is not None:
        found.add('requests."id" >= ?', id_at(query.since))
    if query.until is not None:
        found.add('requests."id" < ?', id_at(query.until))
    if query.status is not None:
        _status(found, query.status)
    for name in EQUAL:
        value = getattr(query, name)
        if value is not None:
            found.add(f'requests."{name}" = ?' + _said(name, value), value)
    if query.min_cost is not None:
        _least(found, "cost_bucket", "cost_usd", usd_bucket(query.min_cost) or 0, DEAR_BUCKET, query.min_cost)
    if query.min_latency is not None:
        bucket = seconds_bucket(query.min_latency) or 0
        _least(found, "latency_bucket", "seconds", bucket, SLOW_BUCKET, query.min_latency)
    if query.asked_a_model:
        found.add("requests.\"model\" <> ''")
    return found


def _said(name: str, value: str) -> str:
    """That a value is among those of the column's index, in the words of that index."""
    usual = USUAL.get(name, "")
    return "" if value == usual else f""" and requests."{name}" <> '{usual}'"""


def _least(found: Conditions, bucket: str, column: str, least: int, indexed: int, value: float) -> None:
    """At least `value`; large ones are looked for in the index of their buckets."""
    if least >= indexed:
        words = f'requests."{bucket}" >= ? and requests."{bucket}" >= {indexed} and requests."{column}" >= ?'
        found.add(words, least, value)
    else:
        found.add(f'"{column}" >= ?', value)


def _status(found: Conditions, status: str) -> None:
    least, most = statuses(status)
    if least == 0:
        found.add('requests."status" < ?', most)
        return
    guard = ' and requests."status" >= 400' if least >= 400 else ""
    if most - least == 1:
        found.add(f'requests."status" = ?{guard}', least)
    elif most == MAX_STATUS:
        found.add('requests."status" >= 400')
    else:
        found.add(f'requests."status" >= ? and requests."status" < ?{guard}', least, most)


def statuses(status: str) -> tuple[int, int]:
    """The statuses that are asked for, the last excluded. Raises `InvalidRequest`."""
    if status.isascii() and status.isdigit() and 100 <= int(status) <= 599:
        return int(status), int(status) + 1
    if _CLASS.fullmatch(status):
        return int(status[0]) * 100, int(status[0]) * 100 + 100
    if status == "failed":
        return 400, MAX_STATUS
    if status == "ok":
        return 0, 400
    raise InvalidRequest(
        "'status' is a number such as 404, a class such as 5xx, ok or failed.", param="status"
    )


def words_of(text: str) -> list[str]:
    """The words to look for. Raises `InvalidRequest` when there is none, or too many."""
    words = words_in(text.lower())
    if not words:
        raise InvalidRequest("'text' must hold a word to look for.", param="text")
    if len(words) > MAX_WORDS:
        raise InvalidRequest(f"'text' may hold {MAX_WORDS} words.", param="text")
    return words


def words_in(text: str) -> list[str]:
    """Every word of a text, as it stands."""
    return _WORD.findall(text)
