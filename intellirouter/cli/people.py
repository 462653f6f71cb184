"""What the commands `users`, `teams`, `roles` and `keys` share: the records of people, and the roles of the configuration."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import typer

from intellirouter.app.components.sealing import sealed
from intellirouter.cli.audited import audited_command
from intellirouter.config.load import Loaded
from intellirouter.identity.store import PeopleStore
from intellirouter.memory.open import open_state
from intellirouter.security.people import is_name
from intellirouter.security.policy import Policy, no_role, read_policy

T = TypeVar("T")


def with_people(loaded: Loaded, act: Callable[[PeopleStore], Awaitable[T]]) -> T:
    """What is done with the records of the configuration's store."""

    async def run() -> T:
        settings = loaded.settings
        async with open_state(settings.memory.unhurried(), settings.paths.data_dir) as store:
            return await act(PeopleStore(await sealed(store, settings.security)))

    with audited_command(loaded.settings):
        return asyncio.run(run())


def policy_of(loaded: Loaded) -> Policy:
    """The roles that the configuration has."""
    return read_policy(loaded.settings.auth.policy_file)


def check_roles(loaded: Loaded, roles: Sequence[str] | None) -> None:
    """Raises `typer.BadParameter` for a role that is not there."""
    policy = policy_of(loaded) if roles else None
    for name in roles or ():
        if policy is not None and name not in policy.roles:
            raise typer.BadParameter(no_role(name, policy), param_hint="--role")


def check_name(name: str) -> None:
    """Raises `typer.BadParameter` for one that cannot be."""
    if not is_name(name):
        raise typer.BadParameter(
            "a name has at most 128 characters, without blanks, '/', ':', '?', '#' and characters that nobody sees"
        )
