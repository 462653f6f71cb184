"""Log probabilities: parallel lists here, an object for each token in chat completions (our canonical form)."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

from intellirouter.chat.fields import Json


def decode_logprobs(data: Any) -> Json | None:
    """The lists as one object a token; None when there are none."""
    tokens = data.get("tokens") if isinstance(data, dict) else None
    if not isinstance(tokens, list) or not tokens:
        return None
    sure, likely = _listed(data.get("token_logprobs")), _listed(data.get("top_logprobs"))
    content = [
        {**_entry(str(token), chance), "top_logprobs": [_entry(*one) for one in _pairs(others)]}
        for token, chance, others in zip_longest(tokens, sure, likely)
        if token is not None
    ]
    return {"content": content, "refusal": None}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _pairs(others: Any) -> list[tuple[str, Any]]:
    return list(others.items()) if isinstance(others, dict) else []


def _entry(token: str, chance: Any) -> Json:
    known = isinstance(chance, (int, float))
    return {"token": token, "logprob": chance if known else 0.0, "bytes": list(token.encode())}


def encode_logprobs(data: Any, offset: int = 0) -> Json | None:
    """The lists; `offset` is where in the text the first token stands, in characters."""
    content = data.get("content") if isinstance(data, dict) else None
    if not isinstance(content, list):
        return None
    entries = [entry for entry in content if isinstance(entry, dict)]
    lists: Json = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
    for entry in entries:
        token = str(entry.get("token") or "")
        lists["tokens"].append(token)
        lists["token_logprobs"].append(entry.get("logprob"))
        others = [one for one in _listed(entry.get("top_logprobs")) if isinstance(one, dict)]
        lists["top_logprobs"].append({str(one.get("token") or ""): one.get("logprob") for one in others})
        lists["text_offset"].append(offset)
        offset += len(token)
    return lists
