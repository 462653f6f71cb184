"""How much to think, said in the way the model at hand takes it.

Source: Gemini API and Vertex AI guides to thinking: models of 2.5 take a budget of tokens within bounds of their own, Pro
cannot be kept from thinking; from 3 on a level is taken in place of a budget, and which levels there are differs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from intellirouter.chat.fields import Json
from intellirouter.chat.model import Effort, Reasoning

_NAME = re.compile(r"gemini-(\d)(?:\.(\d))?(-pro|-flash-lite|-flash)?")
_LATEST = re.compile(r"gemini-(?:pro|flash|flash-lite)-latest")
_THOUGHTLESS = re.compile(r"gemini-(?:1|2\.0|embedding)|gemma-[1-3]|learnlm")
_BUDGETS: dict[Effort, int] = {
    "minimal": 512,
    "low": 1_024,
    "medium": 8_192,
    "high": 24_576,
    "xhigh": 24_576,
    "max": 24_576,
}
_LEVELS = ("minimal", "low", "medium", "high")
_LEVEL_FLOORS = (("high", 16_384), ("medium", 4_096), ("low", 1))


@dataclass(frozen=True, slots=True)
class Traits:
    """One model: `levels` where it takes those, else the bounds of its budget; `thinks` is false where it cannot."""

    thinks: bool = True
    levels: tuple[str, ...] = ()
    least: int = 1
    most: int = 1 << 31
    can_rest: bool = True  # may be kept from thinking


@lru_cache(maxsize=256)
def traits_of(model: str) -> Traits:
    """The traits of the model of this name; of a name that is not one of Google's, a budget without bounds."""
    name = model.rpartition("/")[2]
    if _THOUGHTLESS.match(name):
        return Traits(thinks=False)
    if _LATEST.match(name):
        return Traits(levels=_LEVELS[1:], can_rest=False)
    found = _NAME.match(name)
    if found is None:
        return Traits()
    version, family = (int(found[1]), int(found[2] or 0)), found[3] or ""
    if version < (3, 0):
        if family == "-pro":
            return Traits(least=128, most=32_768, can_rest=False)
        return Traits(least=512 if family == "-flash-lite" else 1, most=24_576)
    return Traits(levels=_levels(version, family), can_rest=False)


def _levels(version: tuple[int, int], family: str) -> tuple[str, ...]:
    if family == "-flash-lite" or (family == "-flash" and version < (3, 7)):
        return _LEVELS
    return ("low", "high") if family == "-pro" and version < (3, 1) else _LEVELS[1:]


def signs_calls(model: str) -> bool:
    """True where the API refuses a first call of a turn without a signature: from Gemini 3 on."""
    return bool(traits_of(model).levels)


def encode_thinking(reasoning: Reasoning | None, model: str, notes: list[str]) -> Json | None:
    """`thinkingConfig`."""
    if reasoning is None:
        return None
    traits = traits_of(model)
    off = reasoning.mode == "disabled" or reasoning.effort == "none" or reasoning.budget_tokens == 0
    if not traits.thinks:
        if not off:
            notes.append("Thinking was left out: this model does not think.")
        return None
    config: Json = {}
    if reasoning.include is not None:
        config["includeThoughts"] = reasoning.include
    elif not off and (reasoning.summary or reasoning.mode in ("enabled", "adaptive")):
        config["includeThoughts"] = True
    if off and not traits.can_rest:
        notes.append("This model always thinks: it was asked for as little as it can.")
    config |= (
        _level(reasoning, off, traits, notes) if traits.levels else _budget(reasoning, off, traits, notes)
    )
    return config or None


def _level(reasoning: Reasoning, off: bool, traits: Traits, notes: list[str]) -> Json:
    if off:
        return {"thinkingLevel": traits.levels[0]}
    effort: str | None = reasoning.effort
    if (budget := reasoning.budget_tokens) is not None:
        wanted = next(level for level, floor in _LEVEL_FLOORS if budget >= floor)
    elif effort is None:
        return {}
    else:
        wanted = effort if effort in _LEVELS else "high"
    level = wanted if wanted in traits.levels else _nearest(wanted, traits.levels)
    if budget is not None:
        notes.append(f"A thinking budget of {budget} tokens was sent as the level '{level}'.")
    elif level != effort:
        notes.append(f"Reasoning effort '{effort}' was sent as the level '{level}'.")
    return {"thinkingLevel": level}


def _nearest(level: str, levels: tuple[str, ...]) -> str:
    """The nearest level there is, the greater of two as near."""
    at = _LEVELS.index(level)
    return min(levels, key=lambda one: (abs(_LEVELS.index(one) - at), -_LEVELS.index(one)))


def _budget(reasoning: Reasoning, off: bool, traits: Traits, notes: list[str]) -> Json:
    if off:
        return {"thinkingBudget": 0 if traits.can_rest else traits.least}
    budget, effort = reasoning.budget_tokens, reasoning.effort
    if budget is not None:
        fitting = max(traits.least, min(budget, traits.most))
        if fitting != budget:
            notes.append(
                f"A thinking budget of {budget} tokens was sent as {fitting}, which this model takes."
            )
        return {"thinkingBudget": fitting}
    if effort is not None and effort != "none":
        notes.append(f"Reasoning effort '{effort}' was sent as a budget of {_BUDGETS[effort]} tokens.")
        return {"thinkingBudget": max(traits.least, _BUDGETS[effort])}
    return {"thinkingBudget": -1} if reasoning.mode == "adaptive" else {}
