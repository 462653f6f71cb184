"""A node that is gone is let go, also where the process lives on."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

from intellirouter.app.roles import select
from intellirouter.app.supervisor import running
from intellirouter.config.load import load
from intellirouter.roles.keys import METRICS
from intellirouter.telemetry.metrics import Metrics


async def served_for_a_moment(folder: Path) -> weakref.ref[Metrics]:
    flags = {("server", "port"): 0, ("paths", "data_dir"): folder}
    async with running(load(None, {}, flags), select("PersonaLayer")) as node:
        assert gc.get_freeze_count() > 0
        return weakref.ref(node.opened[METRICS])


async def test_a_node_that_ended_is_collected(tmp_path: Path) -> None:
    before = gc.get_threshold()
    gone = await served_for_a_moment(tmp_path)
    gc.collect()
    assert gone() is None
    assert (gc.get_freeze_count(), gc.get_threshold()) == (0, before)
