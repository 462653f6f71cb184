"""`/admin/routing/…`: what was learnt of whom to ask, why a request would go where, and what a team knows already."""

from __future__ import annotations

import asyncio
import time

import msgspec
from aiohttp import web
from msgspec import UNSET, UnsetType

from intellirouter.bounds.aside import ASIDE
from intellirouter.chat.model import ChatRequest, Message
from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.chat.openai_chat.request import decode_request
from intellirouter.chat.parts import Text
from intellirouter.errors import InvalidRequest, ModelNotFound, NotFound
from intellirouter.inference.auto import AUTO, LEANINGS
from intellirouter.inference.catalog import ModelEntry
from intellirouter.inference.contenders import ratings_of
from intellirouter.inference.evidence import Evidence, Kept, evidence, key_of
from intellirouter.inference.guarding.trying import led
from intellirouter.inference.job import Job
from intellirouter.inference.learned import Measured
from intellirouter.inference.learning.evaluation import Gain, by_prior, evaluated
from intellirouter.inference.learning.features import Features, features_of
from intellirouter.inference.learning.outcome import FEEDBACK, score_of
from intellirouter.inference.learning.prior import between, shipped
from intellirouter.inference.learning.question import Question, cut, human
from intellirouter.inference.learning.weights import estimate
from intellirouter.inference.permission import permitted
from intellirouter.inference.selection.table import LEARNED as LEARNED_STRATEGY
from intellirouter.roles.router.keys import CATALOG, GUARDS, LEARNED, PLANNER, SCHOOL, SWITCHES
from intellirouter.roles.router.routing_shapes import (
    CurvePoint,
    RoutingDecisions,
    RoutingEvaluated,
    RoutingExplained,
    RoutingStatus,
    explained,
    group_of,
)
from intellirouter.web.body import read_body, read_json
from intellirouter.web.endpoint import CALLER, Handler, endpoint

CHOICE = "model_selection"
MAX_LINES = 20_000
_MAX_PROMPT = 100_000
_MAX_IMPORT = 64 * 1024 * 1024
_EXPLAIN_SECONDS = 30.0
_MAX_COST = 10_000


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")


async def status(request: web.Request) -> web.StreamResponse:
    """Each group that learns: its targets, on how much each estimate rests, how sure it is, and this process' decisions."""
    learned = request.app[LEARNED]
    groups = tuple(group_of(name, weights) for name, weights in sorted(learned.weights.items()))
    return _json(RoutingStatus(groups=groups, decisions=decisions(learned.measured)))


def decisions(measured: dict[tuple[str, str, str], Measured]) -> tuple[RoutingDecisions, ...]:
    """The decisions of this process since its start, by group, target and reason."""
    return tuple(
        RoutingDecisions(
            group=group,
            target=target,
            reason=reason,
            count=sums.count,
            confidence=round(sums.confidence / sums.count, 3),
            regret=round(sums.regret / sums.count, 4),
            saved_usd=round(sums.saved_usd, 8),
        )
        for (group, target, reason), sums in sorted(measured.items())
    )


async def explain(request: web.Request) -> web.StreamResponse:
    """Where a `prompt`, or a whole body of Chat Completions, would go, and why. Nothing is asked, and nothing explored."""
    body = await read_json(request)
    model, prompt = body.setdefault("model", AUTO), body.pop("prompt", None)
    if not isinstance(model, str) or not model:
        raise InvalidRequest("'model' is a name (default: auto).", param="model")
    if "messages" in body:
        if prompt is not None:
            raise InvalidRequest("Either 'prompt' or 'messages', not both.", param="prompt")
        chat = decode_request(body, request.headers)
    else:
        for field in body.keys() - {"model"}:
            raise InvalidRequest(f"'{field[:60]}' goes with 'messages', not with 'prompt'.", param=field[:60])
        if not isinstance(prompt, str) or not prompt or len(prompt) > _MAX_PROMPT:
            raise InvalidRequest(
                f"'prompt' is a text of 1 to {_MAX_PROMPT:,} characters; 'messages' may stand in its place.",
                param="prompt",
            )
        chat = ChatRequest(model=model, messages=(Message("user", (Text(prompt),)),))
    caller = request[CALLER]
    job = Job(chat, caller, "", time.monotonic() + _EXPLAIN_SECONDS)
    entry = permitted(request.app[CATALOG], caller, model)
    guards = await ASIDE.soon(caller.tenant, lambda: led(request.app[GUARDS], job))
    told = guards.report.header() or UNSET
    if guards.blocked is not None:
        return _json(
            RoutingExplained(entry.name, f"blocked by guard {guards.blocked.name}", (), {}, guards=told)
        )
    if guards.route_to is not None:
        entry = request.app[CATALOG].resolve(guards.route_to)
        job = msgspec.structs.replace(
            job, request=chat.routed(model=guards.route_to), granted=(guards.route_to,), alone=True
        )
    switched = _switched(request, job, entry)
    if entry.group is not None:
        order = entry.group.members or (entry.name, *entry.fallbacks)
        return _json(
            RoutingExplained(entry.name, entry.group.kind, tuple(order), {}, guards=told, switched=switched)
        )
    plan = request.app[PLANNER].plan(job, entry)
    return _json(msgspec.structs.replace(explained(entry.name, plan.shown()), guards=told, switched=switched))


