"""What is new, and what leaves its habit: figures that only whoever judges for all can know. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from intellirouter.alerts.board import FORGOTTEN_SECONDS, MAX_HOURS, MAX_KINDS, State, bounded
from intellirouter.alerts.sample import Figure, Reading

HOUR = 3_600.0
LEAST_HOURS = 24
"""That must be known before anything is unusual."""
FLOOR_USD = 1.0
"""What may be spent within an hour beyond the usual at any rate."""
NEW_SECONDS = HOUR
"""So long a new kind of error is new."""
KIND_SECONDS = 30 * 24 * HOUR
"""A kind that was not seen for so long is new when it comes again."""
SPREAD = 3 * 1.4826
"""Three standard deviations, told from the median absolute deviation."""

Figures = dict[tuple[str, str], Figure]


def usual_most(hours: Sequence[float]) -> float:
    """What is spent within an hour at most, as a rule, in US dollars."""
    middle = median(hours)
    return middle + SPREAD * median(abs(spent - middle) for spent in hours) + FLOOR_USD


def spend_habit(state: State, figures: Figures, now: float) -> None:
    """Add how the last hour's spend is to the usual; once an hour it is noted itself."""
    spent = figures.get(("cost_hour", ""))
    usd = spent.value if spent is not None else 0.0
    hour = int(now // HOUR)
    known = [value for _, value in state.hours]
    if len(known) >= LEAST_HOURS:
        most = usual_most(known)
        figures["spend_habit", ""] = Figure(
            usd / most, f"${usd:,.2f} within an hour; usual are up to ${most:,.2f}"
        )
    if not state.hours or state.hours[-1][0] < hour:
        state.hours = [*state.hours, (hour, round(usd, 6))][-MAX_HOURS:]


def new_errors(state: State, figures: Figures, now: float) -> None:
    """Of the errors that were seen, leave those that are new, as long as they are."""
    for key in [key for key in figures if key[0] == "new_error"]:
        seen = figures.pop(key)
        if seen.value <= 0:
            continue
        if now - state.kinds.get(key[1], 0.0) > KIND_SECONDS:
            state.fresh[key[1]] = now
        state.kinds[key[1]] = now
    state.kinds = bounded(state.kinds, MAX_KINDS)
    state.fresh = bounded({kind: at for kind, at in state.fresh.items() if now - at < NEW_SECONDS}, MAX_KINDS)
    for kind in state.fresh:
        figures["new_error", kind] = Figure(1.0, "was not seen in the last 30 days")


def lost_nodes(
    expected: dict[str, tuple[str, float]], readings: Sequence[Reading], figures: Figures, now: float
) -> None:
    """Nodes of which no process is heard any more; `expected` says by process the node, and when it came."""
    here = {reading.node for reading in readings}
    for node, at in expected.values():
        if now - at < FORGOTTEN_SECONDS or node in here:
            figures["node_lost", node] = Figure(0.0 if node in here else 1.0, "" if node in here else node)
