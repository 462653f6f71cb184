"""Where things lie in Redis, and which of them lie together in a Cluster.

Under the namespace: `v:` values (a hash of value `v` and version `n`), `c:` counters (a hash of bucket `b` and level `l`),
`l:` logs (a list), `k:` leases (a hash). The counters of a family carry it as their hash tag, so that a reservation
over several of them is one script on one node.
"""

from __future__ import annotations

from intellirouter.memory.store import family


class Keys:
    """The names of one namespace."""

    def __init__(self, namespace: str) -> None:
        self.values = f"{namespace}:v:"
        self.logs = f"{namespace}:l:"
        self._counters = f"{namespace}:c:"
        self._leases = f"{namespace}:k:"
        self._channels = f"{namespace}:"

    def value(self, key: str) -> str:
        """A value's hash."""
        return self.values + key

    def log(self, key: str) -> str:
        """A log's list."""
        return self.logs + key

    def counter(self, key: str, window: float) -> str:
        """A counter's hash: its family is the hash tag."""
        return f"{self._counters}{{{family(key)}}}:{key}:{window:g}"

    def lease(self, name: str) -> str:
        """A lease's hash."""
        return self._leases + name

    def channel(self, channel: str) -> str:
        """A channel, or a pattern of channels."""
        return self._channels + channel

    def channel_of(self, name: bytes) -> str:
        """The channel a message came on."""
        return name.decode().removeprefix(self._channels)


def escape(pattern: str) -> str:
    """A pattern in which only `*` keeps a meaning to Redis."""
    return "".join(f"\\{character}" if character in "?[]^\\" else character for character in pattern)
