"""How good a router is: quality against the share of requests that go to the stronger target.

As RouteLLM (Ong et al., 2024) has it: the performance gap recovered at a share of calls to the strong model is the router's
quality minus the weak model's over the strong's minus the weak's, and APGR is its average over all shares.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def curve(scores: ArrayLike, weak: ArrayLike, strong: ArrayLike) -> NDArray[np.float64]:
    """Mean quality with the 0, 1, … n questions of highest score sent to the strong target; n + 1 numbers.

    Questions of equal score are taken in the mean of their order: no order of the file flatters.
    """
    given, low, high = (np.asarray(one, float) for one in (scores, weak, strong))
    order = np.argsort(-given, kind="stable")
    gain, ranked = (high - low)[order], given[order]
    _, first, counts = np.unique(-ranked, return_index=True, return_counts=True)
    means = np.add.reduceat(gain, first) / counts
    return np.concatenate(([low.sum()], low.sum() + np.cumsum(np.repeat(means, counts)))) / len(given)


def apgr(scores: ArrayLike, weak: ArrayLike, strong: ArrayLike) -> float:
    """The average performance gap recovered; not a number where the two are equally good."""
    quality = curve(scores, weak, strong)
    lead = quality[-1] - quality[0]
    if lead == 0:
        return float("nan")
    recovered = (quality - quality[0]) / lead
    return float((recovered[1:] + recovered[:-1]).mean() / 2)


def savings(scores: ArrayLike, weak: ArrayLike, strong: ArrayLike, share: float) -> float:
    """The share of requests that need not go to the strong target for `share` of its quality."""
    quality = curve(scores, weak, strong)
    enough = np.flatnonzero(quality >= share * quality[-1])
    return 1 - float(enough[0]) / (len(quality) - 1) if len(enough) else 0.0
