"""Where a key may be used: at which endpoints, from which addresses, on which collections, how often at once.

It stands at the door where a client comes in, and, for collections, wherever they are looked up. A key without a fence costs
nothing.
"""

from __future__ import annotations

import contextlib
import ipaddress
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Literal

from intellirouter.errors import PermissionDenied, RateLimited


@dataclass(frozen=True, slots=True)
class Fence:
    """Empty: everything. `endpoints` and what is named by kind are names that may hold `*`; `addresses` are networks (CIDR).

    `max_parallel` bounds the requests of the key that one process answers at once.
    """

    endpoints: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    collections: tuple[str, ...] = ()
    max_parallel: int | None = None
    chains: tuple[str, ...] = ()
    personas: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()

    def check_door(self, path: str, address: str | None) -> None:
        """Raises `PermissionDenied` for an endpoint or an address that the key is not for."""
        if self.endpoints and not _matches(path, self.endpoints):
            raise PermissionDenied("This key may not use this endpoint.")
        if self.addresses and not _within(address, self.addresses):
            raise PermissionDenied("This key may not be used from this address.")

    def allows(self, kind: Literal["collections", "chains", "personas", "tools"], name: str) -> bool:
        """Whether the one of that kind and name may be used."""
        patterns: tuple[str, ...] = getattr(self, kind)
        return not patterns or _matches(name, patterns)


NO_FENCE = Fence()


class Parallel:
    """How many requests of each key one process is answering."""

    def __init__(self) -> None:
        self._under_way: Counter[str] = Counter()

    @contextlib.contextmanager
    def one(self, key_id: str, most: int) -> Iterator[None]:
        """Hold a place. Raises `RateLimited` where all are taken."""
        if self._under_way[key_id] >= most:
            if not self._under_way[key_id]:
                del self._under_way[key_id]
            raise RateLimited(f"This key may have {most} requests under way at once.", retry_after=1.0)
        self._under_way[key_id] += 1
        try:
            yield
        finally:
            self._under_way[key_id] -= 1
            if not self._under_way[key_id]:
                del self._under_way[key_id]

    @contextlib.contextmanager
    def passing(self, key_id: str, fence: Fence | None, path: str, address: str | None) -> Iterator[None]:
        """Let a request through its key's fence, and hold a place for it. Raises `PermissionDenied`, `RateLimited`."""
        if fence is not None:
            fence.check_door(path, address)
        if fence is None or fence.max_parallel is None:
            yield
            return
        with self.one(key_id, fence.max_parallel):
            yield


def problem_of(fence: Fence) -> tuple[str, str] | None:
    """The field that does not hold, and why."""
    for network in fence.addresses:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            return "addresses", f"'{network[:60]}' is no address or network such as 10.0.0.0/8."
    for endpoint in fence.endpoints:
        if not endpoint.startswith(("/", "*")):
            return "endpoints", f"'{endpoint[:60]}' is no path such as /v1/chat/completions."
    if fence.max_parallel is not None and fence.max_parallel < 0:
        return "max_parallel", "is 0 (none at all) or more."
    return None


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(name == pattern or fnmatchcase(name, literal(pattern)) for pattern in patterns)


@lru_cache(maxsize=4_096)
def literal(pattern: str) -> str:
    """`*` stands for anything; nothing else does."""
    return pattern.replace("[", "[[]").replace("?", "[?]")


@lru_cache(maxsize=65_536)
def _within(address: str | None, networks: tuple[str, ...]) -> bool:
    try:
        found = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in ipaddress.ip_network(network, strict=False) for network in networks)
