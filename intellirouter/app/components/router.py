"""The Router's own components."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from functools import partial

from aiohttp import web

from intellirouter.app.component import Commit, Component, Opened
from intellirouter.app.components.routing_settings import gate_of, named_route, policy_of, rule_of
from intellirouter.app.rules import strategy_errors
from intellirouter.config.problem import dotted
from intellirouter.config.schema.router import RouterSection
from intellirouter.config.schema.settings import Settings
from intellirouter.errors import ConfigError
from intellirouter.inference.answering import Answering
from intellirouter.inference.cache.dispatcher import CachedDispatch
from intellirouter.inference.cache.store import ResponseCache
from intellirouter.inference.catalog import Catalog
from intellirouter.inference.circuit import CircuitPolicy
from intellirouter.inference.circuit_events import sharing_circuits
from intellirouter.inference.discovery import Discovery
from intellirouter.inference.dispatch import Dispatch
from intellirouter.inference.groups.dispatcher import GroupedDispatch
from intellirouter.inference.groups.grading import Grader
from intellirouter.inference.guarding.guarded import Guarded
from intellirouter.inference.guarding.remote import Remote
from intellirouter.inference.guarding.rules import Guards
from intellirouter.inference.learned import Learned
from intellirouter.inference.limits.governor import Governor
from intellirouter.inference.limits.ledger import Ledger
from intellirouter.inference.offline import advice
from intellirouter.inference.offline_transport import OFFLINE, WithOffline
from intellirouter.inference.plan import Planner
from intellirouter.inference.policy_fallbacks import PolicyFallbacks
from intellirouter.inference.provider import Provider, provider_of
from intellirouter.inference.record import Recorder
from intellirouter.inference.registry import Follower, Registry
from intellirouter.inference.school import School
from intellirouter.inference.scrape import BudgetCollector, RouterCollector, SpendMeters
from intellirouter.inference.standing import Board
from intellirouter.inference.switches import Switches
from intellirouter.memory.conversations import Conversations
from intellirouter.memory.responses import Responses
from intellirouter.providers.table import ADAPTERS
from intellirouter.roles.keys import CHAINS, KEEPING, KEY_RING, METRICS, OUTGOING, PERSONAS, RETRIEVER, STATE
from intellirouter.roles.router.keys import (
    ANSWERING,
    BOARD,
    CACHE,
    CATALOG,
    CONVERSATIONS,
    DISCOVERY,
    DISPATCH,
    GOVERNOR,
    GUARDS,
    LEARNED,
    LEDGER,
    OUTCOMES,
    PLANNER,
    REGISTRY,
    RESPONSES,
    ROUTING,
    SCHOOL,
    SWITCHES,
)
from intellirouter.roles.router.pipeline.answering import Pipeline
from intellirouter.roles.router.pipeline.choosing import PersonaChoice
from intellirouter.roles.router.pipeline.course import Steps
from intellirouter.roles.router.pipeline.outcomes import Outcomes
from intellirouter.roles.router.pipeline.summaries import Summarizer
from intellirouter.transport.choose import make_transport
from intellirouter.transport.contract import Transport

TRANSPORT: web.AppKey[Transport] = web.AppKey("transport")


def providers_of(settings: Settings) -> list[Provider]:
    """The configured providers that are switched on. Raises `ConfigError`."""
    return [
        provider_of(section, ADAPTERS) for section in settings.model_registry.providers if section.enabled
    ]


def check_strategies(settings: Settings) -> None:
    """Raise `ConfigError` for a strategy that does not exist: better at the start than at a request."""
    problems = [f"{dotted(path)}: {message}" for path, message in strategy_errors(settings)]
    if problems:
        raise ConfigError("\n".join(problems))


@contextlib.asynccontextmanager
async def _transport(opened: Opened) -> AsyncIterator[Transport]:
    section = opened.settings.router
    catalog = opened[CATALOG]

    def why() -> str:
        return advice(catalog.silent(), alone=catalog.offline_only)

    transport = WithOffline(
        make_transport(section.transport, max_connections=section.max_upstream_connections), why
    )
    try:
        yield transport
    finally:
        await transport.aclose()


@contextlib.asynccontextmanager
async def _catalog(opened: Opened) -> AsyncIterator[Catalog]:
    catalog = Catalog(opened.settings.model_registry, providers_of(opened.settings), OFFLINE)

    def prepare(new: Settings) -> Commit:
        providers = providers_of(new)
        Catalog(new.model_registry, providers, OFFLINE)  # raises what this one would
        return lambda: catalog.configure(new.model_registry, providers)

    opened.on_reload.append(prepare)
    yield catalog


@contextlib.asynccontextmanager
async def _discovery(opened: Opened) -> AsyncIterator[Discovery]:
    interval = opened.settings.model_registry.refresh_interval_seconds
    discovery = Discovery(opened[CATALOG], opened[TRANSPORT], interval)
    async with discovery.running():
        yield discovery


@contextlib.asynccontextmanager
async def _board(opened: Opened) -> AsyncIterator[Board]:
    section = opened.settings.router.circuit
    policy = CircuitPolicy(section.failure_threshold, section.timeout, section.probe_interval)
    board = Board(policy)
    async with sharing_circuits(board, opened[STATE]):
        yield board


@contextlib.asynccontextmanager
async def _registry(opened: Opened) -> AsyncIterator[Registry]:
    settings, registry = opened.settings, Registry(opened[STATE])
    providers = opened[CATALOG].providers.values()
    follower = Follower(registry, opened[CATALOG], opened[BOARD], settings.model_registry, providers)
    opened.on_reload.append(
        lambda new: partial(follower.configure, new.model_registry, list(providers_of(new)))
    )
    async with follower.following(opened[STATE]):
        yield registry


@contextlib.asynccontextmanager
async def _cache(opened: Opened) -> AsyncIterator[ResponseCache]:
    yield ResponseCache(opened.settings.cache, opened[STATE])


@contextlib.asynccontextmanager
async def _learned(_opened: Opened) -> AsyncIterator[Learned]:
    yield Learned()


@contextlib.asynccontextmanager
async def _school(opened: Opened) -> AsyncIterator[School]:
    school = School(opened[LEARNED], opened[STATE], opened.settings.router.learning_interval)
    async with school.running():
        yield school


@contextlib.asynccontextmanager
async def _switches(opened: Opened) -> AsyncIterator[Switches]:
    switches = Switches(opened.settings.features, opened[STATE])
    opened.on_reload.append(lambda new: partial(switches.configure, new.features))
    async with switches.following():
        yield switches


@contextlib.asynccontextmanager
async def _planner(opened: Opened) -> AsyncIterator[Planner]:
    check_strategies(opened.settings)
    section, learned, switches = opened.settings.router, opened[LEARNED], opened[SWITCHES]
    learned.routes = tuple(map(named_route, section.routes))
    learned.on = partial(switches.on, "model_selection")
    learned.tracked = partial(switches.on, "performance_tracking")
    yield Planner(
        opened[CATALOG],
        opened[BOARD],
        strategy=section.strategy,
        rules=tuple(map(rule_of, section.rules)),
        learned=learned,
    )


@contextlib.asynccontextmanager
async def _dispatch(opened: Opened) -> AsyncIterator[Guarded]:
    section, cache = opened.settings.router, opened[CACHE]
    planner = opened[PLANNER]
    gate = gate_of(opened.settings.limits)
    opened[METRICS].registry.register(
        RouterCollector(opened[STATE], opened[BOARD], cache, gate, opened[LEARNED])
    )
    dispatch = Dispatch(
        opened[CATALOG],
        opened[TRANSPORT],
        Recorder(opened[METRICS]),
        opened[DISCOVERY],
        planner,
        opened[BOARD],
        policy_of(section, section.request_timeout),
        opened[GOVERNOR],
        gate,
    )

    def prepare(new: Settings) -> Commit:
        check_strategies(new)
        routes = tuple(map(named_route, new.router.routes))
        rules, policy = tuple(map(rule_of, new.router.rules)), policy_of(new.router, section.request_timeout)

        def commit() -> None:
            planner.configure(new.router.strategy, rules)
            opened[LEARNED].routes = routes
            dispatch.configure(policy)

        return commit

    opened.on_reload.append(prepare)
    grader = Grader(opened[STATE])
    grouped = GroupedDispatch(dispatch, opened[CATALOG], opened[LEARNED], grader, opened[SWITCHES].on)
    inner: Answering = PolicyFallbacks(grouped, opened[CATALOG])
    if cache.section.enabled or cache.section.canned_answer is not None:
        inner = CachedDispatch(inner, opened[CATALOG], cache, opened[GOVERNOR].count)
    async with grader.running():
        yield Guarded(inner, opened[GUARDS], Remote(opened[OUTGOING], inner), opened[METRICS].guards)


@contextlib.asynccontextmanager
async def _guards(opened: Opened) -> AsyncIterator[Guards]:
    guards = Guards(opened.settings.guards, opened[CATALOG])
    opened.on_reload.append(lambda new: guards.prepare(new.guards))
    yield guards


@contextlib.asynccontextmanager
async def _ledger(opened: Opened) -> AsyncIterator[Ledger]:
    ledger = Ledger(opened[STATE], SpendMeters(opened[METRICS]))
    async with ledger.running():
        yield ledger


@contextlib.asynccontextmanager
async def _governor(opened: Opened) -> AsyncIterator[Governor]:
    settings = opened.settings
    governor = Governor(opened[STATE], opened[LEDGER], settings.limits, settings.budgets)
    opened.on_reload.append(lambda new: partial(governor.configure, new.limits, new.budgets))
    opened[METRICS].registry.register(BudgetCollector(governor.budgets))
    async with governor.running():
        yield governor


@contextlib.asynccontextmanager
async def _routing(opened: Opened) -> AsyncIterator[RouterSection]:
    yield opened.settings.router


@contextlib.asynccontextmanager
async def _conversations(opened: Opened) -> AsyncIterator[Conversations]:
    yield Conversations(opened[STATE], opened.settings.router.conversation_ttl)


@contextlib.asynccontextmanager
async def _responses(opened: Opened) -> AsyncIterator[Responses]:
    yield Responses(opened[STATE], opened.settings.router.response_ttl)


@contextlib.asynccontextmanager
async def _outcomes(opened: Opened) -> AsyncIterator[Outcomes]:
    outcomes = Outcomes(opened[STATE])
    async with outcomes.running():
        yield outcomes


@contextlib.asynccontextmanager
async def _answering(opened: Opened) -> AsyncIterator[Answering]:
    section = opened.settings.router
    choice = PersonaChoice(section.persona_rules, section.persona_trials)
    opened.on_reload.append(
        lambda new: partial(choice.configure, new.router.persona_rules, new.router.persona_trials)
    )
    async with contextlib.AsyncExitStack() as stack:
        summarizer = None
        if section.conversation_summary is not None:
            summarizer = Summarizer(
                section.conversation_summary,
                opened[DISPATCH],
                opened[CONVERSATIONS],
                section.conversation_tokens,
                opened[METRICS].summaries,
                opened[KEY_RING],
            )
            await stack.enter_async_context(summarizer.running())
        steps = Steps(
            catalog=opened[CATALOG],
            personas=opened[PERSONAS],
            retriever=opened[RETRIEVER],
            conversations=opened[CONVERSATIONS],
            conversation_tokens=section.conversation_tokens,
            choice=choice,
            outcomes=opened[OUTCOMES],
            summarizer=summarizer,
            guards=opened[GUARDS],
            keeping=opened[KEEPING],
        )
        yield Pipeline(opened[DISPATCH], steps, opened[CHAINS], opened[DISPATCH])


COMPONENTS = (
    Component(TRANSPORT, _transport, (CATALOG,)),
    Component(CATALOG, _catalog),
    Component(DISCOVERY, _discovery, (CATALOG, TRANSPORT)),
    Component(BOARD, _board, (STATE,)),
    Component(LEDGER, _ledger, (STATE, METRICS)),
    Component(CACHE, _cache, (STATE,)),
    Component(REGISTRY, _registry, (STATE, CATALOG, BOARD)),
    Component(GOVERNOR, _governor, (STATE, LEDGER, METRICS)),
    Component(
        DISPATCH,
        _dispatch,
        (
            STATE,
            CATALOG,
            TRANSPORT,
            METRICS,
            DISCOVERY,
            BOARD,
            GOVERNOR,
            CACHE,
            PLANNER,
            LEARNED,
            SWITCHES,
            GUARDS,
            OUTGOING,
        ),
    ),
    Component(GUARDS, _guards, (CATALOG,)),
    Component(LEARNED, _learned),
    Component(SCHOOL, _school, (STATE, LEARNED)),
    Component(SWITCHES, _switches, (STATE,)),
    Component(PLANNER, _planner, (CATALOG, BOARD, LEARNED, SWITCHES)),
    Component(ROUTING, _routing),
    Component(CONVERSATIONS, _conversations, (STATE,)),
    Component(RESPONSES, _responses, (STATE,)),
    Component(OUTCOMES, _outcomes, (STATE,)),
    Component(
        ANSWERING,
        _answering,
        (
            DISPATCH,
            GUARDS,
            CATALOG,
            CONVERSATIONS,
            KEEPING,
            KEY_RING,
            PERSONAS,
            RETRIEVER,
            CHAINS,
            OUTCOMES,
            METRICS,
        ),
    ),
)
