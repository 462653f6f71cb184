"""`POST /v1/feedback`: what became of an answer, by the id of its request or of itself. Late by up to a week is fine."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
from aiohttp import web

from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.errors import InvalidRequest, NotFound
from intellirouter.inference.evidence import evidence
from intellirouter.inference.learning.outcome import FEEDBACK, score_of
from intellirouter.roles.router.admin_records import keep_feedback
from intellirouter.roles.router.keys import RESPONSES, SCHOOL
from intellirouter.web.body import read_json
from intellirouter.web.endpoint import CALLER, endpoint

MAX_COMMENT = 10_000
MAX_DEMONSTRATION = 100_000
_FIELDS = ("request_id", "response_id", "score", "rating", "comment", "demonstration")
_MAX_ID = 128


class Given(msgspec.Struct, frozen=True):
    """A checked body."""

    request_id: str
    response_id: str
    score: float | None
    comment: str
    demonstration: str


async def give_feedback(request: web.Request) -> web.StreamResponse:
    """Say how good an answer was: `score` true, false or 0 to 1, a `comment`, a `demonstration` of a better answer."""
    given = checked(await read_json(request))
    caller, school = request[CALLER], request.app[SCHOOL]
    response_id = given.response_id
    if response_id.startswith("resp_"):
        with contextlib.suppress(NotFound):  # it may be the provider's own
            response_id = (await request.app[RESPONSES].get(caller.tenant, response_id)).answered_as
    kept = await school.find(caller.tenant, given.request_id, response_id)
    name = kept.request_id if kept is not None else given.request_id
    recorded = bool(name) and await keep_feedback(request.app, name, caller.tenant, _noted(given))
    if kept is None and not recorded:
        shown = given.request_id or given.response_id
        raise NotFound(
            f"No request '{shown}' whose choice is learnt from is known. Feedback is taken for a week, for answers of "
            '`auto` and of groups with strategy "learned".',
            param="request_id" if given.request_id else "response_id",
        )
    counted = False
    if kept is not None and given.score is not None:
        one = evidence(kept, FEEDBACK, given.score, f"{kept.request_id}:{FEEDBACK}")
        counted = await school.give(caller.tenant, kept.request_id, one)
    body: dict[str, Any] = {"object": "feedback", "request_id": name, "learnt": counted}
    if kept is not None:
        body |= {"model": kept.group, "target": kept.target}
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")


def _noted(given: Given) -> dict[str, Any]:
    """The feedback as the request's record keeps it."""
    fields = {"score": given.score, "comment": given.comment, "demonstration": given.demonstration}
    return {name: value for name, value in fields.items() if value not in (None, "")}


def checked(body: dict[str, Any]) -> Given:
    """The body's fields. Raises `InvalidRequest` naming the one that is wrong."""
    for field in body:
        if field not in _FIELDS:
            raise InvalidRequest(
                f"Feedback has no field '{field[:60]}'. Fields: {', '.join(_FIELDS)}.", param=field[:60]
            )
    request_id, response_id = (_id(body, field) for field in ("request_id", "response_id"))
    if not request_id and not response_id:
        raise InvalidRequest(
            "'request_id' (the header x-request-id of the answer) or 'response_id' (the answer's id) is needed.",
            param="request_id",
        )
    comment = _text(body, "comment", MAX_COMMENT)
    demonstration = _text(body, "demonstration", MAX_DEMONSTRATION)
    score = None
    field = "score" if body.get("score") is not None else "rating"
    if field == "score" and body.get("rating") is not None:
        raise InvalidRequest("'rating' is another name of 'score': send one of them.", param="rating")
    if body.get(field) is not None:
        try:
            score = score_of(body[field])
        except ValueError as error:
            raise InvalidRequest(f"'{field}': {error}.", param=field) from error
    elif demonstration:
        score = 0.0  # who shows a better answer says that this one was not good
    elif not comment:
        raise InvalidRequest("Say something: 'score', 'comment' or 'demonstration'.", param="score")
    return Given(request_id, response_id, score, comment, demonstration)


def _id(body: dict[str, Any], field: str) -> str:
    value = body.get(field)
    if value is None:
        return ""
    if not isinstance(value, str) or not value or len(value) > _MAX_ID or not value.isprintable():
        raise InvalidRequest(f"'{field}' is a printable text of 1 to {_MAX_ID} characters.", param=field)
    return value


def _text(body: dict[str, Any], field: str, most: int) -> str:
    value = body.get(field)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > most:
        raise InvalidRequest(f"'{field}' is a text of at most {most:,} characters.", param=field)
    return value


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    return [web.post("/v1/feedback", endpoint("feedback", give_feedback, encode_error))]