def _switched(request: web.Request, job: Job, entry: ModelEntry) -> dict[str, str] | UnsetType:
    """How `model_selection` stands, where it matters and is not on for everybody."""
    decides = entry.strategy == LEARNED_STRATEGY or (entry.group is not None and entry.group.steps)
    said = request.app[SWITCHES].words(CHOICE, job)
    return {CHOICE: said} if decides and said else UNSET


async def eval_(request: web.Request) -> web.StreamResponse:
    """Quality against cost over JSON Lines of `prompt`, `weak`, `strong` (0 to 1): by how hard each prompt looks, or, with
    `group`, by what was learnt of its targets `weak` and `strong`. Nothing is asked.

    Without `weak` and `strong` the cheapest and the dearest target of the group are compared.
    """
    lines = _lines(await read_body(request, _MAX_IMPORT))
    group = request.query.get("group", "")
    gain = _learnt_gain(request, group) if group else by_prior(shipped())
    found = await asyncio.to_thread(evaluated, lines, gain)
    curve = tuple(CurvePoint(*point) for point in found.points())
    return _json(RoutingEvaluated(by="learnt" if group else "prior", curve=curve, **found.figures()))


def _learnt_gain(request: web.Request, group: str) -> Gain:
    """What was learnt of a group, between two of its targets. Raises `InvalidRequest`, `NotFound`."""
    group = _group(group)
    weights = request.app[LEARNED].weights.get(group)
    if weights is None:
        raise NotFound(f"Nothing was learnt of '{group[:100]}' yet.", param="group")
    ratings = ratings_of(permitted(request.app[CATALOG], request[CALLER], group).candidates)
    by_price = sorted(ratings, key=lambda name: ratings[name])
    names = [
        request.query.get(field) or name for field, name in (("weak", by_price[0]), ("strong", by_price[-1]))
    ]
    for name, field in zip(names, ("weak", "strong"), strict=True):
        if name not in ratings:
            raise InvalidRequest(
                f"'{name[:100]}' is no target of '{group[:100]}' (its targets: {', '.join(ratings)}).",
                param=field,
            )
    pair = {name: ratings[name] for name in names}

    def gain(features: Features) -> float:
        one = estimate(weights, shipped(), features, pair)
        return one[names[1]].success - one[names[0]].success

    return gain


def _lines(data: bytes) -> list[bytes]:
    lines = data.splitlines()
    if len(lines) > MAX_LINES:
        raise InvalidRequest(f"At most {MAX_LINES:,} lines at once; these are {len(lines):,}.")
    return lines


async def take(request: web.Request) -> web.StreamResponse:
    """Learn from a team's own evaluations: JSON Lines of `prompt`, `target`, `score` (0 to 1), and `group` (default: auto).

    `cost` in US dollars, where it is given, is what an answer of this target costs: it decides where the node knows no price of it.
    What was taken before is not taken again, and counted as `known`. With `check=1` the lines are only read. `first` is the number of the first line, where they are a piece of a file.
    """
    lines = _lines(await read_body(request, _MAX_IMPORT))
    first, check = request.query.get("first", "1"), request.query.get("check", "0")
    if not (first.isascii() and first.isdigit() and len(first) < 10):
        raise InvalidRequest("'first' is the number of the first line.", param="first")
    if check not in ("0", "1"):
        raise InvalidRequest("'check' is 0 or 1.", param="check")

    def read() -> list[Evidence]:
        return [_line(request, number, line) for number, line in enumerate(lines, int(first)) if line.strip()]

    found = await asyncio.to_thread(read)
    if check == "1":
        return _json({"object": "routing.import", "taken": 0})
    school = request.app[SCHOOL]
    fresh = await school.fresh(found)
    if fresh:
        await school.take(fresh)
        school.train_soon()
    return _json({"object": "routing.import", "taken": len(fresh), "known": len(found) - len(fresh)})


