"""How much to think, said in the way the model at hand takes it, and what may not stand beside it.

Source: Anthropic's guides to extended and adaptive thinking and to effort; `models.py` has what differs by model. With a
budget of tokens temperature and top_k are refused, top_p is bounded, a tool cannot be forced, and an unfinished tool loop
must begin with the signed thoughts it came with. A model that thinks as it sees fit takes an effort instead.
"""

from __future__ import annotations

from intellirouter.chat.anthropic_messages.blocks import VENDOR
from intellirouter.chat.anthropic_messages.models import Traits, traits_of
from intellirouter.chat.fields import Json
from intellirouter.chat.model import ChatRequest, Effort, Message, Reasoning
from intellirouter.chat.parts import RedactedThinking, Thinking, ToolCall

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
    traits = traits_of(request.model)
    config: Json = {}
    if request.output is not None and request.output.kind == "json_schema":
        config["format"] = {"type": "json_schema", "schema": request.output.schema or {}}
    reasoning = request.reasoning
    thinking = _encode_mode(reasoning, traits, notes) if reasoning is not None else {}
    if thinking.get("type") == "enabled" and (obstacle := _obstacle(request)):
        notes.append(f"Thinking was left out: {obstacle}.")
        thinking = {}
    if reasoning is not None and (effort := _effort(reasoning, traits, notes)):
        config["effort"] = effort
    encoded = _encode_sampling(request, traits, thinking.get("type") in ("enabled", "adaptive"), notes)
    if thinking:
        encoded["thinking"] = thinking
    if config:
        encoded["output_config"] = config
    return encoded


def is_off(reasoning: Reasoning) -> bool:
    """True where no thinking is asked for."""
    return reasoning.mode == "disabled" or reasoning.effort == "none" or reasoning.budget_tokens == 0


def _encode_mode(reasoning: Reasoning, traits: Traits, notes: list[str]) -> Json:
    effort, budget = reasoning.effort, reasoning.budget_tokens
    if traits.thinking == "never":
        if not is_off(reasoning):
            notes.append("Thinking was left out: this model does not think.")
        return {}
    if is_off(reasoning):
        return _encode_off(traits, notes)
    if traits.thinking == "budget" and budget is None:
        budget = _BUDGETS[effort or "medium"]
        notes.append(
            f"Reasoning effort '{effort or 'medium'}' was sent as a budget of {budget} thinking tokens."
        )
    if budget is not None and traits.thinking != "adaptive":
        return {"type": "enabled", "budget_tokens": max(1_024, budget)}
    if budget is not None:
        notes.append(f"A budget of {budget} thinking tokens was sent as the effort '{_nearest(budget)}'.")
    elif reasoning.mode is None and effort is None and reasoning.include is None:
        return {}
    display = {None: {}, True: {"display": "summarized"}, False: {"display": "omitted"}}
    return {"type": "adaptive", **display[reasoning.include]}


def _encode_off(traits: Traits, notes: list[str]) -> Json:
    match traits.off:
        case "omit":
            return {}
        case "never":
            notes.append("This model always thinks: it was asked for as little as it can.")
            return {}
        case word:
            return {"type": word}


def _effort(reasoning: Reasoning, traits: Traits, notes: list[str]) -> str | None:
    if traits.thinking in ("never", "budget"):
        return None
    if is_off(reasoning):
        return "low" if traits.off == "never" else None
    effort = reasoning.effort
    if effort is None and reasoning.budget_tokens and traits.thinking == "adaptive":
        return _nearest(reasoning.budget_tokens)
    if effort == "xhigh" and not traits.xhigh:
        notes.append("Reasoning effort 'xhigh' was sent as 'high', which this model knows.")
        return "high"
    return "low" if effort == "minimal" else effort


def _nearest(budget: int) -> Effort:
    """The effort whose budget comes nearest."""
    return min(_BUDGETS.keys() - {"minimal"}, key=lambda effort: (abs(_BUDGETS[effort] - budget), effort))


def _obstacle(request: ChatRequest) -> str | None:
    """Why this request cannot be thought about with a budget, as the API sees it."""
    choice = request.tool_choice
    if (
        request.tools
        and choice is not None
        and (choice.kind == "named" or "required" in (choice.kind, choice.mode))
    ):
        return "a model that thinks cannot be made to call a tool"
    if request.messages and request.messages[-1].role == "assistant":
        return "a model that thinks does not go on with a turn that is begun"
    if _in_unsigned_loop(request.messages):
        return "the tool calls being answered came without signed thoughts"
    return None


def _in_unsigned_loop(messages: tuple[Message, ...]) -> bool:
    """True when the last assistant turns call tools and do not begin with thoughts the API can verify."""
    last: list[Message] = []
    for message in reversed(messages):
        if message.role == "assistant":
            last.append(message)
        elif last:
            break
    parts = [part for message in reversed(last) for part in message.content]
    kept = [p for p in parts if not (isinstance(p, Thinking) and not p.taken_by(VENDOR))]
    signed = bool(kept) and isinstance(kept[0], (Thinking, RedactedThinking))
    return not signed and any(isinstance(part, ToolCall) for part in kept)


def _encode_sampling(request: ChatRequest, traits: Traits, thinks: bool, notes: list[str]) -> Json:
    """Temperature, top_p and top_k, where the model takes them. What is the default anyway goes without a word."""
    given: Json = {"temperature": request.temperature, "top_p": request.top_p, "top_k": request.top_k}
    given = {name: value for name, value in given.items() if value is not None}
    if not traits.samples:
        given = {name: value for name, value in given.items() if name == "top_k" or value != 1}
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
    if traits.one_sampler and {"temperature", "top_p"} <= kept.keys():
        del kept["top_p"]
        notes.append("'top_p' was left out: this model takes it or a temperature, not both.")
    if kept.get("temperature", 0) > 1:
        notes.append(f"Temperature {kept['temperature']:g} was sent as 1, this API's highest.")
        kept["temperature"] = 1
    return kept
