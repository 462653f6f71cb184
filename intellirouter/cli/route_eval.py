"""Quality against cost of two models over a file of outcomes: a drawing for the terminal, and an SVG."""

from __future__ import annotations

import gzip
from pathlib import Path

from intellirouter.errors import InvalidRequest
from intellirouter.inference.learning.evaluation import Evaluation

_WIDTH, _HEIGHT = 61, 12


def lines_of(file: Path) -> list[bytes]:
    """The lines of a file, gzipped or not. Raises `InvalidRequest` for one that cannot be unpacked."""
    data = file.read_bytes()
    try:
        return (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).splitlines()
    except (OSError, EOFError) as error:
        raise InvalidRequest(f"{file} cannot be unpacked: {error}") from error


def drawn(found: Evaluation) -> str:
    """The curve and the figures, 80 columns."""
    low, high = min(found.quality), max(found.quality)
    span = high - low or 1.0
    rows = [[" "] * _WIDTH for _ in range(_HEIGHT)]
    for column in range(_WIDTH):
        share = column / (_WIDTH - 1)
        even = found.weak + share * (found.strong - found.weak)
        for value, mark in ((even, "·"), (found.quality[round(share * found.prompts)], "●")):
            place = round((value - low) / span * (_HEIGHT - 1))
            rows[_HEIGHT - 1 - min(_HEIGHT - 1, max(0, place))][column] = mark
    lines = []
    for number, row in enumerate(rows):
        label = f"{high - number / (_HEIGHT - 1) * span:6.1%}" if number in (0, _HEIGHT - 1) else " " * 6
        lines.append(f"{label} │{''.join(row)}")
    lines.append(" " * 7 + "└" + "─" * _WIDTH)
    lines.append(" " * 8 + "0 %" + "share at the strong model".center(_WIDTH - 8) + "100 %")
    lines.append(f"\n{found.prompts:,} prompts; APGR {found.apgr:.3f} (by chance .500: the dotted line)")
    for name, value in found.saved.items():
        lines.append(f"{name:>4} of the strong model's quality: {value:.0%} of requests need not go to it")
    return "\n".join(lines)


def svg(found: Evaluation) -> str:
    """The curve as a picture of 640 × 400."""
    low, high = min(found.quality), max(found.quality)
    span = high - low or 1.0

    def point(share: float, value: float) -> str:
        return f"{60 + 560 * share:.1f},{350 - 310 * (value - low) / span:.1f}"

    step = max(1, found.prompts // 200)
    places = sorted({*range(0, found.prompts + 1, step), found.prompts})
    line = " ".join(point(place / found.prompts, found.quality[place]) for place in places)
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
        f'<text x="60" y="26">quality; APGR {found.apgr:.3f}, by chance .500 (dashed)</text></svg>\n'
    )
