"""Which language a text is in, told offline by py3langid (BSD-3-Clause, 4.6 MB, a naive Bayes model over stretches of bytes)."""

from __future__ import annotations

import importlib
import importlib.util
from functools import cache
from typing import Any

from intellirouter.guards.finding import Finding
from intellirouter.guards.scan import Scan

LANGUAGE = "language"
NEEDED = "telling languages apart needs the language extra: pip install 'intellirouter[language]'"
_LIBRARY = "py3langid"
_NONE = "zxx"
"""What the model calls a text that is in no language."""
_SAME = {"nb": ("no",), "no": ("no", "nn"), "iw": ("he",), "in": ("id",), "sh": ("sr", "hr", "bs")}
"""Codes that ISO 639-1 has, or had, for what the model knows by others."""
_LEAST = 12
"""Letters without which nothing is said; a sign of Chinese, Japanese or Korean is a word and counts as three."""
_STRETCH = 1_000
"""Characters that are looked at together: the model is less sure of a text that is very long."""
_WIDE = "\u2e80"
_UNLIKELY = 0.05
"""Probability that a text is in one of the languages which are allowed, below which it is in none of them."""
_CLEAR = 0.35
"""Probability of the likeliest language from which a text is of a clear one."""


class Languages:
    """Finds texts that are clearly in none of these languages (ISO 639-1). Raises `ValueError` for a code that is not known."""

    kinds: tuple[str, ...] = (LANGUAGE,)
    longest = 0
    as_written = False

    def __init__(self, allowed: tuple[str, ...]) -> None:
        if importlib.util.find_spec(_LIBRARY) is None:
            raise ValueError(NEEDED)
        known = set(_model().labels)
        self._allowed: set[str] = {_NONE}
        for code in allowed:
            same = _SAME.get(code, (code,))
            if not known.issuperset(same):
                raise ValueError(
                    f"allow: '{code}' is no language that can be told; known are {', '.join(sorted(known - {_NONE}))}"
                )
            self._allowed.update(same)

    def find(self, scan: Scan) -> list[Finding]:
        """The whole text, where more of it is clearly in other languages than in these."""
        text = scan.text
        others = sum(self._told(text[start : start + _STRETCH]) for start in range(0, len(text), _STRETCH))
        return [Finding(0, len(text), LANGUAGE)] if others > 0 else []

    def _told(self, text: str) -> int:
        """1 for a stretch that is in another language, -1 for one that is in one of these, 0 for one in no clear language."""
        if not _says_something(text):
            return 0
        ranked: list[tuple[str, float]] = _model().rank(text)
        if ranked[0][1] < _CLEAR or ranked[0][0] == _NONE:
            return 0
        return 1 if sum(share for code, share in ranked if code in self._allowed) <= _UNLIKELY else -1

    def open_at(self, text: str) -> int:
        """Nothing is held back: an answer is looked at when it is whole."""
        return len(text)


def _says_something(text: str) -> bool:
    letters = 0
    for sign in text:
        if sign.isalpha():
            letters += 3 if sign >= _WIDE else 1
            if letters >= _LEAST:
                return True
    return False


@cache
def _model() -> Any:
    """One for the process: half a second, once."""
    library = importlib.import_module(f"{_LIBRARY}.langid")
    model = library.LanguageIdentifier.from_model_file(library.MODEL_FILE, norm_probs=True)
    model.set_languages([code for code in model.labels if len(code) == 2 or code == _NONE])
    return model
