"""Signing in with a name and a password."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import AsyncIterator

from intellirouter.app.component import Component, Opened
from intellirouter.roles.keys import KEY_RING, PEOPLE, STATE
from intellirouter.roles.router.auth import LOGIN, Login


@contextlib.asynccontextmanager
async def _login(opened: Opened) -> AsyncIterator[Login | None]:
    section, ring = opened.settings.auth, opened[KEY_RING]
    if not (section.login.enabled and section.enabled):
        yield None
        return
    passwords = importlib.import_module("intellirouter.identity.passwords").Checker()
    sessions = importlib.import_module("intellirouter.identity.sessions")
    try:
        sign_ins = sessions.SignIns(
            opened[STATE],
            opened[PEOPLE],
            ring.tokens,
            section.login.token_seconds,
            section.login.refresh_seconds,
        )
        yield Login(sign_ins, passwords, ring.people, opened[STATE])
    finally:
        passwords.close()


COMPONENTS = (Component(LOGIN, _login, (KEY_RING, PEOPLE, STATE)),)
