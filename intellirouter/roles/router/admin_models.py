"""`/admin/models` and `/admin/drain`: the catalogue at run time. Needs the scope `admin`."""

from __future__ import annotations

import msgspec
from aiohttp import web

from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.errors import InvalidRequest
from intellirouter.inference.registry import model_section
from intellirouter.roles.keys import DRAIN_NODE
from intellirouter.roles.router.keys import CATALOG, REGISTRY
from intellirouter.web.auditing import noted
from intellirouter.web.body import read_json
from intellirouter.web.endpoint import endpoint


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")


async def list_changes(request: web.Request) -> web.StreamResponse:
    """What was changed at run time: added models, drained targets."""
    changes = await request.app[REGISTRY].read()
    return _json({"models": list(changes.models.values()), "drained": sorted(changes.drained)})


async def add_model(request: web.Request) -> web.StreamResponse:
    """Add or replace a model; the body is a `[[model_registry.models]]` table as JSON."""
    body = await read_json(request)
    for target in model_section(body).targets:
        _check_provider(request, target.target, "targets")
    before = (await request.app[REGISTRY].read()).models.get(str(body.get("name")))
    model = await request.app[REGISTRY].add(body)
    noted(request, on=f"model:{model.name}", before=before, after=body)
    return _json(model.model_dump(mode="json", exclude_none=True), 201)


def _check_provider(request: web.Request, target: str, param: str) -> None:
    """Raises `InvalidRequest` for a target of a provider that this node does not know."""
    known, name = request.app[CATALOG].providers, target.partition("/")[0]
    if name not in known:
        raise InvalidRequest(
            f"There is no provider '{name}'. Providers: {', '.join(sorted(known)) or 'none'}.", param=param
        )


async def remove_model(request: web.Request) -> web.StreamResponse:
    """Take back a model that was added at run time."""
    before = (await request.app[REGISTRY].read()).models.get(request.match_info["name"])
    await request.app[REGISTRY].remove(request.match_info["name"])
    noted(request, on=f"model:{request.match_info['name']}", before=before)
    return _json({"removed": request.match_info["name"]})


async def drain(request: web.Request) -> web.StreamResponse:
    """`{"target": "provider/model", "drained": true}`; a provider's name stands for all its targets.

    `{"node": true}` makes this node not ready: load balancers send it no more, and it serves what comes meanwhile.
    """
    body = await read_json(request)
    target, drained = body.get("target"), body.get("drained", True)
    if body.get("node") is True and target is None and isinstance(drained, bool):
        request.app[DRAIN_NODE](drained)
        noted(request, on="node", after={"drained": drained})
        return _json({"node": True, "drained": drained})
    if not isinstance(target, str) or not target or not isinstance(drained, bool):
        raise InvalidRequest("'target' is a text or 'node' is true, 'drained' true or false.", param="target")
    if drained:  # one that has gone from the configuration may still be let go
        _check_provider(request, target, "target")
    before = (await request.app[REGISTRY].read()).drained
    changes = await request.app[REGISTRY].drain(target, drained)
    noted(request, on=f"target:{target}", before={"drained": before}, after={"drained": changes.drained})
    return _json({"drained": sorted(changes.drained)})


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    table = (
        ("GET", "/admin/models", list_changes),
        ("POST", "/admin/models", add_model),
        ("DELETE", "/admin/models/{name:.+}", remove_model),
        ("POST", "/admin/drain", drain),
    )
    return [
        web.route(method, path, endpoint(f"admin_{handler.__name__}", handler, encode_error))
        for method, path, handler in table
    ]
