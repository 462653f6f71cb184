"""The description of the API (OpenAPI 3.1), made from the routes themselves: what is served is what is described.

The security requirement of an operation names its permission (`security/permissions.py`).
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import msgspec
from aiohttp import web

from intellirouter import __version__
from intellirouter.security.permissions import holders
from intellirouter.web.endpoint import DESCRIBED, Described, Handler

API: web.AppKey[Callable[[], bytes]] = web.AppKey("api")
"""Makes the description; slow the first time."""

Json = dict[str, Any]

_PARAMETER = re.compile(r"\{(\w+)(?::[^{}]*(?:\{[^{}]*\}[^{}]*)*)?\}")
_REFERENCE = "#/components/schemas/{name}"
_ANY = ("get", "post", "put", "patch", "delete")
_WITH_BODY = frozenset({"post", "put", "patch"})
_SCHEMES: Json = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, or a token of a person."},
    "x-api-key": {
        "type": "apiKey",
        "in": "header",
        "name": "x-api-key",
        "description": "The same, as Anthropic's clients send it.",
    },
}
_ERROR: Json = {
    "type": "object",
    "description": "The envelope of the API that was called; this is OpenAI's.",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "code": {"type": ["string", "null"]},
                "param": {"type": ["string", "null"]},
            },
        }
    },
}


async def described(request: web.Request) -> web.StreamResponse:
    """This description."""
    body = await asyncio.to_thread(request.app[API])
    return web.Response(body=body, content_type="application/json", headers={"cache-control": "max-age=60"})


def document(roles: Sequence[tuple[str, str, int, Iterable[web.AbstractRouteDef]]]) -> Json:
    """The description of roles, each with its name, title, port and routes."""
    paths: dict[str, Json] = {}
    answers: dict[str, type] = {}
    for role, _, port, routes in roles:
        for route in routes:
            if not isinstance(route, web.RouteDef):
                continue
            path, parameters = _template(route.path)
            if (answer := facts_of(route).answer) is not None:
                answers[answer.__name__] = answer
            for method in _ANY if route.method == "*" else (route.method.lower(),):
                item = paths.setdefault(path, {})
                if method in item:  # the probes, which every role has
                    item[method]["tags"].append(role)
                    item[method]["servers"].append(_server(port))
                else:
                    item[method] = _operation(role, port, method, route, parameters)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "IntelliRouter",
            "version": __version__,
            "description": "Every endpoint of every role. A requirement `bearer: [permission]` asks for a key or a token of "
            "somebody who holds that permission; the scope and the role `admin` hold all. While auth.enabled is false no key is asked for, and none may administrate.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [_server(roles[0][2])] if roles else [],
        "tags": [{"name": role, "description": title} for role, title, _, _ in roles],
        "paths": paths,
        "components": {"securitySchemes": _SCHEMES, "schemas": {"Error": _ERROR, **_schemas(answers)}},
    }


def _schemas(answers: dict[str, type]) -> Json:
    """The types of answers, and those within them, by name."""
    return msgspec.json.schema_components(answers.values(), ref_template=_REFERENCE)[1]


def _answer(facts: Described) -> Json:
    if facts.answer is None:
        return {"description": "The answer."}
    schema = {"$ref": _REFERENCE.format(name=facts.answer.__name__)}
    return {"description": "The answer.", "content": {"application/json": {"schema": schema}}}


def _server(port: int) -> Json:
    return {"url": f"http://localhost:{port}"}


def _template(path: str) -> tuple[str, list[str]]:
    """A path as OpenAPI writes it, without the patterns of its parameters, and their names."""
    return _PARAMETER.sub(r"{\1}", path), _PARAMETER.findall(path)


def _operation(role: str, port: int, method: str, route: web.RouteDef, parameters: list[str]) -> Json:
    facts = facts_of(route)
    first, _, rest = facts.text.partition("\n\n")
    operation: Json = {
        "operationId": f"{facts.name}_{method}_{re.sub(r'[^a-z0-9]+', '_', route.path.lower()).strip('_')}",
        "tags": [role],
        "servers": [_server(port)],
        "summary": " ".join(first.split()),
        "responses": {
            "200": _answer(facts),
            "default": {
                "description": "What went wrong.",
                "content": {"application/json": {"schema": {"$ref": _REFERENCE.format(name="Error")}}},
            },
        },
        "security": []
        if facts.permission is None
        else [{scheme: [facts.permission.name]} for scheme in _SCHEMES],
    }
    if told := "\n\n".join(text for text in (rest, _needs(facts)) if text):
        operation["description"] = told
    listed = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in parameters
    ]
    listed += [{"name": name, "in": "query", "schema": {"type": "string"}} for name in facts.query]
    if listed:
        operation["parameters"] = listed
    if method in _WITH_BODY:
        operation["requestBody"] = {"content": {"application/json": {"schema": {"type": "object"}}}}
    return operation


def _needs(facts: Described) -> str:
    if facts.permission is None:
        return ""
    scopes, roles = holders(facts.permission)
    needs = f"Needs the permission `{facts.permission.name}` ({facts.permission.text})"
    if not scopes:
        return f"{needs}."
    return (
        f"{needs}. Scopes of keys with it: {', '.join(scopes)}. Built-in roles with it: {', '.join(roles)}."
    )


def facts_of(route: web.RouteDef) -> Described:
    """What the route's endpoint says of itself; of one without a frame, its own words."""
    handler = route.handler
    known = DESCRIBED.get(cast("Handler", handler))  # a view class is none, and not there
    if known is not None:
        return known
    name = getattr(handler, "__name__", "endpoint").strip("_")
    return Described(name, None, inspect.getdoc(handler) or "")
