"""How likely each token was, in the canonical form (OpenAI's `logprobs`), from and to Ollama's and Gemini's."""

from __future__ import annotations

from typing import Any

from intellirouter.chat.fields import Json


def from_list(value: Any) -> Json | None:
    """Ollama's `logprobs`: the same entries, in a list of their own."""
    entries = [_entry(one) for one in value if isinstance(one, dict)] if isinstance(value, list) else []
    return {"content": entries} if entries else None


def _entry(one: Json) -> Json:
    token = str(one.get("token") or "")
    others = [_bare(other) for other in _listed(one.get("top_logprobs"))]
    return {**_bare({**one, "token": token}), "top_logprobs": others}


def _listed(value: Any) -> list[Json]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _bare(one: Json) -> Json:
    token = str(one.get("token") or "")
    return {"token": token, "logprob": one.get("logprob"), "bytes": list(token.encode())}


def content_of(logprobs: Json | None) -> list[Json]:
    """The entries."""
    return _listed(logprobs.get("content")) if isinstance(logprobs, dict) else []


def from_gemini(result: Any) -> Json | None:
    """`logprobsResult`: what was chosen, and beside it what else could have been."""
    if not isinstance(result, dict):
        return None
    chosen, tops = result.get("chosenCandidates"), result.get("topCandidates")
    entries: list[Json] = []
    for place, one in enumerate(chosen if isinstance(chosen, list) else ()):
        if not isinstance(one, dict):
            continue
        top = tops[place] if isinstance(tops, list) and place < len(tops) else None
        others = top.get("candidates") if isinstance(top, dict) else None
        entries.append(
            _entry(
                {
                    **_of_google(one),
                    "top_logprobs": [_of_google(other) for other in _listed(others)],
                }
            )
        )
    return {"content": entries} if entries else None


def _of_google(one: Json) -> Json:
    return {"token": one.get("token"), "logprob": one.get("logProbability")}


def to_gemini(logprobs: Json | None) -> Json | None:
    """`logprobsResult`; None without any."""
    entries = content_of(logprobs)
    if not entries:
        return None
    result: Json = {"chosenCandidates": [_to_google(one) for one in entries]}
    tops = [[_to_google(other) for other in _listed(one.get("top_logprobs"))] for one in entries]
    if any(tops):
        result["topCandidates"] = [{"candidates": top} for top in tops]
    return result


def _to_google(one: Json) -> Json:
    return {"token": one.get("token"), "logProbability": one.get("logprob")}
