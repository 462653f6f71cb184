r"""Characters that a vendor cut in two: JSON writes one beyond the first 65,536 as two halves, `\ud83d\ude00`.

Gateways written in languages that count in halves cut streamed words between them, and no reader of JSON takes one alone. What
one event begins is put before what the next one says at the same place; a half that stays alone becomes U+FFFD.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

import msgspec

from intellirouter.errors import UpstreamProtocolError

BACKSLASH = 0x5C
"""Without one there is no half: to look for one byte takes an eighth of the time of looking for two, and it is looked for in every
event."""
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
_ALONE = re.compile("[\ud800-\udfff]")
_DEEPEST = 64
Place = tuple[str | int, ...]


def has_halves(data: bytes) -> bool:
    """Whether a half stands alone in it: what is written in pairs is read as it is."""
    if b"\\u" not in data or _HALF.search(data) is None:
        return False
    try:
        msgspec.json.decode(data)
    except msgspec.DecodeError:
        return True
    except RecursionError:
        return False
    return False


class Halves:
    """One stream. What an event says last of a word waits for the next one."""

    def __init__(self) -> None:
        self._waiting: dict[Place, str] = {}

    def joined(self, data: bytes) -> bytes:
        """The event with every character whole. Bytes that are no JSON come back as they are."""
        if not self._waiting and not has_halves(data):
            return data
        try:
            event = _read(data)
        except (ValueError, RecursionError):
            return data
        return msgspec.json.encode(self._mended(event, ()))

    def _mended(self, value: Any, place: Place) -> Any:
        if len(place) > _DEEPEST:
            raise UpstreamProtocolError("an event of the stream is nested too deep")
        if isinstance(value, dict):
            return {_whole(key): self._mended(inner, (*place, key)) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._mended(inner, (*place, index)) for index, inner in enumerate(value)]
        return self._word(value, place) if isinstance(value, str) else value

    def _word(self, word: str, place: Place) -> str:
        if word and (first := self._waiting.pop(place, "")):
            word = first + word
        if "\ud800" <= word[-1:] <= "\udbff":
            self._waiting[place], word = word[-1], word[:-1]
        return _whole(word)


def mended(data: bytes) -> Any:
    """What a whole answer holds in which a half stands alone. Raises `ValueError` where it is no JSON, `UpstreamProtocolError`."""
    return _all_whole(_read(data), 0)


def _read(data: bytes) -> Any:
    """As every other answer is read: neither `NaN` nor a number beyond any is JSON. Raises `ValueError`."""
    return json.loads(data, parse_constant=_refuse, parse_float=_number)


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def _number(word: str) -> float:
    number = float(word)
    if not math.isfinite(number):
        raise ValueError(f"{word} is no number")
    return number


def _all_whole(value: Any, depth: int) -> Any:
    if depth > _DEEPEST:
        raise UpstreamProtocolError("the provider's answer is nested too deep")
    if isinstance(value, dict):
        return {_whole(key): _all_whole(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list):
        return [_all_whole(inner, depth + 1) for inner in value]
    return _whole(value) if isinstance(value, str) else value


def _whole(word: str) -> str:
    paired = word.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return _ALONE.sub("\ufffd", paired)
