"""`GET /v1/models` and `/v1/models/{id}`, in the words of whichever dialect asks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
from aiohttp import web

from intellirouter.chat.fields import Json
from intellirouter.chat.gemini.format import FORMAT as GEMINI_FORMAT
from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.errors import ModelNotFound, PermissionDenied
from intellirouter.inference.catalog import ModelEntry
from intellirouter.inference.permission import narrowed, permitted, visible
from intellirouter.roles.router.chat import speaks_mistral
from intellirouter.roles.router.google_key import with_key_of_address
from intellirouter.roles.router.keys import CATALOG
from intellirouter.web.endpoint import CALLER, endpoint


def model_object(entry: ModelEntry) -> Json:
    """OpenAI's model object, with what else is known."""
    optional: Json = {
        "context_window": entry.context_window,
        "max_output_tokens": entry.max_output_tokens,
        "capabilities": sorted(entry.capabilities) or None,
        "aliases": list(entry.aliases) or None,
        "targets": [candidate.id for candidate in entry.candidates],
        "pricing": entry.price.model_dump(exclude_none=True) if entry.price else None,
    }
    model: Json = {"id": entry.name, "object": "model", "created": entry.created, "owned_by": entry.owner}
    return model | {key: value for key, value in optional.items() if value is not None}


def seen(request: web.Request) -> list[ModelEntry]:
    """Every model that the caller may use."""
    catalog, caller = request.app[CATALOG], request[CALLER]
    return [
        narrowed(catalog, caller, entry) for entry in catalog.entries() if visible(catalog, caller, entry)
    ]


def looked_up(request: web.Request, name: str) -> ModelEntry:
    """A model by any of its names. Raises `ModelNotFound`, for one that the caller may not use too."""
    try:
        entry = permitted(request.app[CATALOG], request[CALLER], name)
    except PermissionDenied as error:
        raise ModelNotFound(f"The model '{name[:100]}' does not exist.", param="model") from error
    return narrowed(request.app[CATALOG], request[CALLER], entry)


def anthropic_model(entry: ModelEntry) -> Json:
    """Anthropic's model object."""
    return {
        "type": "model",
        "id": entry.name,
        "display_name": entry.name,
        "created_at": datetime.fromtimestamp(entry.created, UTC).isoformat().replace("+00:00", "Z"),
        "max_input_tokens": entry.context_window,
        "max_tokens": entry.max_output_tokens,
        "lifecycle": "active",
        "capabilities": None,
    }


def gemini_model(entry: ModelEntry) -> Json:
    """Google's model object."""
    limits = {"inputTokenLimit": entry.context_window, "outputTokenLimit": entry.max_output_tokens}
    return {
        "name": f"models/{entry.name}",
        "displayName": entry.name,
        "supportedGenerationMethods": ["generateContent", "countTokens", "embedContent"],
    } | {name: limit for name, limit in limits.items() if limit is not None}


def mistral_model(entry: ModelEntry) -> Json:
    """Mistral's model card."""
    can = entry.capabilities
    card: Json = {
        "id": entry.name,
        "object": "model",
        "created": entry.created,
        "owned_by": entry.owner,
        "type": "base",
        "aliases": list(entry.aliases),
        "capabilities": {
            "completion_chat": "embedding" not in can,
            "function_calling": "tools" in can,
            "vision": "vision" in can,
            "reasoning": "reasoning" in can,
        },
    }
    return card if entry.context_window is None else {**card, "max_context_length": entry.context_window}


class Listing(NamedTuple):
    """How a dialect writes one model, and a page of them."""

    one: Callable[[ModelEntry], Json]
    page: Callable[[list[Json]], Json]


def _anthropic_page(models: list[Json]) -> Json:
    ends: Json = {"first_id": models[0]["id"], "last_id": models[-1]["id"]} if models else {}
    return {"data": models, "has_more": False, **ends}


OPENAI = Listing(model_object, lambda models: {"object": "list", "data": models})
ANTHROPIC = Listing(anthropic_model, _anthropic_page)
GEMINI = Listing(gemini_model, lambda models: {"models": models})
MISTRAL = Listing(mistral_model, lambda models: {"object": "list", "data": models})


def _listing(request: web.Request) -> Listing:
    """The dialect of whoever asks: four of them share this address and say who they are in a header."""
    if request.path.startswith("/v1beta/") or "x-goog-api-key" in request.headers:
        return GEMINI
    if "anthropic-version" in request.headers:
        return ANTHROPIC
    return MISTRAL if speaks_mistral(request) else OPENAI


async def list_models(request: web.Request) -> web.StreamResponse:
    """Every model the caller may use."""
    listing = _listing(request)
    models = [listing.one(entry) for entry in seen(request)]
    return web.Response(body=msgspec.json.encode(listing.page(models)), content_type="application/json")


async def get_model(request: web.Request) -> web.StreamResponse:
    """One model, by any of its names."""
    entry = looked_up(request, request.match_info["model"])
    return web.Response(
        body=msgspec.json.encode(_listing(request).one(entry)), content_type="application/json"
    )


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    return [
        route
        for version, envelope in (("v1", encode_error), ("v1beta", GEMINI_FORMAT.encode_error))
        for route in (
            web.get(f"/{version}/models", with_key_of_address(endpoint("models", list_models, envelope))),
            web.get(
                f"/{version}/models/{{model:.+}}", with_key_of_address(endpoint("model", get_model, envelope))
            ),
        )
    ]
