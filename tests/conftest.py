"""Fixtures every test may use."""

from __future__ import annotations

import contextlib
import gc
import itertools
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import structlog
from hypothesis import HealthCheck, settings

from intellirouter.app.node import Node
from intellirouter.app.roles import select
from intellirouter.app.supervisor import running
from intellirouter.config.load import load
from tests.servers.vendor import Answer, Vendor
from tests.servers.warm.children import fork_from
from tests.servers.warm.process import warm_socket

settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")  # no property depends on how fast the machine is

LONG = (
    "console/test_roles.py",
    "console/test_sign_in.py",
    "console/test_full.py",
    "console/test_apart.py",
    "console/test_strangers.py",
    "e2e/test_callers.py",
    "e2e/test_record_survives.py",
    "ops/test_places.py",
    "ops/test_untrusted.py",
    "rag_manager/test_replacing.py",
    "rag_manager/test_cluster.py",
    "learning/test_school.py",
    "cli/test_setup.py",
    "security/test_oidc.py",
    "security/test_sealed_chains.py",
    "clients/test_guarded_clients.py",
    "scripts/test_attack.py",
    "chains/test_cluster.py",
    "e2e/test_outage_script.py",
    "roles/router/test_fuzzed_bodies.py",
    "conformance/transport/test_differential.py",
    "docs/test_guides.py",
    "console/test_pages.py",
    "console/test_states.py",
    "cli/test_mistakes.py",
    "ops/test_breakages.py",
    "ops/test_disaster.py",
    "rag_manager/test_cli.py",
    "e2e/test_nodes.py",
    "e2e/test_learning_nodes.py",
    "chains/test_giving_up.py",
    "providers/test_recordings.py",
)
"""Files that take a minute and more begin first, so that none is left for the end, when the other processes have nothing to do."""

COLLECT_EVERY = 40
"""Tests: collecting after each would be half of what they cost."""

StartVendor = Callable[..., Awaitable[Vendor]]
StartNode = Callable[..., Awaitable[Node]]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files first; the order is one of chance otherwise."""
    items.sort(key=lambda item: not any(file in item.nodeid for file in LONG))


_ended = itertools.count(1)


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Nodes have little collected, and hundreds of them in one process leave gigabytes."""
    yield
    if next(_ended) % COLLECT_EVERY == 0:
        gc.collect()


@pytest.fixture(autouse=True)
def same_umask() -> Iterator[None]:
    """A command that a test calls in this process takes the umask of one; the tests behind it see the one before."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


def _own_handlers() -> list[logging.Handler]:
    """Those of the root logger that are not pytest's: it changes its own from phase to phase."""
    return [one for one in logging.getLogger().handlers if type(one).__module__ != "_pytest.logging"]


@pytest.fixture(autouse=True)
def same_logging() -> Iterator[None]:
    """A node or command that a test calls in this process sets up logs, to a stream that is closed by the next test."""
    root, before, level, configured = (
        logging.getLogger(),
        _own_handlers(),
        logging.getLogger().level,
        structlog.get_config(),
    )
    yield
    for handler in _own_handlers():
        if handler not in before:
            root.removeHandler(handler)
            handler.close()
    for handler in before:
        root.addHandler(handler)
    root.setLevel(level)
    _configure(**configured)


_configure = structlog.configure


def _configure_for_a_while(**wanted: Any) -> None:
    """The loggers of modules outlive a test, so that none may keep what one test set up."""
    _configure(**{**wanted, "cache_logger_on_first_use": False})


structlog.configure = _configure_for_a_while

fork_from(warm_socket)


@pytest.fixture
async def start_vendor() -> AsyncIterator[StartVendor]:
    """Start stand-in vendors on free ports: `vendor = await start_vendor(Play(…))`."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(*answers: Answer, by_path: dict[str, Answer] | None = None) -> Vendor:
            return await stack.enter_async_context(Vendor(*answers, by_path=by_path).running())

        yield start


@pytest.fixture
async def start_node(tmp_path: Path) -> AsyncIterator[StartNode]:
    """Start roles in this process on free ports, from TOML text: `node = await start_node(toml)`."""
    async with contextlib.AsyncExitStack() as stack:
        count = 0

        async def start(
            toml: str = "",
            role: str = "Router",
            environment: dict[str, str] | None = None,
            data_dir: Path | None = None,
        ) -> Node:
            nonlocal count
            count += 1
            file = tmp_path / f"node-{count}.toml"
            file.write_text(toml)
            flags = {("server", "port"): 0, ("paths", "data_dir"): data_dir or tmp_path / f"data-{count}"}
            loaded = load(file, environment or {}, flags)
            return await stack.enter_async_context(running(loaded, select(role)))

        yield start


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A plain HTTP client with a deadline."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        yield session


def provider(
    vendor: Vendor, *, name: str = "primary", kind: str = "openai_compatible", more: str = ""
) -> str:
    """The TOML of a provider that is `vendor`, with one model `m`."""
    return (
        f'[[model_registry.providers]]\nname = "{name}"\nkind = "{kind}"\nendpoint = "{vendor.url}/v1"\n'
        f'api_key = "sk-secret-of-{name}"\nmodels = ["m"]\n{more}\n'
    )
