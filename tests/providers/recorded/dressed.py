"""The same stream in other clothes: all that server-sent events allow, and what some vendors do beyond that."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.providers.recorded.rows import Dialect

ERRORS: dict[Dialect, bytes] = {
    "chat": b'data: {"error":{"message":"it broke","type":"server_error","code":500}}\n\n',
    "completions": b'data: {"error":{"message":"it broke","type":"server_error","code":500}}\n\n',
    "responses": b'event: error\ndata: {"type":"error","code":"server_error","message":"it broke","param":null}\n\n',
    "messages": b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"it broke"}}\n\n',
    "gemini": b'data: {"error":{"code":503,"message":"it broke","status":"UNAVAILABLE"}}\n\n',
    "ollama": b'{"error":"it broke"}\n',
}


def dressed(body: bytes, dialect: Dialect) -> Iterator[tuple[str, bytes]]:
    """Variants that mean what `body` means, each with a name."""
    plain = body.replace(b"\r\n", b"\n")
    if dialect == "ollama":
        yield "CRLF", plain.replace(b"\n", b"\r\n")
        yield "blank lines", plain.replace(b"\n", b"\n\n")
        yield "no last line end", plain.rstrip(b"\n")
        return
    if plain.lstrip().startswith(b"["):
        yield "no white space", json.dumps(json.loads(plain), separators=(",", ":")).encode()
        return
    yield "LF", plain
    yield "CRLF", plain.replace(b"\n", b"\r\n")
    yield "CR", plain.replace(b"\n", b"\r")
    yield "no last line end", plain.rstrip(b"\n")
    yield "a byte order mark", b"\xef\xbb\xbf" + plain
    yield "no space after the colon", plain.replace(b"data: ", b"data:")
    yield "comments", b": hello\n\n" + plain.replace(b"\n\n", b"\n\n: still here\n\n")
    yield "ids and retries", plain.replace(b"data:", b"id: 1\nretry: 5\ndata:")
    yield "several lines of data", b"".join(_over_lines(block) for block in plain.split(b"\n\n") if block)
    if dialect in ("chat", "completions") and b'"finish_reason":"' in plain.replace(b" ", b""):
        yield "no [DONE]", plain.replace(b"data: [DONE]\n\n", b"").replace(b"data:[DONE]\n\n", b"")


def _over_lines(block: bytes) -> bytes:
    """An event with its JSON written over several lines."""
    lines: list[bytes] = []
    for line in block.split(b"\n"):
        payload = line.removeprefix(b"data:").strip()
        if line.startswith(b"data:") and payload.startswith(b"{"):
            pretty = json.dumps(json.loads(payload), indent=1).encode()
            lines += [b"data: " + piece for piece in pretty.split(b"\n")]
        else:
            lines.append(line)
    return b"\n".join(lines) + b"\n\n"


def broken(body: bytes, dialect: Dialect) -> bytes | None:
    """The stream with an error in the middle; None for one too short to have a middle, or that is an array."""
    plain = body.replace(b"\r\n", b"\n")
    end = b"\n" if dialect == "ollama" else b"\n\n"
    events = [event for event in plain.split(end) if event.strip()]
    if len(events) < 4 or plain.lstrip().startswith(b"["):
        return None
    half = len(events) // 2
    return end.join(events[:half]) + end + ERRORS[dialect] + end.join(events[half:]) + end
