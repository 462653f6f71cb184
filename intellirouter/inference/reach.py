"""Which providers can be reached, as their circuits say."""

from __future__ import annotations

from intellirouter.inference.catalog import Catalog
from intellirouter.inference.standing import Board


def providers_down(catalog: Catalog, board: Board, *, one_caller: bool) -> tuple[set[str], set[str]]:
    """The providers whose every target that was asked is left alone by all, and those that have an open circuit at all.

    A circuit may be open to one witness alone; without keys there is only one.
    """
    standing: dict[str, list[bool]] = {}
    some: set[str] = set()
    for target, one in board.known().items():
        name = target.partition("/")[0]
        if name in catalog.providers:
            standing.setdefault(name, []).append(
                not one.circuit.closed and (one_caller or one.circuit.only is None)
            )
            if not one.circuit.closed:
                some.add(name)
    return {name for name, down in standing.items() if all(down)}, some
