"""What a run's own definition tells of it: the signals it may wait for, and of each recorded step what it was."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from intellirouter.chains.schema import KINDS

_INDEX = re.compile(r"\[[^\]]*\]")


def signals(document: Mapping[str, Any] | None) -> frozenset[str] | None:
    """The signals that steps of a definition wait for; None where that cannot be told, as with sub-chains."""
    if document is None:
        return None
    found: set[str] = set()
    for step in _steps(document.get("steps", ())):
        if "chain" in step:
            return None
        if isinstance(step.get("wait"), Mapping):
            found.add(str(step["wait"].get("signal")))
    return frozenset(found)


def forms(document: Mapping[str, Any] | None, signal: str) -> list[Mapping[str, Any]]:
    """The forms of the waits for a signal; empty where one of them has none, as then anything may come."""
    waits = [step["wait"] for step in _steps((document or {}).get("steps", ())) if "wait" in step]
    mine = [wait for wait in waits if wait.get("signal") == signal]
    return [wait["form"] for wait in mine] if all("form" in wait for wait in mine) else []


def described(steps: Sequence[Mapping[str, Any]], document: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Recorded steps with their `kind`. A wait, which is recorded without a path, gets that of the definition's next wait."""
    kinds: dict[str, str] = {}
    waits: list[str] = []
    for path, step in paths((document or {}).get("steps", ()), ""):
        kind = next((kind for kind in KINDS if kind in step), "")
        kinds[path] = kind
        if kind == "wait":
            waits.append(path)
    told = []
    for step in steps:
        facts = dict(step)
        if facts["path"] == "DBOS.recv":
            facts["path"] = waits.pop(0) if len(waits) > 1 else (waits[0] if waits else "wait")
            facts["kind"] = "wait"
        else:
            path = _INDEX.sub("", facts["path"])
            facts["kind"] = kinds.get(path, "")
            if not facts["kind"] and kinds.get(path.rpartition(".")[0]) == "agent":
                facts["kind"] = "tool"
        if isinstance(facts["outcome"], dict) and "about" in facts["outcome"]:
            facts["outcome"] = dict(facts["outcome"])
            facts |= facts["outcome"].pop("about")
        told.append(facts)
    return told


def _steps(steps: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    return (step for _, step in paths(steps, ""))


def paths(steps: Iterable[Mapping[str, Any]], prefix: str) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """Every step of a definition with its path, less the numbers of rounds and items."""
    for step in steps:
        path = f"{prefix}.{step['id']}" if prefix else str(step["id"])
        yield path, step
        if isinstance(step.get("fallback"), dict):
            yield f"{path}.fallback", step["fallback"]
        yield from paths(step.get("do", ()), path)
        for name in ("switch", "parallel"):
            for branch in step.get(name, ()) if isinstance(step.get(name), list) else ():
                yield from paths(branch.get("do", ()), path)
