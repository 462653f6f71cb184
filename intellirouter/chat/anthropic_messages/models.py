"""What Anthropic's models take and refuse, by family and version.

Sources: Anthropic's "What's new" and migration guides of each model, its guides to extended and adaptive thinking, and
"Troubleshooting thinking" (which configuration which model rejects). A name that is not one of Anthropic's is treated as
a model of 4.6, which takes every form.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Version = tuple[int, int]
Off = Literal["disabled", "between_tools", "omit", "never"]

_OLD_NAME = re.compile(r"claude-(?:instant-)?(\d)(?:[.-](\d)(?!\d))?")
_NAME = re.compile(r"claude-(opus|sonnet|haiku|fable|mythos)-(?:(preview)|(\d)(?:-(\d)(?!\d))?)")
_ALWAYS_THINKING = ("fable", "mythos")


@dataclass(frozen=True, slots=True)
class Traits:
    """One model.

    `thinking`: not at all, by a budget of tokens, as it sees fit (adaptive), or either of the two. `off` is how it is
    kept from thinking. `samples` is false where temperature, top_p and top_k are refused, `one_sampler` true where
    temperature and top_p are refused together; `forced_tools` and `prefill` are false where a forced tool choice and a
    last turn of the assistant's are refused.
    """

    thinking: Literal["never", "budget", "either", "adaptive"] = "either"
    off: Off = "disabled"
    samples: bool = True
    one_sampler: bool = False
    forced_tools: bool = True
    prefill: bool = True
    xhigh: bool = True
    old: bool = False  # at most 4,096 tokens of answer
    structured: bool = True  # holds an answer to a schema


@lru_cache(maxsize=256)
def traits_of(model: str) -> Traits:
    """The traits of the model of this name."""
    found = _NAME.search(model)
    if found is not None:
        family, preview, major, minor = found.groups()
        return _modern(family, (5, 0) if preview else (int(major), int(minor or 0)))
    if (older := _OLD_NAME.search(model)) is not None:
        version = (int(older[1]), int(older[2] or 0))
        thinking: Literal["never", "budget"] = "budget" if version >= (3, 7) else "never"
        return Traits(thinking, old=version < (3, 5), structured=False)
    return Traits()


def _modern(family: str, version: Version) -> Traits:
    if version < (4, 6):
        structured = version >= (4, 5) or (family == "opus" and version >= (4, 1))
        return Traits("budget", one_sampler=version >= (4, 1), structured=structured)
    if version < (4, 7):
        return Traits("either", one_sampler=True, prefill=False, xhigh=False)
    bound = version >= (5, 1) and family != "haiku"
    return Traits("adaptive", _off(family, version), samples=False, forced_tools=not bound, prefill=False)


def _off(family: str, version: Version) -> Off:
    if version < (5, 0):
        return "omit"  # they think only when asked to
    if family in _ALWAYS_THINKING or (family == "opus" and version >= (5, 5)):
        return "never"
    return "between_tools" if family == "sonnet" and version >= (5, 5) else "disabled"
