"""What OpenAI's reasoning models take and refuse, by generation.

Sources: OpenAI's guide to reasoning ("Limitations") and its model pages; that Chat Completions refuses tools beside
reasoning is what the API itself answers. A name that is not one of theirs has no such limits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from intellirouter.chat.fields import Json
from intellirouter.chat.model import Effort

_O_SERIES = re.compile(r"(?:^|/)(?:o[134](?:-|$)|codex-mini)")
_GPT = re.compile(r"(?:^|/)gpt-(\d+)(?:\.(\d+))?((?:-[a-z0-9]+)*)")
_ORDER: tuple[Effort, ...] = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_SAMPLING = ("temperature", "top_p", "logprobs", "top_logprobs")
_NEVER = ("presence_penalty", "frequency_penalty", "logit_bias", "stop")


@dataclass(frozen=True, slots=True)
class Traits:
    """One reasoning model.

    `efforts` are the words it knows. `samples_unasked` is true where it takes sampling settings as long as it is not
    asked to reason; `tools_beside_reasoning` says whether Chat Completions takes tools with an effort, and
    `reasons_unasked` whether it reasons when no effort is given.
    """

    efforts: tuple[Effort, ...]
    samples_unasked: bool = False
    tools_beside_reasoning: bool = True
    reasons_unasked: bool = True


@lru_cache(maxsize=256)
def traits_of(model: str) -> Traits | None:
    """The traits of the reasoning model of this name; None for any other model."""
    if _O_SERIES.search(model):
        return Traits(("low", "medium", "high"))
    found = _GPT.search(model)
    if found is None or int(found[1]) < 5 or "chat" in found[3].split("-"):
        return None
    return _gpt((int(found[1]), int(found[2] or 0)), found[3].split("-"))


def _gpt(version: tuple[int, int], words: list[str]) -> Traits:
    if version == (5, 0):
        return Traits(("minimal", "low", "medium", "high"))
    efforts: list[Effort] = ["none", "low", "medium", "high"]
    if version >= (5, 2):
        efforts.append("xhigh")
    if version >= (6, 0):
        efforts.append("max")
    if "codex" in words or "pro" in words:
        efforts.remove("none")
        return Traits(tuple(efforts))
    return Traits(
        tuple(efforts),
        samples_unasked=version <= (5, 4),
        tools_beside_reasoning=version < (5, 2),
        reasons_unasked=version > (5, 4),
    )


def known_effort(effort: str, traits: Traits) -> str:
    """The effort, or the nearest that the model knows; the greater of two as near."""
    if effort in traits.efforts or effort not in _ORDER:
        return effort
    at = _ORDER.index(effort)
    return min(traits.efforts, key=lambda word: (abs(_ORDER.index(word) - at), -_ORDER.index(word)))


def fit(body: Json, effort: str | None, traits: Traits, notes: list[str]) -> None:
    """Leave out of `body` what the model refuses beside `effort`. What is the default anyway goes without a word."""
    reasons = effort != "none" if effort is not None else not traits.samples_unasked
    refused = (*_NEVER, *_SAMPLING) if reasons or not traits.samples_unasked else _NEVER
    for name in refused:
        if name in body:
            value = body.pop(name)
            if not _is_default(name, value):
                notes.append(f"'{name}' was left out: a model that reasons takes no such setting.")


def _is_default(name: str, value: Any) -> bool:
    return bool(value == (1 if name in ("temperature", "top_p") else 0))
