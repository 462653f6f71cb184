"""`/v1/personas`: list, read, write, render, history, rollback."""

from __future__ import annotations

import msgspec
from aiohttp import web

from intellirouter.chat import fields
from intellirouter.chat.fields import Json
from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.peers.documents import persona_document
from intellirouter.roles.persona_layer.keys import LIBRARY
from intellirouter.roles.persona_layer.library import Entry
from intellirouter.roles.persona_layer.resolver import resolve
from intellirouter.web.body import read_json
from intellirouter.web.endpoint import CALLER, Handler, endpoint

MANAGE = "personas"
"""The scope that may change personas (`admin` may as well)."""


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json")


def summary(entry: Entry) -> Json:
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
    }


async def list_personas(request: web.Request) -> web.StreamResponse:
    """Every persona; `tag` filters. `problems` names files that do not hold."""
    tag = request.query.get("tag")
    library = request.app[LIBRARY]
    found = [entry for entry in library.entries() if tag is None or tag in entry.whole.tags]
    found.sort(key=lambda entry: entry.whole.name)
    return _json(
        {"object": "list", "data": [summary(entry) for entry in found], "problems": library.problems}
    )


async def get_persona(request: web.Request) -> web.StreamResponse:
    """One persona, with the text of its file."""
    entry = request.app[LIBRARY].get(request.match_info["name"])
    definition = entry.whole.model_dump(mode="json", exclude_defaults=True)
    return _json(
        {**summary(entry), "format": entry.extension[1:], "source": entry.source, "definition": definition}
    )


async def put_persona(request: web.Request) -> web.StreamResponse:
    """Make or replace one: `source`, its `format` (toml or md), and `version` to guard against a lost update."""
    body = await read_json(request)
    source = fields.required_text(body, "source")
    form = fields.one_of(body, "format", {"toml", "md"}) or "toml"
    expected = fields.integer(body, "version", least=0)
    name = request.match_info["name"]
    author = request[CALLER].key_id
    entry = request.app[LIBRARY].write(name, source, f".{form}", author=author, expected=expected)
    return _json(summary(entry), 201 if entry.version == 1 else 200)


async def delete_persona(request: web.Request) -> web.StreamResponse:
    """Remove one; its history stays."""
    name = request.match_info["name"]
    request.app[LIBRARY].delete(name)
    return _json({"id": name, "object": "persona", "deleted": True})


async def render_persona(request: web.Request) -> web.StreamResponse:
    """What will be sent for these `variables`."""
    body = await read_json(request) if request.can_read_body else {}
    library = request.app[LIBRARY]
    variables = fields.mapping(body, "variables") or {}
    return _json(persona_document(resolve(library.get(request.match_info["name"]), variables, library.parts)))


async def history(request: web.Request) -> web.StreamResponse:
    """Every version that was seen."""
    versions = request.app[LIBRARY].history(request.match_info["name"])
    return _json({"object": "list", "data": [msgspec.to_builtins(version) for version in versions]})


async def rollback(request: web.Request) -> web.StreamResponse:
    """Bring `version` back, as a new version."""
    version = fields.integer(await read_json(request), "version", least=1)
    if version is None:
        fields.missing("version")
    name, author = request.match_info["name"], request[CALLER].key_id
    return _json(summary(request.app[LIBRARY].rollback(name, version, author=author)))


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""

    def framed(name: str, handler: Handler, scope: str = "inference") -> Handler:
        return endpoint(f"personas_{name}", handler, encode_error, scope=scope)

    one = "/v1/personas/{name}"
    return [
        web.get("/v1/personas", framed("list", list_personas)),
        web.get(one, framed("get", get_persona)),
        web.put(one, framed("put", put_persona, MANAGE)),
        web.delete(one, framed("delete", delete_persona, MANAGE)),
        web.post(f"{one}/render", framed("render", render_persona)),
        web.get(f"{one}/versions", framed("versions", history)),
        web.post(f"{one}/rollback", framed("rollback", rollback, MANAGE)),
    ]
