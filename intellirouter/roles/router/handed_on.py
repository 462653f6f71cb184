"""What clients look for at one address and another role keeps: files, vector stores and reranking, handed to the RagManager.

The RagManager's own endpoints answer, in the name of the caller whose key the Router looked at, and are counted and recorded
there. Their description is the RagManager's too.
"""

from __future__ import annotations

from aiohttp import web
from yarl import URL

from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.errors import IntelliRouterError, PayloadTooLarge, PermissionDenied
from intellirouter.roles.router.console.gateway import Gateway
from intellirouter.web.endpoint import FRAME, REQUEST_ID, request_id_of
from intellirouter.web.errors import error_response

HANDED_ON: web.AppKey[Gateway] = web.AppKey("handed_on", Gateway)
PATHS = ("/v1/files", "/v1/uploads", "/v1/vector_stores", "/v1/rerank", "/v2/rerank")
ROLE = "RagManager"


async def hand_on(request: web.Request) -> web.StreamResponse:
    """The RagManager's answer."""
    try:
        caller = request.app[FRAME].authenticator.authenticate(request.headers, request.transport)
        if caller.via:
            raise PermissionDenied(f"A role asks the {ROLE} itself, not by way of the Router.")
        path = URL(request.rel_url.raw_path, encoded=True).with_query(request.query)
        return await request.app[HANDED_ON].hand_on(ROLE, request, path, caller)
    except PayloadTooLarge as error:
        if request.path == "/v1/files":
            error.message += f" Larger files are sent in parts (/v1/uploads), or to the {ROLE}'s own address."
        return _refused(request, error)
    except IntelliRouterError as error:
        return _refused(request, error)


def _refused(request: web.Request, error: IntelliRouterError) -> web.Response:
    response = error_response(error, encode_error)
    response.headers["x-request-id"] = request.get(REQUEST_ID) or request_id_of(request)
    return response


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    return [web.route("*", path + "{below:(/.*)?}", hand_on) for path in PATHS]
