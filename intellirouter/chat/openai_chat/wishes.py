"""How much to think, in the words that vendors of this dialect have beside `reasoning_effort`.

OpenRouter's `reasoning`, the `thinking` of Z.ai, Moonshot, DeepSeek, Volcengine and LiteLLM, Qwen's `enable_thinking` (at DashScope a
field, at vLLM and SGLang one for the template), and what Google's compatible endpoint takes in `extra_body`. A target of this
dialect is sent them as they came; any other is told what they mean.
"""

from __future__ import annotations

from typing import Any

from intellirouter.chat.fields import Json
from intellirouter.chat.model import Effort, Reasoning

WISHES = frozenset(
    {"reasoning", "thinking", "enable_thinking", "thinking_budget", "chat_template_kwargs", "extra_body"}
)
_EFFORTS: tuple[Effort, ...] = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


def read_wishes(body: Json) -> Reasoning | None:
    """What they say together; None where nothing is said that all vendors know."""
    wish = (
        _openrouter(_table(body, "reasoning"))
        or _typed(_table(body, "thinking"))
        or _qwen({**_table(body, "chat_template_kwargs"), **body})
    )
    return wish or _google(_table(_table(body, "extra_body"), "google"))


def _openrouter(wish: Json) -> Reasoning | None:
    effort, budget, on = _effort(wish.get("effort")), _count(wish.get("max_tokens")), wish.get("enabled")
    include = False if wish.get("exclude") is True else None
    if on is False or effort == "none":
        return Reasoning(mode="disabled")
    if effort is None and budget is None and on is not True and include is None:
        return None
    return Reasoning(
        effort, budget, mode="adaptive" if on is True and not (effort or budget) else None, include=include
    )


def _typed(wish: Json) -> Reasoning | None:
    budget = _count(wish.get("budget_tokens"))
    match wish.get("type"):
        case "disabled":
            return Reasoning(mode="disabled")
        case "enabled":
            return Reasoning(budget_tokens=budget, mode="enabled" if budget else "adaptive")
        case "adaptive" | "auto":
            return Reasoning(mode="adaptive")
        case _:
            return None


def _qwen(wish: Json) -> Reasoning | None:
    on = next(
        (wish[name] for name in ("enable_thinking", "thinking") if isinstance(wish.get(name), bool)), None
    )
    budget = _count(wish.get("thinking_budget"))
    if on is False:
        return Reasoning(mode="disabled")
    if on is None and budget is None:
        return None
    return Reasoning(budget_tokens=budget, mode=None if budget else "adaptive")


def _google(wish: Json) -> Reasoning | None:
    config = _table(wish, "thinking_config")
    budget, include = config.get("thinking_budget"), config.get("include_thoughts")
    level = config.get("thinking_level")
    effort = _effort(level.lower()) if isinstance(level, str) else None
    if budget == 0:
        return Reasoning(mode="disabled")
    told = include if isinstance(include, bool) else None
    if effort is None and _count(budget) is None and told is None:
        return None
    return Reasoning(effort, _count(budget), include=told)


def _table(holder: Json, name: str) -> Json:
    value = holder.get(name)
    return value if isinstance(value, dict) else {}


def _count(value: Any) -> int | None:
    return value if type(value) is int and value > 0 else None


def _effort(value: Any) -> Effort | None:
    return next((word for word in _EFFORTS if word == value), None)
