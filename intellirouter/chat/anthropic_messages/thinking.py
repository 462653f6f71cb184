"""How much to think, said in the way the model at hand takes it, and what may not stand beside it.

Sources: Anthropic's guides to extended and adaptive thinking and to effort. Models up to 4.5 take a budget of tokens, 4.6
takes either form, Opus from 4.7 on takes an effort alone and no sampling settings. While a model thinks, temperature and
top_k are refused, top_p is bounded, a tool cannot be forced, and with a budget an unfinished tool loop must begin with
the signed thoughts it came with.
"""

from __future__ import annotations

import re

from intellirouter.chat.fields import Json
from intellirouter.chat.model import ChatRequest, Effort, Message, Reasoning
from intellirouter.chat.parts import RedactedThinking, Thinking, ToolCall

_THOUGHTLESS = re.compile(r"claude-(3-(?!7)|2|instant)")
_BUDGETED = re.compile(r"claude-3-7|claude-(opus|sonnet|haiku)-4(-[0-5])?(-\d{8}|-latest)?$")
_EFFORT_ONLY = re.compile(r"claude-opus-4-[7-9]")
_BUDGETS: dict[Effort, int] = {
    "minimal": 1_024,
    "low": 2_048,
    "medium": 8_192,
    "high": 16_384,
    "xhigh": 32_768,
    "max": 63_999,
}
_LEAST_TOP_P = 0.95


def encode_thinking(request: ChatRequest, notes: list[str]) -> Json:
    """`thinking`, `output_config` and the sampling settings that go with them."""
    config: Json = {}
    if request.output is not None and request.output.kind == "json_schema":
        config["format"] = {"type": "json_schema", "schema": request.output.schema or {}}
    reasoning = request.reasoning
    thinking = _encode_mode(reasoning, request.model, notes) if reasoning is not None else {}
    if thinking and thinking["type"] != "disabled" and (obstacle := _obstacle(request, thinking)):
        notes.append(f"Thinking was left out: {obstacle}.")
        thinking = {}
    if reasoning is not None and (effort := _effort(reasoning, request.model)):
        config["effort"] = effort
    encoded = _encode_sampling(request, thinking.get("type") in ("enabled", "adaptive"), notes)
    if thinking:
        encoded["thinking"] = thinking
    if config:
        encoded["output_config"] = config
    return encoded


def _encode_mode(reasoning: Reasoning, model: str, notes: list[str]) -> Json:
    effort, budget = reasoning.effort, reasoning.budget_tokens
    off = reasoning.mode == "disabled" or effort == "none" or budget == 0
    if _THOUGHTLESS.match(model):
        if not off:
            notes.append("Thinking was left out: this model does not think.")
        return {}
    if off:
        return {} if _EFFORT_ONLY.match(model) else {"type": "disabled"}
    if _BUDGETED.match(model) and budget is None:
        budget = _BUDGETS[effort or "medium"]
        notes.append(
            f"Reasoning effort '{effort or 'medium'}' was sent as a budget of {budget} thinking tokens."
        )
    if budget is not None and not _EFFORT_ONLY.match(model):
        return {"type": "enabled", "budget_tokens": max(1_024, budget)}
    if budget is not None:
        notes.append(f"A budget of {budget} thinking tokens was sent as the effort '{_nearest(budget)}'.")
    elif reasoning.mode is None and effort is None:
        return {}
    display = {None: {}, True: {"display": "summarized"}, False: {"display": "omitted"}}
    return {"type": "adaptive", **display[reasoning.include]}


def _effort(reasoning: Reasoning, model: str) -> str | None:
    effort = reasoning.effort
    if (
        reasoning.mode == "disabled"
        or effort == "none"
        or _THOUGHTLESS.match(model)
        or _BUDGETED.match(model)
    ):
        return None
    if effort is None and reasoning.budget_tokens and _EFFORT_ONLY.match(model):
        return _nearest(reasoning.budget_tokens)
    return "low" if effort == "minimal" else effort


def _nearest(budget: int) -> Effort:
    """The effort whose budget comes nearest."""
    return min(_BUDGETS.keys() - {"minimal"}, key=lambda effort: (abs(_BUDGETS[effort] - budget), effort))


def _obstacle(request: ChatRequest, thinking: Json) -> str | None:
    """Why this request cannot be thought about, as the API sees it."""
    choice = request.tool_choice
    if request.tools and choice is not None and "required" in (choice.kind, choice.mode):
        return "a model that thinks cannot be made to call a tool"
    if request.tools and choice is not None and choice.kind == "named":
        return "a model that thinks cannot be made to call a tool"
    if thinking["type"] == "enabled" and _in_unsigned_loop(request.messages):
        return "the tool calls being answered came without signed thoughts"
    return None


def _in_unsigned_loop(messages: tuple[Message, ...]) -> bool:
    """True when the last assistant turns call tools and do not begin with thoughts the API can verify."""
    last: list[Message] = []
    for message in reversed(messages):
        if message.role == "assistant":
            last.insert(0, message)
        elif last:
            break
    parts = [part for message in last for part in message.content]
    kept = [p for p in parts if not (isinstance(p, Thinking) and p.signature is None)]
    signed = bool(kept) and isinstance(kept[0], (Thinking, RedactedThinking))
    return not signed and any(isinstance(part, ToolCall) for part in kept)


def _encode_sampling(request: ChatRequest, thinks: bool, notes: list[str]) -> Json:
    """Temperature, top_p and top_k, where the model takes them."""
    given: Json = {"temperature": request.temperature, "top_p": request.top_p, "top_k": request.top_k}
    given = {name: value for name, value in given.items() if value is not None}
    if _EFFORT_ONLY.match(request.model):
        refused = set(given)
    elif thinks:
        refused = {
            name
            for name, value in given.items()
            if name == "top_k"
            or (name == "top_p" and value < _LEAST_TOP_P)
            or (name == "temperature" and value != 1)
        }
    else:
        refused = set()
    why = "this model samples in its own way" if not thinks else "a model that thinks samples in its own way"
    notes.extend(f"'{name}' was left out: {why}." for name in sorted(refused))
    kept = {name: value for name, value in given.items() if name not in refused}
    if kept.get("temperature", 0) > 1:
        notes.append(f"Temperature {kept['temperature']:g} was sent as 1, this API's highest.")
        kept["temperature"] = 1
    return kept
