"""`/admin/routing/…`: what was learnt of whom to ask, why a request would go where, and what a team knows already."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from aiohttp import web

from intellirouter.chat.model import ChatRequest, Message
from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.chat.parts import Text
from intellirouter.errors import InvalidRequest, NotFound
from intellirouter.inference.auto import AUTO, LEANINGS
from intellirouter.inference.job import Job
from intellirouter.inference.learned import Evidence, Kept, evidence, key_of, ratings_of
from intellirouter.inference.learning.features import features_of
from intellirouter.inference.learning.outcome import FEEDBACK, score_of
from intellirouter.inference.learning.prior import between, shipped
from intellirouter.inference.learning.question import Question, cut, human
from intellirouter.inference.permission import permitted
from intellirouter.roles.router.keys import CATALOG, LEARNED, PLANNER, SCHOOL
from intellirouter.web.body import read_body, read_json
from intellirouter.web.endpoint import CALLER, endpoint

MAX_LINES = 20_000
_MAX_PROMPT = 100_000
_MAX_IMPORT = 64 * 1024 * 1024
_EXPLAIN_SECONDS = 30.0


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")


async def status(request: web.Request) -> web.StreamResponse:
    """Each group that learns: its targets, on how much each estimate rests, how sure it is, and this process' decisions."""
    learned = request.app[LEARNED]
    groups = []
    for name, weights in sorted(learned.weights.items()):
        targets = [
            {
                "target": target,
                "outcomes": fact.seen,
                "weight": round(fact.weight, 1),
                "success": fact.good,
                "uncertainty": fact.uncertainty,
                "error": fact.error,
                "heeds": {"structure": fact.basis, "words": fact.grams},
                "changes": fact.changes,
            }
            for target, fact in zip(weights.targets, weights.facts, strict=True)
        ]
        groups.append(
            {
                "group": name,
                "version": weights.version,
                "trained": round(weights.trained, 3),
                "exploring": weights.exploring,
                "targets": targets,
            }
        )
    return _json({"object": "routing", "groups": groups, "decisions": decisions(learned.measured)})


def decisions(measured: Any) -> list[dict[str, Any]]:
    """The decisions of this process since its start, by group, target and reason."""
    return [
        {
            "group": group,
            "target": target,
            "reason": reason,
            "count": sums.count,
            "confidence": round(sums.confidence / sums.count, 3),
            "regret": round(sums.regret / sums.count, 4),
            "saved_usd": round(sums.saved_usd, 8),
        }
        for (group, target, reason), sums in sorted(measured.items())
    ]


async def explain(request: web.Request) -> web.StreamResponse:
    """Where a `prompt` (or a `request` of the Chat Completions kind's `messages`) would go, and why. Nothing is asked."""
    body = await read_json(request)
    model, prompt = body.get("model", AUTO), body.get("prompt")
    if not isinstance(model, str) or not isinstance(prompt, str) or not prompt:
        raise InvalidRequest("'prompt' is a text, 'model' a name (default: auto).", param="prompt")
    if len(prompt) > _MAX_PROMPT:
        raise InvalidRequest(f"'prompt' is a text of at most {_MAX_PROMPT:,} characters.", param="prompt")
    caller = request[CALLER]
    chat = ChatRequest(model=model, messages=(Message("user", (Text(prompt),)),))
    job = Job(chat, caller, "", time.monotonic() + _EXPLAIN_SECONDS)
    entry = permitted(request.app[CATALOG], caller, model)
    return _json({"model": entry.name, **request.app[PLANNER].plan(job, entry).shown()})


async def take(request: web.Request) -> web.StreamResponse:
    """Learn from a team's own evaluations: JSON Lines of `prompt`, `target`, `score` (0 to 1), and `group` (default: auto)."""
    lines = (await read_body(request, _MAX_IMPORT)).splitlines()
    if len(lines) > MAX_LINES:
        raise InvalidRequest(f"At most {MAX_LINES:,} lines at once; these are {len(lines):,}.")
    found = [_line(request, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    school = request.app[SCHOOL]
    await school.take(found)
    school.train_soon()
    return _json({"object": "routing.import", "taken": len(found)})


def _line(request: web.Request, number: int, line: bytes) -> Evidence:
    """One line as an outcome. Raises `InvalidRequest` that names the line."""
    try:
        row = msgspec.json.decode(line)
        prompt, target, group = row["prompt"], row["target"], row.get("group", AUTO)
        score = score_of(row["score"])
        if not all(isinstance(text, str) and text for text in (prompt, target, group)):
            raise ValueError("prompt, target and group are texts")
    except (msgspec.DecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidRequest(
            f'Line {number}: {{"prompt": text, "target": "provider/model", "score": 0 to 1}} is expected ({error}).'
        ) from error
    group = AUTO if group in LEANINGS else group
    candidates = request.app[CATALOG].resolve(group).candidates
    if target not in {candidate.id for candidate in candidates}:
        names = ", ".join(candidate.id for candidate in candidates)
        raise InvalidRequest(
            f"Line {number}: '{target[:100]}' is no target of '{group[:100]}' (its targets: {names})."
        )
    said = human(prompt[:_MAX_PROMPT])
    features = features_of(Question(cut(said), len(said)))
    prior = shipped()
    pair = prior.of(features, prior.basis.of(features))
    caller = request[CALLER]
    kept = Kept(
        request_id="",
        tenant=caller.tenant,
        group=group,
        target=target,
        prior=between(pair, ratings_of(candidates)[target]),
        propensity=1.0 / max(2, len(candidates)),
        key=key_of(caller.tenant, caller.key_id),
        structure=features.structure.astype("<f2").tobytes(),
        slots=features.slots.astype("<u2").tobytes(),
    )
    return evidence(kept, FEEDBACK, score, f"import:{group}:{target}:{score}:{prompt}")


async def export(request: web.Request) -> web.StreamResponse:
    """All that was learnt of a group, as bytes that another installation can be given."""
    group = request.match_info["group"]
    data = await request.app[SCHOOL].exported(group)
    if data is None:
        raise NotFound(f"Nothing was learnt of '{group[:100]}' yet.")
    return web.Response(body=data, content_type="application/octet-stream")


async def put(request: web.Request) -> web.StreamResponse:
    """Put what was exported in place of what was learnt of a group."""
    data = await read_body(request, _MAX_IMPORT)
    try:
        await request.app[SCHOOL].imported(request.match_info["group"], data)
    except ValueError as error:
        raise InvalidRequest(f"This is not what an export gives: {error}.") from error
    return _json({"object": "routing.import", "group": request.match_info["group"]})


async def forget(request: web.Request) -> web.StreamResponse:
    """Let all that was learnt of a group go."""
    await request.app[SCHOOL].forget(request.match_info["group"])
    return _json({"object": "routing.forgotten", "group": request.match_info["group"]})


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    table = (
        ("GET", "/admin/routing", status),
        ("POST", "/admin/routing/explain", explain),
        ("POST", "/admin/routing/import", take),
        ("GET", "/admin/routing/learnt/{group:.+}", export),
        ("PUT", "/admin/routing/learnt/{group:.+}", put),
        ("DELETE", "/admin/routing/learnt/{group:.+}", forget),
    )
    return [
        web.route(
            method, path, endpoint(f"admin_routing_{handler.__name__}", handler, encode_error, scope="admin")
        )
        for method, path, handler in table
    ]
