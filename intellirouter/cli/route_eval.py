"""Quality against cost of two models over a file of outcomes: a drawing for the terminal, and an SVG."""

from __future__ import annotations

import codecs
import gzip
import math
import zlib
from pathlib import Path
from typing import Any

import msgspec

from intellirouter.errors import InvalidRequest
from intellirouter.inference.learning.evaluation import Evaluation

_WIDTH, _HEIGHT = 61, 12


def lines_of(file: Path) -> list[bytes]:
    """The lines of a file, gzipped or not. Raises `InvalidRequest` for one that cannot be unpacked."""
    return unpacked_lines(file, file.read_bytes())


def unpacked_lines(file: Path, data: bytes) -> list[bytes]:
    """The same of what was read of it."""
    try:
        text = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidRequest(f"{file} cannot be unpacked: {error}.") from error
    return text.removeprefix(codecs.BOM_UTF8).splitlines()


class Curve(msgspec.Struct, frozen=True):
    """Quality against cost, whoever worked it out. `points`: of the share at the strong model, and the quality with it."""

    prompts: int
    weak: float
    strong: float
    apgr: float | None
    saved: dict[str, float]
    points: tuple[tuple[float, float], ...]

    def worth(self) -> str:
        """What its shape says, in words."""
        if self.apgr is None:
            return "both are equally good, so there is nothing to recover"
        if self.strong < self.weak:
            return "the one called weak is the better: are the two swapped?"
        return f"APGR {self.apgr:.3f} (by chance .500: the dotted line)"

    def span(self) -> tuple[float, float]:
        """The least and the greatest quality; a tenth apart where they are the same."""
        values = [quality for _, quality in self.points]
        low, high = min(values), max(values)
        return (low, high) if high > low else (max(0.0, low - 0.1), max(0.1, high))

    def at(self, share: float) -> float:
        """The quality with this share at the strong model."""
        return min(self.points, key=lambda point: abs(point[0] - share))[1]


def curve_of(found: Evaluation) -> Curve:
    """The curve of an evaluation made here."""
    apgr = None if math.isnan(found.apgr) else found.apgr
    return Curve(found.prompts, found.weak, found.strong, apgr, found.saved, tuple(found.points()))


def curve_told(answer: dict[str, Any]) -> Curve:
    """The curve that a node answered."""
    points = tuple((point["share"], point["quality"]) for point in answer["curve"])
    weak, strong = answer["quality_weak"], answer["quality_strong"]
    return Curve(answer["prompts"], weak, strong, answer["apgr"], answer["saved"], points)


def drawn(found: Curve) -> str:
    """The curve and the figures, 80 columns."""
    low, high = found.span()
    span = high - low
    rows = [[" "] * _WIDTH for _ in range(_HEIGHT)]
    for column in range(_WIDTH):
        share = column / (_WIDTH - 1)
        even = found.weak + share * (found.strong - found.weak)
        for value, mark in ((even, "·"), (found.at(share), "●")):
            place = round((value - low) / span * (_HEIGHT - 1))
            rows[_HEIGHT - 1 - min(_HEIGHT - 1, max(0, place))][column] = mark
    lines = []
    for number, row in enumerate(rows):
        label = f"{high - number / (_HEIGHT - 1) * span:6.1%}" if number in (0, _HEIGHT - 1) else " " * 6
        lines.append(f"{label} │{''.join(row)}")
    lines.append(" " * 7 + "└" + "─" * _WIDTH)
    lines.append(" " * 8 + "0 %" + "share at the strong model".center(_WIDTH - 8) + "100 %")
    lines.append(f"\n{found.prompts:,} prompt{'s' * (found.prompts != 1)}; {found.worth()}")
    for name, value in found.saved.items():
        lines.append(f"{name:>4} of the strong model's quality: {value:.0%} of requests need not go to it")
    return "\n".join(lines)


def svg(found: Curve) -> str:
    """The curve as a picture of 640 × 400."""
    low, high = found.span()

    def point(share: float, value: float) -> str:
        return f"{60 + 560 * share:.1f},{350 - 310 * (value - low) / (high - low):.1f}"

    line = " ".join(point(*one) for one in found.points)
    even = f"{point(0, found.weak)} {point(1, found.strong)}"
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 400" font-family="sans-serif" font-size="13">'
        '<rect width="640" height="400" fill="white"/>'
        '<path d="M60 40V350H620" fill="none" stroke="#888"/>'
        f'<polyline points="{even}" fill="none" stroke="#aaa" stroke-dasharray="4 4"/>'
        f'<polyline points="{line}" fill="none" stroke="#1565c0" stroke-width="2.5"/>'
        f'<text x="54" y="46" text-anchor="end">{high:.1%}</text><text x="54" y="354" text-anchor="end">{low:.1%}</text>'
        '<text x="60" y="370">0 %</text><text x="620" y="370" text-anchor="end">100 %</text>'
        '<text x="340" y="390" text-anchor="middle">share of requests at the strong model</text>'
        f'<text x="60" y="26">quality; {found.worth()}</text></svg>\n'
    )
