"""Azure OpenAI: OpenAI's dialect behind Azure's addresses and its `api-key` header.

An endpoint whose path ends in `/openai/v1` (or that gives no `api_version`) speaks the v1 API, where the deployment is
the `model` of the body; with `api_version` in the target's options the deployment stands in the URL.
Source: Azure OpenAI, "v1 API" and "REST API reference".
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote, urlsplit

import msgspec

from intellirouter.chat.embedding import EmbeddingRequest
from intellirouter.chat.model import ChatRequest
from intellirouter.providers import openai
from intellirouter.providers.adapter import Adapter, HttpRequest, Target
from intellirouter.providers.address import joined, path_of

FLAVOUR = replace(openai.OPENAI, kind="azure", base_url="")


def _at_azure(request: HttpRequest, target: Target, path: str) -> HttpRequest:
    place, _, query = target.base_url.partition("?")
    base = place.rstrip("/") if urlsplit(place).path.rstrip("/") else f"{place.rstrip('/')}/openai"
    version = target.options.get("api_version")
    if version:
        base = base.removesuffix("/v1")
        deployment = "" if path == "/models" else f"/deployments/{path_of(target.model, safe='')}"
        path = f"{deployment}{path}?api-version={quote(str(version), safe='')}"
    else:
        base = base if base.endswith("/v1") else f"{base}/v1"
    url = joined(f"{base}?{query}", path)
    own = {name.lower() for name in target.headers}
    kept = [(name, value) for name, value in request.headers if name != "authorization" or name in own]
    if target.api_key is not None:
        kept.append(("api-key", target.api_key.get_secret_value()))
    return msgspec.structs.replace(request, url=url, headers=tuple(kept))


def build_chat(request: ChatRequest, target: Target) -> HttpRequest:
    """The HTTP request for one completion."""
    return _at_azure(openai.build_chat(FLAVOUR, request, target), target, "/chat/completions")


def build_embeddings(request: EmbeddingRequest, target: Target) -> HttpRequest:
    """The HTTP request for vectors."""
    return _at_azure(openai.build_embeddings(FLAVOUR, request, target), target, "/embeddings")


def build_models(target: Target) -> HttpRequest:
    """The request for the models of the resource."""
    return _at_azure(openai.build_models(target), target, "/models")


ADAPTER: Adapter = replace(
    openai.adapter_of(FLAVOUR),
    build_chat=build_chat,
    build_embeddings=build_embeddings,
    build_models=build_models,
)
