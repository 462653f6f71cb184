"""`GET /v1/models` and `/v1/models/{id}`."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from aiohttp import web

from intellirouter.chat.fields import Json
from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.inference.catalog import ModelEntry
from intellirouter.roles.router.keys import CATALOG
from intellirouter.security.caller import Caller
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


def visible(caller: Caller, entry: ModelEntry) -> bool:
    """True when the caller's key may use the model by any of its names."""
    return not caller.models or not {entry.name, *entry.aliases}.isdisjoint(caller.models)


def anthropic_model(entry: ModelEntry) -> Json:
    """Anthropic's model object."""
    return {
        "type": "model",
        "id": entry.name,
        "display_name": entry.name,
        "created_at": datetime.fromtimestamp(entry.created, UTC).isoformat().replace("+00:00", "Z"),
        "max_input_tokens": entry.context_window,
        "max_tokens": entry.max_output_tokens,
    }


async def list_models(request: web.Request) -> web.StreamResponse:
    """Every model the caller may use, for Anthropic's clients in their own form."""
    caller = request[CALLER]
    entries = [entry for entry in request.app[CATALOG].entries() if visible(caller, entry)]
    if "anthropic-version" in request.headers:
        ends: Json = {"first_id": entries[0].name, "last_id": entries[-1].name} if entries else {}
        page = {"data": [anthropic_model(entry) for entry in entries], "has_more": False, **ends}
        return web.Response(body=msgspec.json.encode(page), content_type="application/json")
    models = [model_object(entry) for entry in entries]
    return web.Response(
        body=msgspec.json.encode({"object": "list", "data": models}), content_type="application/json"
    )


async def get_model(request: web.Request) -> web.StreamResponse:
    """One model, by any of its names."""
    entry = request.app[CATALOG].resolve(request.match_info["model"])
    shaped = anthropic_model if "anthropic-version" in request.headers else model_object
    return web.Response(body=msgspec.json.encode(shaped(entry)), content_type="application/json")


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    return [
        web.get("/v1/models", endpoint("models", list_models, encode_error)),
        web.get("/v1/models/{model:.+}", endpoint("model", get_model, encode_error)),
    ]
