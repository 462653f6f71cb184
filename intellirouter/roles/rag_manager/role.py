"""The RagManager as one object."""

from __future__ import annotations

from aiohttp import web

from intellirouter.roles.rag_manager import native, openai_files, openai_uploads, openai_vector_stores, rerank
from intellirouter.roles.rag_manager.keys import RAG
from intellirouter.roles.rag_manager.sources import api as sources
from intellirouter.roles.role import Role
from intellirouter.web.probes import PartHealth


def _vectors(app: web.Application) -> PartHealth:
    trouble = app[RAG].queue.trouble
    return PartHealth("degraded", trouble) if trouble else PartHealth("healthy")


ROLE = Role(
    name="RagManager",
    title="Documents in, cited context out",
    default_port=8082,
    components=(RAG,),
    routes=lambda: [
        *native.routes(),
        *sources.routes(),
        *openai_files.routes(),
        *openai_uploads.routes(),
        *openai_vector_stores.routes(),
        *rerank.routes(),
    ],
    health={"vectors": _vectors},
)
