"""What a process measured, and how the samples of many become one figure a subject."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

import msgspec

from intellirouter.alerts.rule import Rule

MAX_SAMPLES = 2_000
"""Of one process; more are left out."""
MAX_SUBJECT, MAX_NOTE = 200, 500


class Sample(msgspec.Struct, frozen=True, omit_defaults=True):
    """One figure of one rule. `of` is the whole that `value` is a part of, `spread` the counts of a distribution by `bounds`."""

    rule: str
    value: float
    subject: str = ""
    of: float = 0.0
    spread: tuple[float, ...] = ()
    bounds: tuple[float, ...] = ()
    note: str = ""


class Reading(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that one process measured at a moment (Unix seconds). `node` is the machine's name and port, which outlives the process."""

    node: str
    process: str
    at: float
    samples: tuple[Sample, ...] = ()


class Figure(msgspec.Struct, frozen=True):
    """What all processes together say of a subject."""

    value: float
    note: str = ""


def bounded(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    """At most so many, of at most so many letters."""
    kept: list[Sample] = []
    for sample in samples:
        if len(kept) >= MAX_SAMPLES:
            break
        if len(sample.subject) > MAX_SUBJECT or len(sample.note) > MAX_NOTE:
            sample = msgspec.structs.replace(
                sample, subject=sample.subject[:MAX_SUBJECT], note=sample.note[:MAX_NOTE]
            )
        kept.append(sample)
    return tuple(kept)


def merged(rules: Mapping[str, Rule], readings: Sequence[Reading]) -> dict[tuple[str, str], Figure]:
    """By rule and subject. A share or quantile of too little is left out: it says nothing."""
    grouped: defaultdict[tuple[str, str], list[Sample]] = defaultdict(list)
    for reading in readings:
        for sample in reading.samples:
            if sample.rule in rules:
                grouped[sample.rule, sample.subject].append(sample)
    figures = {}
    for key, samples in grouped.items():
        figure = _merged(rules[key[0]], samples)
        if figure is not None:
            figures[key] = figure
    return figures


def _merged(rule: Rule, samples: Sequence[Sample]) -> Figure | None:
    note = "; ".join(dict.fromkeys(sample.note for sample in samples if sample.note))[:MAX_NOTE]
    if rule.merge == "sum":
        return Figure(sum(sample.value for sample in samples), note)
    if rule.merge == "share":
        whole = sum(sample.of for sample in samples)
        if whole <= 0 or whole < rule.least:
            return None
        return Figure(sum(sample.value for sample in samples) / whole, note)
    if rule.merge == "quantile":
        value = _quantile(rule, samples)
        return None if value is None else Figure(value, note)
    worst = (min if rule.below else max)(samples, key=lambda sample: sample.value)
    return Figure(worst.value, worst.note or note)


def _quantile(rule: Rule, samples: Sequence[Sample]) -> float | None:
    """As Prometheus' `histogram_quantile`: linear within a bucket, and the last bound for what is above all."""
    bounds = samples[0].bounds
    alike = [sample.spread for sample in samples if sample.bounds == bounds]
    counts = list(accumulate(map(sum, zip(*alike, strict=True))))
    if not counts or counts[-1] <= 0 or counts[-1] < rule.least:
        return None
    wanted = rule.quantile * counts[-1]
    at = next(number for number, count in enumerate(counts) if count >= wanted)
    if at >= len(bounds):
        return bounds[-1] if bounds else None
    low = bounds[at - 1] if at else 0.0
    before = counts[at - 1] if at else 0.0
    inside = counts[at] - before
    return low + (bounds[at] - low) * ((wanted - before) / inside if inside else 1.0)
