"""What the index's tokenizer makes of texts, one caller's after another's."""

from __future__ import annotations

import pytest

from intellirouter.roles.rag_manager.stems import Stems


def test_what_fails_leaves_nothing_for_who_asks_next() -> None:
    stems = Stems()
    with pytest.raises(UnicodeEncodeError):
        stems.of(["salary", "half a letter \ud800"])
    assert stems.of(["Printed files", ""]) == [["print", "file"], []]