def _line(request: web.Request, number: int, line: bytes) -> Evidence:
    """One line as an outcome. Raises `InvalidRequest` that names the line."""
    try:
        row = msgspec.json.decode(line)
        prompt, target, group = row["prompt"], row["target"], row.get("group", AUTO)
        score = score_of(row["score"])
        cost = row.get("cost")
        if not all(isinstance(text, str) and text for text in (prompt, target, group)):
            raise ValueError("prompt, target and group are texts")
        if cost is not None and (type(cost) not in (int, float) or not 0 <= cost <= _MAX_COST):
            raise ValueError(f"cost is US dollars of one answer, 0 to {_MAX_COST:,}")
    except (msgspec.DecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidRequest(
            f'Line {number}: {{"prompt": text, "target": "provider/model", "score": 0 to 1}} is expected '
            f"({f'{error} is missing' if isinstance(error, KeyError) else error})."
        ) from error
    group = _group(group)
    try:
        candidates = _learning(request, group).candidates
    except (ModelNotFound, InvalidRequest) as error:
        raise InvalidRequest(f"Line {number}: {error.message}", param="group") from error
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
    return evidence(kept, FEEDBACK, score, f"import:{group}:{target}:{score}:{prompt}", cost)


async def export(request: web.Request) -> web.StreamResponse:
    """All that was learnt of a group, as bytes that another installation can be given."""
    group = _group(request.match_info["group"])
    data = await request.app[SCHOOL].exported(group)
    if data is None:
        raise NotFound(f"Nothing was learnt of '{group[:100]}' yet.")
    return web.Response(body=data, content_type="application/octet-stream")


async def put(request: web.Request) -> web.StreamResponse:
    """Put what was exported in place of what was learnt of a group."""
    group = _group(request.match_info["group"])
    _learning(request, group)
    data = await read_body(request, _MAX_IMPORT)
    try:
        await request.app[SCHOOL].imported(group, data)
    except ValueError as error:
        raise InvalidRequest(f"This is not what an export gives: {error}.") from error
    return _json({"object": "routing.import", "group": group})


async def forget(request: web.Request) -> web.StreamResponse:
    """Let all that was learnt of a group go."""
    group = _group(request.match_info["group"])
    if await request.app[SCHOOL].exported(group) is None:
        request.app[CATALOG].resolve(group)  # of what is no name nothing was ever learnt
    await request.app[SCHOOL].forget(group)
    return _json({"object": "routing.forgotten", "group": group})


def _learning(request: web.Request, group: str) -> ModelEntry:
    """The group, which learns. Raises `ModelNotFound`, `InvalidRequest`."""
    catalog = request.app[CATALOG]
    entry = catalog.resolve(group)
    if (
        entry.learning is not None
        or entry.strategy == LEARNED_STRATEGY
        or (entry.group and entry.group.steps)
    ):
        return entry
    if group == AUTO:
        raise InvalidRequest(
            f"'auto' is '{entry.name}' alone here: it learns where there are two models or more.",
            param="group",
        )
    names = ", ".join(f"'{one.name}'" for one in catalog.entries() if one.learning is not None)
    raise InvalidRequest(
        f"'{group[:100]}' does not learn ([model_registry.models.learning]); what does: {names or 'nothing'}.",
        param="group",
    )


def _group(name: str) -> str:
    """Whose outcomes those of a group are: `auto/cheap` and its like learn with `auto`."""
    return AUTO if name in LEANINGS else name


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    table: tuple[tuple[str, str, Handler, type | None], ...] = (
        ("GET", "/admin/routing", status, RoutingStatus),
        ("GET", "/admin/routing/status", status, RoutingStatus),
        ("POST", "/admin/routing/explain", explain, RoutingExplained),
        ("POST", "/admin/routing/eval", eval_, RoutingEvaluated),
        ("POST", "/admin/routing/import", take, None),
        ("GET", "/admin/routing/learnt/{group:.+}", export, None),
        ("PUT", "/admin/routing/learnt/{group:.+}", put, None),
        ("DELETE", "/admin/routing/learnt/{group:.+}", forget, None),
    )
    return [web.route(method, path, _endpoint(handler, answer)) for method, path, handler, answer in table]


def _endpoint(handler: Handler, answer: type | None) -> Handler:
    name = f"admin_routing_{handler.__name__.strip('_')}"
    return endpoint(name, handler, encode_error, query=_QUERY.get(handler, ()), answer=answer)


_QUERY: dict[Handler, tuple[str, ...]] = {
    eval_: ("group", "weak", "strong"),
    take: ("check", "first"),
}
