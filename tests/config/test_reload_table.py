"""The table of what a reload applies: it names every key, and says what the running node does."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from pydantic import BaseModel

from intellirouter.app.node import prepare_logs
from intellirouter.config.reload_table import APPLIES_NOW, WAITS, keys, waiting
from intellirouter.config.schema.settings import Settings
from tests.conftest import StartNode

ALL = sorted(keys())
CHECKED_ELSEWHERE = {
    # what it adds stands in model_registry.providers, before a part sees it
    "model_registry.discover_environment",
    # only a node that serves TLS has the part: test_reload.py changes both
    "server.tls.certificate",
    "server.tls.key",
    # only where lines are sent there: tests/telemetry/test_shipping.py changes them while they are
    *(key for key in ALL if key.startswith(("telemetry.loki.", "telemetry.syslog.", "telemetry.journald."))),
}
READ_ALWAYS = {"telemetry.loki.url", "telemetry.syslog.address", "telemetry.journald.mode"}


@pytest.mark.parametrize("key", ALL)
def test_every_key_is_said_to_apply_or_to_wait(key: str) -> None:
    held = {place for place in WAITS if key == place or key.startswith(f"{place}.")}
    assert (key in APPLIES_NOW) != bool(held), (
        f"say in config/reload_table.py whether {key} applies at a reload"
    )


def test_nothing_is_named_that_is_no_key() -> None:
    assert set(ALL) >= APPLIES_NOW
    assert all(any(key == place or key.startswith(f"{place}.") for key in ALL) for place in WAITS)


class Recorder:
    """A section that notes which of its keys are read."""

    def __init__(self, section: BaseModel, read: set[str], path: str = "") -> None:
        self._section, self._read, self._path = section, read, path

    def __getattr__(self, name: str) -> Any:
        described = getattr(type(self._section), name, None)
        if isinstance(described, property):
            assert described.fget is not None
            return described.fget(self)
        value = getattr(self._section, name)
        if name not in type(self._section).model_fields:
            return value
        if isinstance(value, BaseModel):
            return Recorder(value, self._read, f"{self._path}{name}.")
        self._read.add(f"{self._path}{name}")
        return value

    def __eq__(self, other: object) -> bool:
        self._read |= {f"{self._path}{name}" for name in type(self._section).model_fields}
        return self._section == other

    def __hash__(self) -> int:
        return hash(self._section)


async def test_what_a_running_node_reads_of_a_new_configuration_is_what_the_table_says(
    start_node: StartNode,
) -> None:
    node = await start_node(role="All")
    settings = node.loaded.settings
    read: set[str] = set()
    new: Any = Recorder(settings, read)
    commits = []
    for part in (*node.opened.on_reload, lambda new: prepare_logs(new, "", started=settings)):
        commit = part(new)
        commits.append(await commit if inspect.isawaitable(commit) else commit)
    for commit in commits[:-1]:  # the log of the tests stays as it is
        commit()
    # the format of the log is derived from it, and a change of it is said to wait
    assert read - {"environment"} - READ_ALWAYS == APPLIES_NOW - CHECKED_ELSEWHERE
    assert read >= READ_ALWAYS


def test_what_waits_is_named_by_its_keys() -> None:
    was = Settings()
    changed = was.model_copy(
        update={
            "cache": was.cache.model_copy(update={"enabled": True}),
            "telemetry": was.telemetry.model_copy(update={"tracing_enabled": True, "log_level": "debug"}),
            "rag": was.rag.model_copy(update={"chunk_size": 500, "embedding_model": "a/b"}),
            "router": was.router.model_copy(update={"transport": "aiohttp", "strategy": "cost"}),
        }
    )
    assert waiting(was, changed) == [
        "telemetry.tracing_enabled",
        "router.transport",
        "cache.enabled",
        "rag.embedding_model",
        "rag.chunk_size",
    ]
    assert waiting(was, was) == []
