"""`GET /v1/models` and `/v1/models/{id}`, in the words of whichever dialect asks."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
from aiohttp import web

from intellirouter.chat.fields import Json
from intellirouter.errors import InvalidRequest, ModelNotFound, PermissionDenied
from intellirouter.inference.catalog import ModelEntry
from intellirouter.inference.permission import narrowed, permitted, visible
from intellirouter.roles.router.chat import speaks_mistral
from intellirouter.roles.router.google_key import with_key_of_address
from intellirouter.roles.router.keys import CATALOG
from intellirouter.web.dialects import dialect_of, in_its_dialect
from intellirouter.web.endpoint import CALLER

MAX_LISTED = 1_000
"""Models of a page: Anthropic's bound and Google's."""


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


class Page(NamedTuple):
    """Part of a list, and whether more comes after it."""

    entries: list[ModelEntry]
    more: bool = False


class Listing(NamedTuple):
    """How a dialect writes one model, which part of the list it asked for, and how it writes that."""

    one: Callable[[ModelEntry], Json]
    page: Callable[[list[Json], bool], Json]
    asked: Callable[[Mapping[str, str], list[ModelEntry]], Page] = lambda _query, entries: Page(entries)


def _anthropic_page(models: list[Json], more: bool) -> Json:
    ends: Json = {"first_id": models[0]["id"], "last_id": models[-1]["id"]} if models else {}
    return {"data": models, "has_more": more, **ends}


def _anthropic_asked(query: Mapping[str, str], entries: list[ModelEntry]) -> Page:
    """`limit`, and the id `after_id` or `before_id` which the page lies. All of them where no limit is told."""
    limit = _count(query, "limit", len(entries), least=1, most=MAX_LISTED)
    if "before_id" in query:
        end = _place(entries, query["before_id"], "before_id")
        return Page(entries[max(0, end - limit) : end], end > limit)
    begin = _place(entries, query["after_id"], "after_id") + 1 if "after_id" in query else 0
    return Page(entries[begin : begin + limit], begin + limit < len(entries))


def _gemini_page(models: list[Json], more: bool) -> Json:
    return {"models": models, **({"nextPageToken": _token(models[-1]["name"])} if more else {})}


def _gemini_asked(query: Mapping[str, str], entries: list[ModelEntry]) -> Page:
    """`pageSize`, and the token of the page before. All of them where no size is told."""
    size = _count(query, "pageSize", 0, least=0, most=1 << 31) or len(entries)
    token = query.get("pageToken")
    begin = 0
    if token:
        places = (place for place, entry in enumerate(entries) if _token(f"models/{entry.name}") == token)
        if (last := next(places, None)) is None:
            raise InvalidRequest("'pageToken' is of no page of this list.", param="pageToken")
        begin = last + 1
    size = min(size, MAX_LISTED)
    return Page(entries[begin : begin + size], begin + size < len(entries))


def _token(name: str) -> str:
    return urlsafe_b64encode(name.encode()).decode()


def _count(query: Mapping[str, str], name: str, usual: int, *, least: int, most: int) -> int:
    given = query.get(name)
    if not given:
        return max(usual, least)
    if not (given.isascii() and given.isdigit() and len(given) <= 12 and least <= int(given) <= most):
        raise InvalidRequest(f"'{name}' must be an integer between {least} and {most}.", param=name)
    return int(given)


def _place(entries: list[ModelEntry], name: str, param: str) -> int:
    for place, entry in enumerate(entries):
        if entry.name == name:
            return place
    raise InvalidRequest(f"'{param}' names no model of this list.", param=param)


OPENAI = Listing(model_object, lambda models, _more: {"object": "list", "data": models})
ANTHROPIC = Listing(anthropic_model, _anthropic_page, _anthropic_asked)
GEMINI = Listing(gemini_model, _gemini_page, _gemini_asked)
MISTRAL = Listing(mistral_model, lambda models, _more: {"object": "list", "data": models})


def _listing(request: web.Request) -> Listing:
    """The dialect of whoever asks: four of them share this address and say who they are in a header."""
    match dialect_of(request):
        case "gemini":
            return GEMINI
        case "anthropic":
            return ANTHROPIC
    return MISTRAL if speaks_mistral(request) else OPENAI


async def list_models(request: web.Request) -> web.StreamResponse:
    """Every model the caller may use."""
    listing = _listing(request)
    page = listing.asked(request.query, seen(request))
    body = listing.page([listing.one(entry) for entry in page.entries], page.more)
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")


async def get_model(request: web.Request) -> web.StreamResponse:
    """One model, by any of its names."""
    name = request.match_info["model"].rstrip("/")  # a client that writes one after every path
    if not name:
        return await list_models(request)
    entry = looked_up(request, name)
    return web.Response(
        body=msgspec.json.encode(_listing(request).one(entry)), content_type="application/json"
    )


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    every = with_key_of_address(in_its_dialect("models", list_models))
    one = with_key_of_address(in_its_dialect("model", get_model))
    return [
        route
        for version in ("v1", "v1beta")
        for route in (web.get(f"/{version}/models", every), web.get(f"/{version}/models/{{model:.+}}", one))
    ]
