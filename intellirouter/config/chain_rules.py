"""What of `[chain_engine]` contradicts itself."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from urllib.parse import urlsplit

from intellirouter.config.schema.chain_engine import ChainEngineSection

Finding = tuple[tuple[str | int, ...], str]


def errors(engine: ChainEngineSection) -> Iterator[Finding]:
    """What keeps a node from starting."""
    if engine.mode in ("api", "worker") and engine.database_url is None:
        yield (
            ("chain_engine", "mode"),
            f"'{engine.mode}' needs chain_engine.database_url: a Postgres that both kinds of nodes share.",
        )
    if engine.mode == "hybrid" and engine.centre is None:
        yield (
            ("chain_engine", "mode"),
            "'hybrid' needs [chain_engine.centre]: url, name and token of the centre that runs are forwarded to.",
        )
    if engine.mode == "hybrid" and engine.database_url is not None:
        yield (
            ("chain_engine", "database_url"),
            "cannot be with mode 'hybrid': an edge has its runs in a file of its own, so that it works alone.",
        )
    if engine.mode != "hybrid" and engine.centre is not None:
        yield ("chain_engine", "centre"), f"is for mode 'hybrid', and the mode is '{engine.mode}'."
    centre = engine.centre
    if centre is not None and centre.protocol == "grpc" and urlsplit(centre.url).port is None:
        yield (
            ("chain_engine", "centre", "url"),
            "needs a port for gRPC: that of the centre's server.grpc_port.",
        )
    seen: dict[str, str] = {}
    for name, edge in engine.edges.items():
        for key, token in (("token", edge.token), ("previous_token", edge.previous_token)):
            if token is None:
                continue
            other = seen.setdefault(token.get_secret_value(), name)
            if other != name:
                yield (
                    ("chain_engine", "edges", name, key),
                    f"is that of '{other}' too: an edge could speak as the other. Generate one: openssl rand -hex 32.",
                )


def warnings(engine: ChainEngineSection) -> Iterator[Finding]:
    """What an operator must hear."""
    centre = engine.centre
    if (
        centre is not None
        and centre.url.startswith("http://")
        and not _is_near(urlsplit(centre.url).hostname)
    ):
        yield (
            ("chain_engine", "centre", "url"),
            "is asked without TLS: whoever is on the way reads what runs say. Use https://.",
        )


def _is_near(host: str | None) -> bool:
    """This machine, or one of a network that is not the world's."""
    try:
        address = ipaddress.ip_address(host or "")
    except ValueError:
        return host == "localhost"
    return address.is_private
