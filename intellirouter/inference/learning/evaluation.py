"""What a router would have been worth on prompts whose outcomes at two models are known. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from intellirouter.errors import InvalidRequest
from intellirouter.inference.learning.features import Features, features_of
from intellirouter.inference.learning.measure import apgr, curve, savings
from intellirouter.inference.learning.outcome import score_of
from intellirouter.inference.learning.prior import Prior
from intellirouter.inference.learning.question import Question, cut, human

_SHARES = (0.90, 0.95, 1.0)
POINTS = 101
Gain = Callable[[Features], float]
"""How much better the strong model is expected to answer a question."""


@dataclass(frozen=True)
class Evaluation:
    """`quality` with the 0 to n prompts of greatest expected gain at the strong model; all numbers of 0 to 1."""

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

    def points(self) -> list[tuple[float, float]]:
        """The curve, at most `POINTS` of (share at the strong model, quality)."""
        places = sorted({round(step * self.prompts / (POINTS - 1)) for step in range(POINTS)})
        return [(round(place / self.prompts, 4), round(self.quality[place], 4)) for place in places]


def evaluated(lines: Iterable[bytes], gain: Gain) -> Evaluation:
    """Lines of `{"prompt", "weak", "strong"}` routed by `gain`. Raises `InvalidRequest` that names the line."""
    gains, weak, strong = [], [], []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        prompt, low, high = _row(number, line)
        said = human(prompt)
        gains.append(gain(features_of(Question(cut(said), len(said)))))
        weak.append(low)
        strong.append(high)
    if not gains:
        raise InvalidRequest("There are no lines to evaluate.")
    count = len(gains)
    return Evaluation(
        prompts=count,
        weak=sum(weak) / count,
        strong=sum(strong) / count,
        apgr=apgr(gains, weak, strong),
        saved={f"{share:.0%}": savings(gains, weak, strong, share) for share in _SHARES},
        quality=curve(gains, weak, strong).tolist(),
    )


def by_prior(prior: Prior) -> Gain:
    """What the prior expects, of which nothing was learnt here."""

    def gain(features: Features) -> float:
        weak, strong = prior.of(features, prior.basis.of(features))
        return strong - weak

    return gain


def _row(number: int, line: bytes) -> tuple[str, float, float]:
    try:
        row = msgspec.json.decode(line, type=dict[str, Any])
        return msgspec.convert(row["prompt"], str), score_of(row["weak"]), score_of(row["strong"])
    except (msgspec.MsgspecError, KeyError, ValueError) as error:
        why = f"{error} is missing" if isinstance(error, KeyError) else error
        raise InvalidRequest(
            f'Line {number}: {{"prompt": text, "weak": 0 to 1, "strong": 0 to 1}} is expected ({why}).'
        ) from error
