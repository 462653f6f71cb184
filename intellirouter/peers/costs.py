"""What a streamed answer cost, told between roles in a comment at its end: no event of any dialect has a place for it."""

from __future__ import annotations

NAME = b": x-intellirouter-cost-usd: "
_KEPT = 200


class CostComment:
    """Reads the comment out of a stream that passes by."""

    __slots__ = ("_tail",)

    def __init__(self) -> None:
        self._tail = b""

    def feed(self, data: bytes) -> None:
        """More of the stream."""
        self._tail = (self._tail + data)[-_KEPT:]

    @property
    def usd(self) -> float | None:
        """The cost; None where nobody knows it."""
        _, found, rest = self._tail.rpartition(NAME)
        try:
            return float(rest.partition(b"\n")[0]) if found else None
        except ValueError:
            return None


def comment(usd: float | None) -> bytes:
    """The comment that says it."""
    return b"" if usd is None else b"%b%.8f\n\n" % (NAME, usd)
