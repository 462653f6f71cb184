"""The web console of a Router: its sessions, and a way to every role of the installation."""

from __future__ import annotations

import contextlib
import importlib
import time
from collections.abc import AsyncIterator

import structlog
from aiohttp import web

from intellirouter.app.component import Component, Opened
from intellirouter.errors import StateError
from intellirouter.memory.store import StateStore
from intellirouter.roles.keys import KEY_RING, ROLE_APPS, STATE
from intellirouter.roles.router.auth import LOGIN
from intellirouter.roles.router.console.gateway import Gateway
from intellirouter.roles.router.console.pages import Pages
from intellirouter.roles.router.console.routes import CONSOLE, Console
from intellirouter.roles.router.console.sessions import Proof, Sessions, setup_link
from intellirouter.roles.router.handed_on import HANDED_ON
from intellirouter.security.api_keys import KeyRing

log = structlog.get_logger(__name__)

REMOTE = "intellirouter.app.components.remote_peers"


@contextlib.asynccontextmanager
async def _console(opened: Opened) -> AsyncIterator[Console | None]:
    settings = opened.settings
    if not settings.console.enabled:
        yield None
        return
    ipc, ring, apps = settings.ipc, opened[KEY_RING], opened[ROLE_APPS]
    elsewhere = {
        "ChainEngine": ipc.chain_engine_endpoint,
        "RagManager": ipc.rag_manager_endpoint,
        "PersonaLayer": ipc.persona_layer_endpoint,
    }
    named = {role: place for role, place in elsewhere.items() if place and role not in opened.local}
    async with contextlib.AsyncExitStack() as stack:
        remote = {}
        if named:
            clients = importlib.import_module(REMOTE).role_clients(settings, named)
            remote = await stack.enter_async_context(clients)
        login = opened[LOGIN]
        sessions = Sessions(
            opened[STATE],
            ring.caller_of,
            settings.console.session_hours * 3600,
            keys=settings.auth.enabled,
            signed_out=ring.people.signed_out,
            proves=lambda proof: _proves(ring, proof),
            vouching=login.entrance.grants if login is not None and login.entrance is not None else None,
        )
        setup = None if settings.auth.enabled else await _link(opened[STATE])
        yield Console(Pages(), sessions, Gateway(apps, remote), setup)


def _proves(ring: KeyRing, proof: Proof) -> bool:
    """Whether what somebody signed in with is good yet."""
    if proof.sha256 and not ring.takes(proof.sha256):
        return False
    ended = bool(proof.sign_in) and ring.people.revoked(proof.sign_in)
    return not ended and (proof.until is None or time.time() < proof.until)


async def _link(store: StateStore) -> str | None:
    try:
        return await setup_link(store)
    except StateError as error:  # `intellirouter console` makes one when the store is back
        log.warning("console.no_setup_link", reason=error.message)
        return None


@contextlib.asynccontextmanager
async def _role_apps(_opened: Opened) -> AsyncIterator[dict[str, web.Application]]:
    yield {}


@contextlib.asynccontextmanager
async def _handed_on(opened: Opened) -> AsyncIterator[Gateway]:
    """A way to the RagManager, with or without a console."""
    endpoint = opened.settings.ipc.rag_manager_endpoint
    async with contextlib.AsyncExitStack() as stack:
        remote = {}
        if endpoint and "RagManager" not in opened.local:
            clients = importlib.import_module(REMOTE).role_clients(opened.settings, {"RagManager": endpoint})
            remote = await stack.enter_async_context(clients)
        apps = opened[ROLE_APPS]
        yield Gateway(apps, remote)


COMPONENTS = (
    Component(CONSOLE, _console, (STATE, KEY_RING, LOGIN, ROLE_APPS)),
    Component(ROLE_APPS, _role_apps),
    Component(HANDED_ON, _handed_on, (ROLE_APPS,)),
)
