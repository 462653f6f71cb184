"""Ollama's front: `/api/chat`, `/api/generate`, `/api/embed`, and what its clients ask of the models."""

from __future__ import annotations

import hashlib

import msgspec
from aiohttp import web

from intellirouter.chat import fields
from intellirouter.chat.embedding import EmbeddingRequest
from intellirouter.chat.fields import Json
from intellirouter.chat.ollama.format import FORMAT, GENERATE_FORMAT
from intellirouter.inference.catalog import AUTO, Catalog, ModelEntry
from intellirouter.inference.permission import permitted
from intellirouter.roles.router.answer import answer, answer_headers, read_chat
from intellirouter.roles.router.embeddings import embed
from intellirouter.roles.router.keys import CATALOG
from intellirouter.roles.router.models import looked_up, seen
from intellirouter.web.body import BODY_VALUES, parse_object, read_body
from intellirouter.web.endpoint import CALLER, Handler, endpoint

LATEST = ":latest"
SPOKEN = "0.12.6"
_RUNS = ("truncate", "keep_alive", "options")
"""How an Ollama is to run the model that embeds; others have no such settings."""
LONG_AGO = "1970-01-01T00:00:00Z"


async def _body(request: web.Request) -> Json:
    """Ollama's own server does not look at the content type, and its clients do not all send one."""
    return await parse_object(await read_body(request), request.app[BODY_VALUES], request)


def _known_as(catalog: Catalog, name: str) -> str:
    """The model's name here: `latest` is what a name without a tag means, and what its clients add to one."""
    if catalog.known(name) is not None:
        return name
    other = name.removesuffix(LATEST) if name.endswith(LATEST) else f"{name}{LATEST}"
    return other if other == AUTO or catalog.known(other) is not None else name


async def _asked(request: web.Request) -> Json:
    """The body with its model's name as it is known here."""
    body = await _body(request)
    name = body.get("model") or body.get("name")
    return {**body, "model": _known_as(request.app[CATALOG], name)} if isinstance(name, str) else body


async def chat(request: web.Request) -> web.StreamResponse:
    """One turn of a conversation. Without one it only asks for the model to be loaded or let go."""
    body = await _asked(request)
    if not body.get("messages"):
        return _loaded(request, body, {"message": {"role": "assistant", "content": ""}})
    return await answer(request, FORMAT, await read_chat(request, FORMAT, body))


def _loaded(request: web.Request, body: Json, nothing: Json) -> web.StreamResponse:
    """What Ollama says when it loaded a model or let one go, which is none of ours to do."""
    reason = "unload" if body.get("keep_alive") in (0, "0", "0s", "0m") else "load"
    head = {"model": body.get("model"), "created_at": LONG_AGO}
    return _ready(request, body, {**head, **nothing, "done": True, "done_reason": reason})


def _ready(request: web.Request, body: Json, answer: Json) -> web.StreamResponse:
    """`answer`, for a model that the caller may use and asks nothing of."""
    permitted(request.app[CATALOG], request[CALLER], fields.required_name(body, "model"))
    return _json(answer)


async def generate(request: web.Request) -> web.StreamResponse:
    """One prompt. An empty one only asks for the model to be loaded, which is none of ours to do."""
    body = await _asked(request)
    if not body.get("prompt"):
        return _loaded(request, body, {"response": ""})
    return await answer(request, GENERATE_FORMAT, await read_chat(request, GENERATE_FORMAT, body))


async def embed_many(request: web.Request) -> web.StreamResponse:
    """Vectors of one text or many."""
    body = await _asked(request)
    texts = fields.strings(body, "input")
    if not texts or body.get("input") == "":
        return _ready(request, body, {"model": body.get("model"), "embeddings": []})
    wanted = _wanted(body, texts)
    response, trace = await embed(request, wanted)
    used = response.usage.input_tokens if response.usage else 0
    answered = {"model": response.model, "embeddings": response.vectors, "prompt_eval_count": used}
    return _json({**answered, "total_duration": 0, "load_duration": 0}, answer_headers(request, trace))


async def embed_one(request: web.Request) -> web.StreamResponse:
    """The older form: one prompt, one vector."""
    body = await _asked(request)
    text = fields.text(body, "prompt")
    if not text:
        return _ready(request, body, {"embedding": []})
    response, trace = await embed(request, _wanted(body, (text,)))
    return _json({"embedding": response.vectors[0]}, answer_headers(request, trace))


def _wanted(body: Json, texts: tuple[str, ...]) -> EmbeddingRequest:
    return EmbeddingRequest(
        model=fields.required_name(body, "model"),
        texts=texts,
        dimensions=fields.integer(body, "dimensions", least=1),
        extra={name: body[name] for name in _RUNS if body.get(name) is not None},
        extra_dialect=FORMAT.name,
    )


async def tags(request: web.Request) -> web.StreamResponse:
    """The models the caller may use, as installed ones."""
    return _json({"models": [_listed(entry) for entry in seen(request)]})


def _listed(entry: ModelEntry) -> Json:
    return {
        "name": entry.name,
        "model": entry.name,
        "modified_at": LONG_AGO,
        "size": 0,
        "digest": hashlib.sha256(entry.name.encode()).hexdigest(),
        "details": _details(entry),
    }


def _details(entry: ModelEntry) -> Json:
    family = entry.owner
    return {
        "parent_model": "",
        "format": "gguf",
        "family": family,
        "families": [family],
        "parameter_size": "",
        "quantization_level": "",
    }


async def show(request: web.Request) -> web.StreamResponse:
    """What is known of one model."""
    name = fields.required_name(await _asked(request), "model")
    entry = looked_up(request, name)
    info: Json = {"general.architecture": entry.owner}
    if entry.context_window is not None:
        info[f"{entry.owner}.context_length"] = entry.context_window
    capabilities = sorted({"completion", *entry.capabilities})
    return _json(
        {
            "modelfile": "",
            "parameters": "",
            "template": "",
            "details": _details(entry),
            "model_info": info,
            "capabilities": capabilities,
            "modified_at": LONG_AGO,
        }
    )


async def running(_request: web.Request) -> web.StreamResponse:
    """No model is loaded in this process."""
    return _json({"models": []})


async def version(_request: web.Request) -> web.StreamResponse:
    """The release of Ollama whose API this is: clients ask for one of at least some number."""
    return _json({"version": SPOKEN})


def _json(body: Json, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type="application/json", headers=headers)


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""

    def framed(name: str, handler: Handler) -> Handler:
        return endpoint(f"ollama_{name}", handler, FORMAT.encode_error)

    return [
        web.post("/api/chat", framed("chat", chat)),
        web.post("/api/generate", framed("generate", generate)),
        web.post("/api/embed", framed("embed", embed_many)),
        web.post("/api/embeddings", framed("embeddings", embed_one)),
        web.get("/api/tags", framed("tags", tags)),
        web.post("/api/show", framed("show", show)),
        web.get("/api/ps", framed("ps", running)),
        web.get("/api/version", framed("version", version)),
    ]
