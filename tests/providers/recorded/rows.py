"""The recorded vendor exchanges beside a clone, and the adapter that claims each of them."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

FOLDER = Path(__file__).parents[4] / "shared" / "recordings"

Task = Literal["chat", "embeddings", "count"]
Dialect = Literal["chat", "completions", "responses", "messages", "gemini", "ollama"]


@dataclass(frozen=True, slots=True)
class Claim:
    """An adapter by its kind, what it is asked to do, and the shape the vendor's bytes have."""

    kind: str
    task: Task
    dialect: Dialect


@dataclass(frozen=True, slots=True)
class Row:
    """One exchange. `claim` is absent where no adapter speaks to that endpoint."""

    id: str
    source: str
    provider: str
    path: str
    status: int
    stream: bool
    headers: dict[str, str]
    request: Any
    body: bytes
    claim: Claim | None

    @property
    def endpoint(self) -> str:
        """The path with the names in it left out."""
        path = re.sub(
            r"/(models|deployments|threads|fileSearchStores|projects|locations)/[^/:]+", r"/\1/*", self.path
        )
        return re.sub(r"^/(v1beta1|v1)/projects/\*/locations/\*", "", path)


_OWN = ("groq", "deepseek", "openrouter", "cerebras", "huggingface", "mistral", "azure", "openai")
_COMPATIBLE = {"ollama": "openai_compatible"}

# Endpoints by the end of their path, whoever serves them.
_BY_END: tuple[tuple[str, Task, Dialect, str | None], ...] = (
    ("/chat/completions", "chat", "chat", None),
    ("/completions", "chat", "completions", "openai_completions"),
    ("/responses", "chat", "responses", "openai_responses"),
    ("/responses/input_tokens", "count", "responses", "openai_responses"),
    ("/embeddings", "embeddings", "chat", None),
)
_BY_VENDOR: dict[str, tuple[tuple[str, Claim], ...]] = {
    "anthropic": (
        ("/v1/messages", Claim("anthropic", "chat", "messages")),
        ("/v1/messages/count_tokens", Claim("anthropic", "count", "messages")),
    ),
    "gemini": (
        (":generateContent", Claim("google", "chat", "gemini")),
        (":streamGenerateContent", Claim("google", "chat", "gemini")),
        (":batchEmbedContents", Claim("google", "embeddings", "gemini")),
    ),
    "vertex": (
        (":generateContent", Claim("vertex", "chat", "gemini")),
        (":streamGenerateContent", Claim("vertex", "chat", "gemini")),
    ),
    "ollama": (
        ("/api/chat", Claim("ollama", "chat", "ollama")),
        ("/api/generate", Claim("ollama_generate", "chat", "ollama")),
        ("/api/embeddings", Claim("ollama", "embeddings", "ollama")),
    ),
}


def claim_of(provider: str, path: str, request: Any) -> Claim | None:
    """The adapter for one row. Some Responses traffic of other recorders is filed under Anthropic's path."""
    for end, claim in _BY_VENDOR.get(provider, ()):
        if path.endswith(end):
            if claim.dialect == "messages" and isinstance(request, dict) and "input" in request:
                return Claim("openai_responses", "chat", "responses")
            return claim
    if provider not in (*_OWN, *_COMPATIBLE):
        return None
    for end, task, dialect, kind in _BY_END:
        if path.endswith(end):
            return Claim(kind or _COMPATIBLE.get(provider, provider), task, dialect)
    return None


def rows(folder: Path = FOLDER) -> Iterator[Row]:
    """Every row of every file."""
    for file in sorted(folder.glob("*.jsonl.gz")):
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            for line in lines:
                yield _row(file.name.partition(".")[0], json.loads(line))


def _row(provider: str, data: dict[str, Any]) -> Row:
    sent = data["response"]
    body = base64.b64decode(sent["base64"]) if "base64" in sent else (sent.get("text") or "").encode()
    return Row(
        data["id"],
        str(data["source"]),
        provider,
        data["path"],
        data["status"],
        data["stream"] or data["path"].endswith(":streamGenerateContent"),
        {name.lower(): str(value) for name, value in data["headers"].items()},
        data["request"],
        body,
        claim_of(provider, data["path"], data["request"]),
    )
