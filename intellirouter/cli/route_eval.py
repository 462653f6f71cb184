"""Quality against cost of two models over a file of outcomes: the figures, a drawing for the terminal, and an SVG."""

from __future__ import annotations

import gzip
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from intellirouter.errors import InvalidRequest
from intellirouter.inference.learning.features import features_of
from intellirouter.inference.learning.measure import apgr, curve, savings
from intellirouter.inference.learning.outcome import score_of
from intellirouter.inference.learning.prior import shipped
from intellirouter.inference.learning.question import Question, cut, human

_WIDTH, _HEIGHT = 61, 12
_SHARES = (0.90, 0.95, 1.0)


@dataclass(frozen=True)
class Evaluation:
    """`quality` with the 0 to n hardest prompts at the strong model."""

    prompts: int
    weak: float
    strong: float
    apgr: float
    saved: dict[str, float]
    quality: list[float]

    def figures(self) -> dict[str, Any]:
        """For machines."""
        return {
            "prompts": self.prompts,
            "quality_weak": round(self.weak, 4),
            "quality_strong": round(self.strong, 4),
            "apgr": None if math.isnan(self.apgr) else round(self.apgr, 4),
            "saved": {name: round(value, 4) for name, value in self.saved.items()},
        }

    def drawn(self) -> str:
        """The curve and the figures, 80 columns."""
        low, high = min(self.quality), max(self.quality)
        span = high - low or 1.0
        rows = [[" "] * _WIDTH for _ in range(_HEIGHT)]
        for column in range(_WIDTH):
            share = column / (_WIDTH - 1)
            even = self.weak + share * (self.strong - self.weak)
            for value, mark in ((even, "·"), (self.quality[round(share * self.prompts)], "●")):
                place = round((value - low) / span * (_HEIGHT - 1))
                rows[_HEIGHT - 1 - min(_HEIGHT - 1, max(0, place))][column] = mark
        lines = []
        for number, row in enumerate(rows):
            label = f"{high - number / (_HEIGHT - 1) * span:6.1%}" if number in (0, _HEIGHT - 1) else " " * 6
            lines.append(f"{label} │{''.join(row)}")
        lines.append(" " * 7 + "└" + "─" * _WIDTH)
        lines.append(" " * 8 + "0 %" + "share at the strong model".center(_WIDTH - 8) + "100 %")
        lines.append(f"\n{self.prompts:,} prompts; APGR {self.apgr:.3f} (by chance .500: the dotted line)")
        for name, value in self.saved.items():
            lines.append(
                f"{name:>4} of the strong model's quality: {value:.0%} of requests need not go to it"
            )
        return "\n".join(lines)


def evaluated(file: Path) -> Evaluation:
    """How the prior in the wheel would route the prompts of a file. Raises `InvalidRequest` that names the line."""
    data = file.read_bytes()
    try:
        text = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (OSError, EOFError) as error:
        raise InvalidRequest(f"{file} cannot be unpacked: {error}") from error
    prior = shipped()
    gains, weak, strong = [], [], []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        prompt, low, high = _row(number, line)
        said = human(prompt)
        features = features_of(Question(cut(said), len(said)))
        pair = prior.of(features, prior.basis.of(features))
        gains.append(pair[1] - pair[0])
        weak.append(low)
        strong.append(high)
    if not gains:
        raise InvalidRequest(f"{file} holds no lines.")
    count = len(gains)
    return Evaluation(
        prompts=count,
        weak=sum(weak) / count,
        strong=sum(strong) / count,
        apgr=apgr(gains, weak, strong),
        saved={f"{share:.0%}": savings(gains, weak, strong, share) for share in _SHARES},
        quality=curve(gains, weak, strong).tolist(),
    )


def _row(number: int, line: bytes) -> tuple[str, float, float]:
    try:
        row = msgspec.json.decode(line, type=dict[str, Any])
        return msgspec.convert(row["prompt"], str), score_of(row["weak"]), score_of(row["strong"])
    except (msgspec.MsgspecError, KeyError, ValueError) as error:
        raise InvalidRequest(
            f'line {number}: {{"prompt": text, "weak": 0 to 1, "strong": 0 to 1}} is expected ({error})'
        ) from error


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
