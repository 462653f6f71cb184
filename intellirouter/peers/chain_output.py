"""What callers make of a run: its output as one answer, its tokens together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

_ANSWERS = ("answer", "text", "output")


def answer(output: Any) -> str:
    """What of an output reads as one answer; the whole as JSON where nothing does."""
    if isinstance(output, Mapping):
        output = next((output[key] for key in _ANSWERS if isinstance(output.get(key), str)), output)
    return output if isinstance(output, str) else msgspec.json.encode(output).decode()


def used(steps: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The tokens of a run's llm steps together, and `cost_usd` of those that have a price."""
    total: dict[str, Any] = {"input_tokens": 0, "output_tokens": 0}
    for step in steps:
        result = step["outcome"].get("ok") if isinstance(step["outcome"], dict) else None
        usage = result.get("usage") if isinstance(result, dict) else None
        if isinstance(usage, dict):
            for key in ("input_tokens", "output_tokens"):
                total[key] += usage.get(key) or 0
        # of a step that failed, or asked more than once, what it spent in all was told beside its result
        cost = step.get("spent_usd") or (result.get("cost_usd") if isinstance(result, dict) else None)
        if isinstance(cost, (int, float)):
            total["cost_usd"] = total.get("cost_usd", 0.0) + cost
    return total
