"""Health tells since when each part has been as it is, and the worst of them."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from intellirouter.web.probes import Health, PartHealth, Status


def test_since_when_a_part_is_as_it_is() -> None:
    now: Status = "healthy"
    parts = {
        "state": lambda _: PartHealth(now),
        "disk": lambda _: PartHealth("degraded", "it is nearly full"),
    }
    health, app = Health("Router", parts), web.Application()

    def told() -> dict[str, Any]:
        body: Any = health.report(app)[1]
        return {name: part["since"] for name, part in body["parts"].items()}

    first = told()
    assert first["state"] == round(health.started, 3)  # as far as anybody knows
    assert health.report(app)[0] == "degraded"
    health._since["state"] = ("healthy", 1.0)
    assert told() == {**first, "state": 1.0}  # nothing changed
    now = "unhealthy"
    assert told()["state"] >= first["state"]
    assert health.report(app)[0] == "unhealthy"
