"""The awkward files of `scripts/awkward_files.py`, each read or refused for its true reason."""

from __future__ import annotations

import pytest

from scripts.awkward_files import LEAST, Awkward, docx, files, outcome

FILES = files()


def test_there_are_enough() -> None:
    assert len({file.name for file in FILES}) == len(FILES) > LEAST + 3


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_each_is_read_or_refused_for_its_reason(file: Awkward) -> None:
    found = outcome(file)
    assert found.verdict == "right", found.said


def test_what_is_wrong_is_noticed() -> None:
    body = "<w:p><w:r><w:t>three</w:t></w:r></w:p>"
    assert outcome(Awkward("a.docx", docx(body), "four")).verdict == "silently wrong"
    assert outcome(Awkward("a.docx", docx(body), reason="password")).verdict == "silently wrong"
    assert outcome(Awkward("a.zip", docx(body)[:90], reason="password")).verdict == "refused"
