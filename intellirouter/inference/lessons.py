"""What outcomes teach. Pure; for a thread."""

from __future__ import annotations

import numpy as np

from intellirouter.inference.evidence import Evidence
from intellirouter.inference.learning import keeping
from intellirouter.inference.learning import outcome as outcomes
from intellirouter.inference.learning.features import SLOT_BITS, STRUCTURE, Features
from intellirouter.inference.learning.keeping import Learning
from intellirouter.inference.learning.prior import kind_of, shipped
from intellirouter.inference.learning.weights import Weights, fitted


def learn(learning: Learning, found: list[Evidence], now: float) -> Weights:
    """Take the outcomes in and say what is known then."""
    prior, group = shipped(), learning.group
    group.influence.fade()
    for one in found:
        features = features_in(one)
        if features is None or not learning.fresh(one.id):
            continue
        weight = outcomes.WEIGHTS.get(one.kind, 0.0)
        known = one.target in group.estimators
        if not weight or not (known or len(group.estimators) < keeping.MAX_TARGETS):
            continue
        basis, score = prior.basis.of(features), min(1.0, max(0.0, one.score))
        group.learn(
            one.target,
            one.prior,
            basis,
            features.slots,
            score=score,
            weight=weight,
            key=one.key,
            propensity=one.propensity,
        )
        group.note(one.target, kind_of(prior.of(features, basis)[0]), score, one.at, one.cost)
        learning.outcomes += 1
    learning.trained = now
    return fitted(group, learning.outcomes, now)


def features_in(one: Evidence) -> Features | None:
    """The features of an outcome, None where its bytes are not what they should be."""
    if len(one.structure) != 2 * STRUCTURE or len(one.slots) % 2 or len(one.slots) > 1_024:
        return None
    structure = np.frombuffer(one.structure, "<f2").astype(np.float32)
    slots = np.frombuffer(one.slots, "<u2").astype(np.uint16)
    if not np.isfinite(structure).all() or (len(slots) and int(slots.max()) >= 1 << SLOT_BITS):
        return None
    return Features(structure, slots)
