"""Signing in: with a name and a password, or at a provider of identities."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import AsyncIterator
from typing import Any

from intellirouter.app.component import Component, Opened
from intellirouter.config.schema.auth import AuthSection
from intellirouter.roles.keys import KEY_RING, OUTGOING, PEOPLE, STATE
from intellirouter.roles.router.auth import LOGIN, Login


@contextlib.asynccontextmanager
async def _login(opened: Opened) -> AsyncIterator[Login | None]:
    section, ring = opened.settings.auth, opened[KEY_RING]
    if not section.enabled or not (section.login.enabled or section.oidc):
        yield None
        return
    async with contextlib.AsyncExitStack() as stack:
        passwords = entrance = None
        if section.login.enabled:
            passwords = importlib.import_module("intellirouter.identity.passwords").Checker()
            stack.callback(passwords.close)
        if section.oidc:
            entrance = await stack.enter_async_context(contextlib.aclosing(_entrance(opened, section)))
        sign_ins = importlib.import_module("intellirouter.identity.sessions").SignIns(
            opened[STATE],
            opened[PEOPLE],
            ring.tokens,
            section.login.token_seconds,
            section.login.refresh_seconds,
            entrance.grants if entrance is not None else None,
        )
        url = opened.settings.server.public_url
        yield Login(sign_ins, passwords, ring.people, opened[STATE], entrance, url)


def _entrance(opened: Opened, section: AuthSection) -> Any:
    """Who has no provider does not pay for what speaks to one."""
    oidc = "intellirouter.identity.oidc"
    provider = importlib.import_module(f"{oidc}.provider").Provider
    ways = importlib.import_module(f"{oidc}.way").Ways
    tokens: Any = opened[KEY_RING].tokens
    return importlib.import_module(f"{oidc}.entrance").Entrance(
        {one.name: provider(one, opened[OUTGOING]) for one in section.oidc},
        ways(tokens.derived("sign-in ways")),
        opened[PEOPLE],
        opened[KEY_RING].people,
        opened[STATE],
        section.login.refresh_seconds,
    )


COMPONENTS = (Component(LOGIN, _login, (KEY_RING, OUTGOING, PEOPLE, STATE)),)
