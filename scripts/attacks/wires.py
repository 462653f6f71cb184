"""Odd calls of the gRPC between roles: by strangers, by holders of keys, with forged callers and bytes that are no message."""

from __future__ import annotations

import random

import grpc.aio

from intellirouter.peers.grpc import wire
from scripts.attacks.fleet import KEYS, TABLES
from scripts.attacks.requests import body

METHODS = {
    "Router": ("Complete", "Stream", "Embed", "Caller"),
    "RagManager": ("Retrieve", wire.HAND_ON),
    "PersonaLayer": ("Resolve", wire.HAND_ON),
    "ChainEngine": ("Run", wire.HAND_ON),
}
BODIES = {
    "Complete": "/v1/chat/completions",
    "Stream": "/v1/chat/completions",
    "Embed": "/v1/embeddings",
    "Retrieve": "/rag/v1/retrieve",
}
"""The route whose bodies a method takes; the others have bodies of their own."""
SECONDS = 30.0
FORGED = ("", "x", "a.b.c", "eyJhbGciOiJub25lIn0.eyJ0ZW5hbnQiOiJhIn0.", "{}", "A" * 4_000)


async def call(channel: grpc.aio.Channel, role: str, pick: random.Random) -> tuple[str, str, str]:
    """Make one call. Who made it, the status, and all that came back as text."""
    who = pick.choice(list(KEYS))
    metadata = [("authorization", f"Bearer {KEYS[who]}")] if KEYS[who] else []
    if pick.random() < 0.3:
        metadata.append(("x-intellirouter-peer", pick.choice(FORGED)))
    name = pick.choice(METHODS[role])
    sent = wire.encode(body(BODIES.get(name, f"{role}/{name}"), pick))
    if pick.random() < 0.2:
        sent = pick.randbytes(pick.randint(0, 200))
    target = wire.method(role, name)
    try:
        if name in ("Stream", wire.HAND_ON):
            streamed = channel.unary_stream(target)(sent, timeout=SECONDS, metadata=metadata)
            heard = b"".join([part async for part in streamed])
        else:
            heard = await channel.unary_unary(target)(sent, timeout=SECONDS, metadata=metadata)
    except grpc.aio.AioRpcError as error:
        told = dict(error.trailing_metadata() or ()).get(wire.ERROR_KEY, b"")
        text = told.decode("utf-8", "replace") if isinstance(told, bytes) else str(told)
        return who, error.code().name, f"{error.details()} {text}"
    return who, "OK", heard.decode("utf-8", "replace")


def roles() -> tuple[str, ...]:
    """Those that speak gRPC."""
    return ("Router", *TABLES)
