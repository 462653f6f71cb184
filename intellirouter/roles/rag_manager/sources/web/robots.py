"""What robots.txt allows us. Source: RFC 9309; `Crawl-delay` as many sites write it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import quote, unquote

AGENT = "intellirouter"
MOST_BYTES = 500 * 1024
"""That are read (RFC 9309, 2.5)."""
MOST_RULES = 2_000
_SAFE = "/?&=:;,@!'()~+$*%#[]"


@dataclass(frozen=True, slots=True)
class Robots:
    """The rules of our group: (path pattern, allowed). `delay` is in seconds."""

    rules: tuple[tuple[str, bool], ...] = ()
    delay: float = 0.0

    def allows(self, path: str) -> bool:
        """Whether a path with its query may be fetched: the longest rule that fits says so, and of two as long the one that allows."""
        path = _spelled(path)
        best, verdict = -1, True
        for pattern, allowed in self.rules:
            longer = len(pattern) > best or (len(pattern) == best and allowed)
            if longer and fits(pattern, path):
                best, verdict = len(pattern), allowed
        return verdict


@dataclass(slots=True)
class _Group:
    agents: list[str] = field(default_factory=list)
    rules: list[tuple[str, bool]] = field(default_factory=list)
    delay: float = 0.0


def read(data: bytes) -> Robots:
    """The rules for us. What is no rule is passed over."""
    groups: list[_Group] = []
    open_for_agents = False
    for line in data[:MOST_BYTES].decode("utf-8-sig", "replace").splitlines():
        key, colon, value = line.partition("#")[0].partition(":")
        key, value = key.strip().lower(), value.strip()
        if not colon:
            continue
        if key == "user-agent":
            if not open_for_agents:
                groups.append(_Group())
            groups[-1].agents.append(value.lower())
            open_for_agents = True
            continue
        open_for_agents = False if key in ("allow", "disallow", "crawl-delay") else open_for_agents
        if groups:
            _add(groups[-1], key, value)
    mine = [group for group in groups if any(_is_ours(agent) for agent in group.agents)]
    mine = mine or [group for group in groups if "*" in group.agents]
    rules = [rule for group in mine for rule in group.rules][:MOST_RULES]
    return Robots(tuple(rules), max((group.delay for group in mine), default=0.0))


def _is_ours(agent: str) -> bool:
    return agent.partition("/")[0].strip() == AGENT


def _add(group: _Group, key: str, value: str) -> None:
    if key in ("allow", "disallow"):
        if value:  # an empty one disallows nothing
            group.rules.append((_spelled(value[:2_000]), key == "allow"))
    elif key == "crawl-delay":
        try:
            group.delay = max(0.0, min(float(value), 60.0))
        except ValueError:
            return


def _spelled(path: str) -> str:
    """One spelling of what may be escaped in several ways."""
    return quote(unquote(path, errors="surrogateescape"), safe=_SAFE, errors="surrogateescape")


def fits(pattern: str, path: str) -> bool:
    """Whether a path begins as the pattern says: `*` stands for anything, `$` for the end. In time that grows with both, and no faster."""
    whole = pattern.endswith("$")
    first, *rest = pattern.removesuffix("$").split("*")
    if not path.startswith(first):
        return False
    at = len(first)
    for index, part in enumerate(rest):
        if whole and index == len(rest) - 1:
            return len(path) - len(part) >= at and path.endswith(part)
        found = path.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return not whole or at == len(path)
