"""The provider that needs no provider: it answers from the conversation itself.

It picks the sentences that best match the last question and says plainly what to set for a real model. It exists so
that a fresh installation answers its first request, and so that chains and retrieval can be tried with no key and no
network; it is never chosen while a real provider is configured.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from intellirouter.chat.context import as_plain_text
from intellirouter.chat.model import ChatRequest, OutputFormat
from intellirouter.chat.parts import Text, ToolResult
from intellirouter.chat.response import Usage

ADVICE = (
    "[offline] No model provider is configured, so this answer only quotes the conversation. Set OPENAI_API_KEY, "
    "ANTHROPIC_API_KEY, GEMINI_API_KEY, MISTRAL_API_KEY or HF_TOKEN, or start Ollama on 127.0.0.1:11434."
)
_INSTEAD = "[offline] No model wrote this answer: it only quotes the conversation."
_REASONS = 5
_LONGEST = 200
MAX_SENTENCES = 3
MAX_CHARACTERS = 200_000  # of the conversation that is searched, the newest first

_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*")
_WORD = re.compile(r"\w+")
_K1, _B = 1.2, 0.75


def advice(silent: Mapping[str, str], *, alone: bool) -> str:
    """Why no model answered, and what to do. `silent` says of providers why they list no models; `alone`: there are no others."""
    if alone and not silent:
        return ADVICE
    if not silent:
        return (
            f"{_INSTEAD} It was asked by its name, or those before it did not answer: `intellirouter requests ID` says why, "
            "with the header x-request-id of this answer for ID."
        )
    told = "; ".join(f"{name}: {why[:_LONGEST]}" for name, why in [*silent.items()][:_REASONS])
    return f"{_INSTEAD} Of the providers that are configured these do not answer: {told}. `intellirouter diagnose` says what to do."


def answer(request: ChatRequest, advice: str = ADVICE) -> tuple[str, Usage]:
    """The text of the answer, JSON where JSON was asked for, and a count of words as its usage. `advice` says why no model wrote it."""
    question, context = _split(request)
    quotes = best_sentences(question, context)
    asked = sum(len(_WORD.findall(message.text)) for message in request.messages)
    if request.output is not None and request.output.kind != "text":
        text = msgspec.json.encode(_as_json(request.output, quotes, advice)).decode()
    else:
        text = "\n\n".join(part for part in (" ".join(quotes), advice) if part)
    usage = Usage(input_tokens=asked, output_tokens=len(_WORD.findall(text)), estimated=True)
    return text, usage


def _split(request: ChatRequest) -> tuple[str, str]:
    """The question (the last paragraph the user wrote) and everything said around it."""
    texts: list[str] = []
    for message in request.messages:
        texts.append(message.text)
        texts.extend(
            piece.text
            for part in message.content
            if isinstance(part, ToolResult)
            for piece in part.content
            if isinstance(piece, Text)
        )
    last = next((message.text for message in reversed(request.messages) if message.role == "user"), "")
    paragraphs = [paragraph for paragraph in last.split("\n\n") if paragraph.strip()]
    question = paragraphs[-1] if paragraphs else last
    context = "\n".join(as_plain_text(text) for text in texts if text)[-MAX_CHARACTERS:]
    return question, context.replace(question, "\n")


def best_sentences(question: str, context: str) -> list[str]:
    """Up to three sentences of `context` that match the question best, in their own order.

    Okapi BM25 over sentences (Robertson and Zaragoza, 2009) with the customary k1 and b.
    """
    sentences = [found for match in _SENTENCE.finditer(context) if (found := match.group().strip())]
    bags = [Counter(_words(sentence)) for sentence in sentences]
    if not bags:
        return []
    average = sum(bag.total() for bag in bags) / len(bags) or 1.0
    wanted = set(_words(question))
    seen_in = Counter(word for bag in bags for word in bag if word in wanted)

    def score(bag: Counter[str]) -> float:
        norm = _K1 * (1 - _B + _B * bag.total() / average)
        return sum(
            math.log(1 + (len(bags) - seen_in[word] + 0.5) / (seen_in[word] + 0.5))
            * bag[word]
            * (_K1 + 1)
            / (bag[word] + norm)
            for word in wanted & bag.keys()
        )

    scored = sorted(((score(bag), index) for index, bag in enumerate(bags)), reverse=True)
    return [
        sentences[index] for index in sorted(index for points, index in scored[:MAX_SENTENCES] if points > 0)
    ]


def _words(text: str) -> Iterable[str]:
    return (word for word in _WORD.findall(text.lower()) if len(word) > 2)


def _as_json(output: OutputFormat, quotes: list[str], advice: str) -> Any:
    if output.schema:
        return fill(output.schema, " ".join(quotes) or advice, output.schema)
    return {"answer": " ".join(quotes), "note": advice}


def fill(schema: dict[str, Any], words: str, root: dict[str, Any], depth: int = 0) -> Any:
    """A value that satisfies the common part of JSON Schema: the words where text goes, zeros elsewhere."""
    if depth > 16:
        return None
    schema = _resolved(schema, root)
    if "const" in schema:
        return schema["const"]
    if choices := schema.get("enum"):
        return next((choice for choice in choices if str(choice).lower() in words.lower()), choices[0])
    for union in ("anyOf", "oneOf", "allOf"):
        if schema.get(union):
            return fill(schema[union][0], words, root, depth + 1)
    kind = schema.get("type")
    match kind[0] if isinstance(kind, list) and kind else kind:
        case "string":
            return words[: schema.get("maxLength", 2_000)]
        case "integer" | "number":
            return schema.get("minimum", 0)
        case "boolean":
            return False
        case "array":
            return [fill(schema.get("items") or {}, words, root, depth + 1)] * schema.get("minItems", 0)
        case "null":
            return None
        case _:
            properties = schema.get("properties") or {}
            return {name: fill(inner, words, root, depth + 1) for name, inner in properties.items()}


def _resolved(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """The schema a local `$ref` points at, or the schema itself."""
    reference = schema.get("$ref")
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return schema
    target: Any = root
    for part in reference[2:].split("/"):
        target = target.get(part) if isinstance(target, dict) else None
    return target if isinstance(target, dict) else {}
