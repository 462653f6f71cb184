"""What single parts say of themselves on /health, and which processes live."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web

from intellirouter.app.components.audit import audit_health
from intellirouter.app.identity_health import identity_health
from intellirouter.app.node import Listening
from intellirouter.app.node_files import NodeFile, Verdict, alive, announced
from intellirouter.app.supervisor import status_of
from intellirouter.roles.keys import AUDITOR
from intellirouter.roles.router.auth import LOGIN
from intellirouter.security.audit.auditor import Auditor
from intellirouter.security.audit.entry import Level
from intellirouter.security.audit.journal import Journal

KEY = b"a key of the tests, long enough"


@pytest.mark.parametrize(
    ("level", "failing", "status"),
    [
        (None, "", "healthy"),
        ("standard", "", "healthy"),
        ("full", "", "healthy"),
        ("standard", "the disk is full", "degraded"),
        ("full", "the disk is full", "unhealthy"),
    ],
)
def test_an_audit_that_cannot_write(level: Level | None, failing: str, status: str, tmp_path: Path) -> None:
    app = web.Application()
    app[AUDITOR] = None
    if level is not None:
        app[AUDITOR] = auditor = Auditor(Journal(tmp_path, KEY).open(), level, str)
        auditor.failing = failing
    told = audit_health(app)
    assert (told.status, told.reason) == (status, failing)


@pytest.mark.parametrize(
    ("issuers", "providers", "reason"),
    [
        (None, None, ""),
        ([], None, ""),
        ([], [], ""),
        (["a is away"], None, "a is away"),
        (None, ["b is away"], "b is away"),
        (["a is away"], ["b is away"], "a is away; b is away"),
    ],
)
def test_who_vouches_for_people_is_away(
    issuers: list[str] | None, providers: list[str] | None, reason: str
) -> None:
    def troubled(told: list[str] | None) -> Any:
        return None if told is None else SimpleNamespace(troubles=lambda: told)

    app = web.Application()
    app[LOGIN] = SimpleNamespace(entrance=troubled(providers))  # type: ignore[assignment]
    ring: Any = SimpleNamespace(tokens=troubled(issuers))
    without = web.Application()
    told = identity_health(ring)(app)
    assert (told.status, told.reason.partition(": ")[2]) == ("degraded" if reason else "healthy", reason)
    assert identity_health(ring)(without).status == ("degraded" if issuers else "healthy")


@pytest.mark.parametrize(
    ("verdict", "told"),
    [
        (Verdict(), ""),
        (
            Verdict(accepted=False, message="port: is no number\nmore"),
            "; the new configuration was refused: port: is no number",
        ),
        (
            Verdict(needs_restart=["server.port", "paths.data_dir"]),
            "; waiting for a restart: server.port, paths.data_dir",
        ),
    ],
)
def test_systemd_is_told_how_a_reload_went(verdict: Verdict, told: str) -> None:
    node: Any = SimpleNamespace(
        listening=[Listening("Router", "h", 1), Listening("RagManager", "h", 2, "https")]
    )
    assert status_of(node, verdict) == f"serving Router on http://h:1, RagManager on https://h:2{told}"


def test_a_process_lives_while_it_is_the_one_that_wrote_the_file(tmp_path: Path) -> None:
    with announced(tmp_path, {}, os.getpid()) as here:
        assert alive(here.node)
        began = here.node.began
    assert began > 0
    assert alive(NodeFile(os.getpid(), 0, 0)), "when it began could not be told"
    assert not alive(NodeFile(os.getpid(), began + 1, 0)), "another has its number now"
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert not alive(NodeFile(ended.pid, 0, 0))
