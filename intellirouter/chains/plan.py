"""How many recorded results a step may need, counted from the definition alone.

Bodies that run beside one another each get their own block of numbers, so that a run that is taken over finds every
result under the number it had, in whatever order the branches ran.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from intellirouter.chains.agent import DEFAULT_ROUNDS
from intellirouter.chains.model import Chain, Step
from intellirouter.chains.schema import EFFECTS, MAX_CALLS
from intellirouter.errors import InvalidRequest

MAX_WIDTH = 10_000
MAX_NESTING = 8


class RecursiveChain(InvalidRequest):
    """Sub-chains call one another in a circle, or nest too deeply."""

    code = "recursive_chain"


def body_width(steps: Iterable[Step], chains: Mapping[str, Chain] | None = None) -> int:
    """The results that a body may need, at most."""
    return sum(width(step, chains) for step in steps)


def width(step: Step, chains: Mapping[str, Chain] | None = None) -> int:
    """The results that a step may need, at most."""
    more = 1 if step.fallback is not None and step.kind not in EFFECTS else 0
    return _own_width(step, chains) + more


def _own_width(step: Step, chains: Mapping[str, Chain] | None) -> int:
    """Without a fallback; an effect and its fallback have one result."""
    match step.kind:
        case "set":
            return 0
        case "switch":
            return max((body_width(branch.do, chains) for branch in step.branches), default=0)
        case "parallel":
            return sum(body_width(branch.do, chains) for branch in step.branches)
        case "map":
            return int(step.spec["max_items"]) * body_width(step.do, chains)
        case "loop":
            return int(step.spec["max"]) * body_width(step.do, chains)
        case "agent":
            return int(step.spec.get("max_rounds", DEFAULT_ROUNDS)) * (1 + MAX_CALLS) + 1
        case "chain" if chains is not None:
            return body_width(chains[step.spec["name"]].steps, chains)
        case _:
            return 1


def walk(steps: Iterable[Step]) -> Iterator[Step]:
    """Every step, bodies included."""
    for step in steps:
        yield step
        yield from walk(step.do)
        for branch in step.branches:
            yield from walk(branch.do)


def calls(chain: Chain) -> set[str]:
    """The chains that a chain calls."""
    return {step.spec["name"] for step in walk(chain.steps) if step.kind == "chain"}


def bundle(chain: Chain, library: Mapping[str, Chain]) -> dict[str, Chain]:
    """The chains a run needs beside its own. Raises `RecursiveChain`, or `InvalidRequest` for an unknown one."""
    found: dict[str, Chain] = {}
    _collect(chain, library, found, (chain.name,))
    if (need := body_width(chain.steps, found)) > MAX_WIDTH:
        raise InvalidRequest(
            f"With its sub-chains '{chain.name}' may run {need:,} steps; at most {MAX_WIDTH:,} are allowed."
        )
    return found


def _collect(
    chain: Chain, library: Mapping[str, Chain], found: dict[str, Chain], trail: tuple[str, ...]
) -> None:
    for name in sorted(calls(chain)):
        if name in trail or len(trail) > MAX_NESTING:
            raise RecursiveChain(
                f"Chains call one another in a circle or too deeply: {' → '.join((*trail, name))}."
            )
        if name not in library:
            raise InvalidRequest(f"The chain '{chain.name}' calls '{name}', which does not exist.")
        found[name] = library[name]
        _collect(library[name], library, found, (*trail, name))
