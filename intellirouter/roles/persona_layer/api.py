"""`/v1/personas`: list, read, write, render, history, rollback. A tenant sees its own personas and the operator's shared ones."""

from __future__ import annotations

import msgspec
from aiohttp import web

from intellirouter.chat import fields
from intellirouter.chat.fields import Json
from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.errors import NotFound, PermissionDenied
from intellirouter.peers.documents import persona_document
from intellirouter.roles.persona_layer.keys import SHELVES
from intellirouter.roles.persona_layer.library import Entry, Library
from intellirouter.roles.persona_layer.resolver import resolved
from intellirouter.roles.persona_layer.source import parse
from intellirouter.security.caller import HANDED_HEADER
from intellirouter.web.body import read_json
from intellirouter.web.endpoint import CALLER, Handler, endpoint

MANAGE = "personas:write"
"""The permission to change personas of its tenant, and to read what they say."""
SHARED = "admin:personas:write"
"""The permission to change those that all tenants share."""


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json")


def summary(entry: Entry, *, shared: bool = True) -> Json:
    """A persona in a list."""
    persona = entry.whole
    return {
        "id": persona.name,
        "object": "persona",
        "title": persona.title,
        "description": persona.description,
        "version": entry.version,
        "tags": list(persona.tags),
        "variables": sorted(persona.variables),
        "builtin": entry.builtin,
        "shared": shared,
    }


async def _library(request: web.Request) -> Library:
    """The caller's personas; with `?shared=true`, for an operator, those that all tenants share."""
    shelves, caller = request.app[SHELVES], request[CALLER]
    if request.query.get("shared") != "true":
        return await shelves.of(caller)
    if not (caller.is_operator or caller.may(SHARED)):
        raise PermissionDenied(
            "Shared personas are the operator's: that needs the permission '" + SHARED + "'."
        )
    return shelves.shared


def _name(request: web.Request) -> str:
    """The persona of the path. Raises `NotFound` for one that the caller's roles leave out."""
    name = request.match_info["name"]
    if not request[CALLER].may_use_persona(name.partition("@")[0]):
        raise NotFound(f"There is no persona '{name[:100]}'.", param="persona")
    return name


def _may_read(request: web.Request) -> bool:
    """Whether the caller is told what a persona says; another role on its own errand is, since it sends it to a model."""
    caller = request[CALLER]
    return caller.may(MANAGE) or (bool(caller.via) and HANDED_HEADER not in request.headers)


async def list_personas(request: web.Request) -> web.StreamResponse:
    """Every persona of the tenant, and the shared ones; `tag` filters. `problems` names files that do not hold."""
    tag, library = request.query.get("tag"), await _library(request)
    found = [
        entry
        for entry in library.entries()
        if (tag is None or tag in entry.whole.tags) and request[CALLER].may_use_persona(entry.whole.name)
    ]
    found.sort(key=lambda entry: entry.whole.name)
    data = [summary(entry, shared=library.is_shared(entry)) for entry in found]
    problems = library.problems if _may_read(request) else {}
    return _json({"object": "list", "data": data, "problems": problems})


async def get_persona(request: web.Request) -> web.StreamResponse:
    """One persona; for those who may write personas, with the text of its file."""
    library = await _library(request)
    entry = library.get(_name(request))
    told = summary(entry, shared=library.is_shared(entry))
    if not _may_read(request):
        return _json(told)
    definition = entry.whole.model_dump(mode="json", exclude_defaults=True)
    return _json({**told, "format": entry.extension[1:], "source": entry.source, "definition": definition})


async def put_persona(request: web.Request) -> web.StreamResponse:
    """Make or replace one: `source`, its `format` (toml or md), and `version` to guard against a lost update."""
    body = await read_json(request)
    source = fields.required_text(body, "source")
    form = fields.one_of(body, "format", {"toml", "md"}) or "toml"
    expected = fields.integer(body, "version", least=0)
    name, library = _name(request), await _library(request)
    parent = parse(source, f".{form}", name).extends
    if parent is not None and not request[CALLER].may_use_persona(parent):  # it would say what that one says
        raise PermissionDenied(f"You may not use the persona '{parent[:100]}', which this one extends.")
    entry = library.write(name, source, f".{form}", author=request[CALLER].key_id, expected=expected)
    return _json(summary(entry, shared=library.is_shared(entry)), 201 if entry.version == 1 else 200)


async def delete_persona(request: web.Request) -> web.StreamResponse:
    """Remove one; its history stays."""
    name = _name(request)
    (await _library(request)).delete(name)
    return _json({"id": name, "object": "persona", "deleted": True})


async def render_persona(request: web.Request) -> web.StreamResponse:
    """What will be sent for these `variables`."""
    if not _may_read(request):
        raise PermissionDenied(f"What a persona says is told to who has the permission '{MANAGE}'.")
    body = await read_json(request) if request.can_read_body else {}
    variables = fields.mapping(body, "variables") or {}
    found = resolved(await _library(request), _name(request), variables)
    return _json(persona_document(found))


async def history(request: web.Request) -> web.StreamResponse:
    """Every version that was seen."""
    versions = (await _library(request)).history(_name(request))
    return _json({"object": "list", "data": [msgspec.to_builtins(version) for version in versions]})


async def rollback(request: web.Request) -> web.StreamResponse:
    """Bring `version` back, as a new version."""
    version = fields.integer(await read_json(request), "version", least=1)
    if version is None:
        fields.missing("version")
    name, library = _name(request), await _library(request)
    entry = library.rollback(name, version, author=request[CALLER].key_id)
    return _json(summary(entry, shared=library.is_shared(entry)))


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""

    def framed(name: str, handler: Handler) -> Handler:
        return endpoint(f"personas_{name}", handler, encode_error)

    one = "/v1/personas/{name}"
    return [
        web.get("/v1/personas", framed("list", list_personas)),
        web.get(one, framed("get", get_persona)),
        web.put(one, framed("put", put_persona)),
        web.delete(one, framed("delete", delete_persona)),
        web.post(f"{one}/render", framed("render", render_persona)),
        web.get(f"{one}/versions", framed("versions", history)),
        web.post(f"{one}/rollback", framed("rollback", rollback)),
    ]
