"""The kinds that are one call: `rag`, `persona`, `http`, `tool`."""

from __future__ import annotations

from typing import Any

from intellirouter.chains.ports import Ports, Ticket, WebRequest


async def rag(spec: dict[str, Any], ports: Ports, ticket: Ticket) -> dict[str, Any]:
    """`{"hits": […], "text": every hit's text}`."""
    hits = await ports.search.retrieve(
        spec["query"], spec["collection"], spec.get("top_k", 5), spec.get("filters"), ticket
    )
    return {"hits": hits, "text": "\n\n".join(str(hit.get("text", "")) for hit in hits)}


async def persona(spec: dict[str, Any], ports: Ports, ticket: Ticket) -> dict[str, Any]:
    """The rendered persona."""
    return await ports.personas.resolve(spec["name"], spec.get("variables", {}), ticket)


async def http(spec: dict[str, Any], ports: Ports, ticket: Ticket) -> dict[str, Any]:
    """`{"status", "headers", "url", "body"}`. The step's key goes along, so that a request that is repeated can be told from a second one."""
    given = {str(name): str(value) for name, value in spec.get("headers", {}).items()}
    if not any(name.lower() == "idempotency-key" for name in given):
        given["idempotency-key"] = ticket.key
    request = WebRequest(
        spec.get("method", "GET"),
        spec["url"],
        given,
        spec.get("query", {}),
        spec.get("body"),
        spec.get("secret"),
        tuple(spec.get("accept_status", ())),
    )
    return await ports.web.send(request, ticket)


async def tool(spec: dict[str, Any], ports: Ports, ticket: Ticket) -> Any:
    """What the tool answers."""
    return await ports.tools.call(spec["name"], spec.get("arguments", {}), ticket)
