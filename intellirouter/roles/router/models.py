"""`GET /v1/models` and `/v1/models/{id}`."""

from __future__ import annotations

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


async def list_models(request: web.Request) -> web.StreamResponse:
    """Every model the caller may use."""
    caller = request[CALLER]
    models = [model_object(e) for e in request.app[CATALOG].entries() if visible(caller, e)]
    return web.Response(
        body=msgspec.json.encode({"object": "list", "data": models}), content_type="application/json"
    )


async def get_model(request: web.Request) -> web.StreamResponse:
    """One model, by any of its names."""
    entry = request.app[CATALOG].resolve(request.match_info["model"])
    return web.Response(body=msgspec.json.encode(model_object(entry)), content_type="application/json")


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    return [
        web.get("/v1/models", endpoint("models", list_models, encode_error)),
        web.get("/v1/models/{model:.+}", endpoint("model", get_model, encode_error)),
    ]
