"""`lowest-latency`: the faster of two drawn by chance."""

from __future__ import annotations

from collections.abc import Sequence

from intellirouter.inference.selection.option import Facts, Option


def lowest_latency(options: Sequence[Option], facts: Facts) -> list[int]:
    """Two are drawn, the one with the lower expected wait leads; the rest follow by expected wait.

    The expected wait is the moving average times the queue before us. Drawing two keeps all routers from running after
    the same target (Mitzenmacher, "The power of two choices", 2001). A target never measured counts as fast, so that it
    is measured.
    """
    waits = [(option.latency or 0.0) * (option.load + 1) for option in options]
    order = sorted(range(len(options)), key=lambda index: (waits[index], options[index].load))
    if len(order) > 2:
        drawn = facts.chance.sample(range(len(options)), 2)
        best = min(drawn, key=lambda index: (waits[index], options[index].load))
        order.remove(best)
        order.insert(0, best)
    return order
