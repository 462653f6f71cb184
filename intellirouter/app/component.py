"""A component: something a role needs opened, what it needs first, and how to open it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Any, Generic, TypeVar, cast

from aiohttp import web

from intellirouter.config.schema.settings import Settings

T = TypeVar("T")

Commit = Callable[[], None]
"""Takes over what was prepared; it cannot fail."""
Prepare = Callable[[Settings], Commit | Awaitable[Commit]]
"""Opens and checks all that a new configuration needs, and changes nothing. Raises what is wrong with it."""


@dataclass(slots=True)
class Opened:
    """What is open so far. `local` names the roles this process runs.

    A component that can take a new configuration while it runs adds to `on_reload` what prepares it: a reload is all or
    nothing, so that every part has prepared before the first one changes.
    """

    settings: Settings
    local: frozenset[str]
    values: dict[web.AppKey[Any], Any] = field(default_factory=dict)
    on_reload: list[Prepare] = field(default_factory=list)

    def __getitem__(self, key: web.AppKey[T]) -> T:
        return cast("T", self.values[key])


@dataclass(frozen=True, slots=True)
class Component(Generic[T]):
    """`open` receives what `needs` names, already open, and closes its own in reverse."""

    key: web.AppKey[T]
    open: Callable[[Opened], AbstractAsyncContextManager[T]]
    needs: tuple[web.AppKey[Any], ...] = ()


async def open_components(
    stack: AsyncExitStack,
    opened: Opened,
    table: Iterable[Component[Any]],
    wanted: Iterable[web.AppKey[Any]],
) -> None:
    """Open the wanted components and all they need, in order of need; `stack` closes them in reverse."""
    by_key = {component.key: component for component in table}
    graph: dict[web.AppKey[Any], tuple[web.AppKey[Any], ...]] = {}
    pending = [key for key in wanted if key not in opened.values]
    while pending:
        key = pending.pop()
        if key not in graph and key not in opened.values:
            graph[key] = by_key[key].needs
            pending.extend(by_key[key].needs)
    for key in TopologicalSorter(graph).static_order():
        if key not in opened.values:
            opened.values[key] = await stack.enter_async_context(by_key[key].open(opened))
