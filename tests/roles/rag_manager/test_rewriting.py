"""A question without what is only courtesy, and several wordings of one question as one vector."""

from __future__ import annotations

import numpy as np
import pytest

from intellirouter.roles.rag_manager.assist.fusing import OWN, mixed
from intellirouter.roles.rag_manager.rewriting import rewritten


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("Could you please tell me about the warranty?", "the warranty"),
        ("Hello, I'd like to know how long it lasts. Thanks!", "how long it lasts."),
        ("the warranty, please", "the warranty"),
        ("Tell me AI", "Tell me AI"),  # too little to go by
        ("Tell me why", "why"),
        ("please", "please"),
        ("How long does it last", "How long does it last"),
    ],
)
def test_courtesy_is_not_looked_for(query: str, left: str) -> None:
    assert rewritten(query) == left


def test_the_question_as_it_was_asked_has_its_share_and_its_wordings_the_rest() -> None:
    asked, one, other = np.eye(3, dtype=np.float32)
    found = mixed(asked, [one, other])
    assert found.dtype == np.float32
    assert found.tolist() == pytest.approx([OWN, (1 - OWN) / 2, (1 - OWN) / 2])
    assert found.sum() == pytest.approx(1)
