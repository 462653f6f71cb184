"""Guesses of what a request will use, learnt from what earlier ones did: how long a model's answers are, and how many
tokens its vendor counts where we estimate one."""

from __future__ import annotations

from collections import OrderedDict

from intellirouter.chat.response import Usage

FIRST_GUESS = 256
"""Tokens an answer is guessed to be long before any of its model was seen."""
SMOOTHING = 0.2
LEAST_RATIO, MOST_RATIO = 0.5, 4.0
MAX_MODELS = 10_000


class Guesses:
    """By model, for as many as are in use."""

    def __init__(self) -> None:
        self._lengths: OrderedDict[str, float] = OrderedDict()
        self._ratios: OrderedDict[str, float] = OrderedDict()

    def length(self, model: str) -> float:
        """Tokens of a usual answer."""
        return self._lengths.get(model, FIRST_GUESS)

    def ratio(self, target: str) -> float:
        """Input tokens as the target's vendor counts them, to one of our estimate."""
        return self._ratios.get(target, 1.0)

    def answered(self, model: str, usage: Usage) -> None:
        """An answer of the model was this long."""
        before = self._lengths.get(model)
        if before is None:
            _first(self._lengths, model, float(usage.output_tokens))
        else:
            self._lengths[model] = before + SMOOTHING * (usage.output_tokens - before)

    def counted(self, target: str, estimate: float, told: int) -> None:
        """The vendor counted `told` input tokens where we had estimated `estimate`."""
        if estimate <= 0 or told <= 0:
            return
        ratio = told / estimate
        if not LEAST_RATIO <= ratio <= MOST_RATIO:
            ratio = min(max(ratio, LEAST_RATIO), MOST_RATIO)
        before = self._ratios.get(target)
        if before is None:
            _first(self._ratios, target, ratio)
        else:
            self._ratios[target] = before + SMOOTHING * (ratio - before)


def _first(known: OrderedDict[str, float], name: str, seen: float) -> None:
    known[name] = seen
    if len(known) > MAX_MODELS:
        known.popitem(last=False)
