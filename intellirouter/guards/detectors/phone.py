"""Telephone numbers, as the numbering plans of their countries have them (libphonenumber).

An international number says its country. One in national form is taken where it is written as people write numbers, in groups,
or where a word before it says what it is; and only where it is valid in one of the given countries.
"""

from __future__ import annotations

import importlib
import re
from functools import lru_cache
from typing import Any

from intellirouter.guards.detectors.numbers import run_at
from intellirouter.guards.finding import LONGEST, Finding
from intellirouter.guards.gates import loosened
from intellirouter.guards.scan import Scan

PHONE = "phone"
COUNTRIES = ("US", "GB", "DE", "FR", "ES", "IT", "NL", "IN", "JP", "BR")
_CANDIDATE = re.compile(r"(?<![\w.,/=#$€£%:-])(?:\+ ?|\()?\d(?:[ ().\-/]{0,3}\d){6,14}(?![\w%]|[.,/:-]\d)")
_AMERICAN = re.compile(r"(?:\+?1[ .-]?)?(?:\([2-9]\d\d\) ?|[2-9]\d\d[ .-])\d{3}[ .-]\d{4}")
_GROUPED = re.compile(
    r"\(?0\d{1,5}\)?[ /.-]{1,2}\d[\d -]{3,}\d|0\d(?:[ .]\d\d){4}|\(\d{2,5}\) ?\d[\d -]{4,}\d"
)
_DATE = re.compile(r"(?:19|20)\d\d[-/. ]\d\d?[-/. ]\d\d?.*|\d\d?[-/.]\d\d?[-/.](?:19|20)\d\d.*")
_CALLED = re.compile(
    r"(?:tel|phone|call|mobile|cell|fax|whatsapp|signal|sms|text me|reach me|telefon|téléphone|tél|teléfono|telefono|"
    r"móvil|celular|handy|mobil|numéro|number is|ring|电话|電話|手机|携帯|फोन)\W{0,12}(?:\w{1,6}\W{1,3}){0,2}\Z",
    re.IGNORECASE,
)
_DIGITS = r"(?:[ ().\-/]{0,3}\d){5}"
GATES = {
    PHONE: rf"(?:^|[^\w.,/=#$%:-])(?:\+ ?\d[ ().\-/]*\d{_DIGITS}|00{_DIGITS}|{loosened(_AMERICAN.pattern)}|{loosened(_GROUPED.pattern)})"
    rf"|(?i:{loosened(_CALLED.pattern.removesuffix(chr(92) + 'Z'))})[+( ]*\d[ ().\-/]*\d{_DIGITS}"
}
_SIGNS = re.compile(r"[ ().\-/]")
_MOST_JUDGED = 5_000
"""Questions to the library for one text: in a longer list of numbers, what is written like one is one."""


class Phones:
    """See `Detector`. `countries`: whose national forms are known, as ISO 3166 has them."""

    longest = LONGEST
    as_written = False
    kinds: tuple[str, ...] = (PHONE,)

    def __init__(self, countries: tuple[str, ...] = COUNTRIES) -> None:
        self._countries = countries

    def find(self, scan: Scan) -> list[Finding]:
        """See `Detector.find`."""
        if not scan.may(PHONE):
            return []
        text, judged = scan.text, 0
        found: list[Finding] = []
        for cluster in scan.clusters:
            if cluster.digits < 7:
                continue
            for one in _CANDIDATE.finditer(text, max(0, cluster.start - 2), cluster.end + 2):
                countries = self._plans(text, one.start(), one[0])
                judged += len(countries)
                if countries and (judged > _MOST_JUDGED or any(_valid(*plan) for plan in countries)):
                    found.append(Finding(one.start(), one.end(), PHONE))
        return found

    def open_at(self, text: str) -> int:
        """See `Detector.open_at`."""
        return run_at(text)

    def _plans(self, text: str, start: int, written: str) -> list[tuple[str, str | None]]:
        """The number and the countries in whose plans it may be; none where it is not written like one."""
        if written.startswith("+"):
            return [(written, None)]
        if written.startswith("00"):
            return [(f"+{written[2:]}", None)]
        if _DATE.fullmatch(written):
            return []
        if _AMERICAN.fullmatch(written) and "US" in self._countries:
            return [(written, "US")]
        grouped = _SIGNS.search(written) is not None and _GROUPED.fullmatch(written) is not None
        if not grouped and _CALLED.search(text[max(0, start - 40) : start]) is None:
            return []
        return [(written, country) for country in self._countries]


@lru_cache(maxsize=4096)
def _valid(written: str, country: str | None) -> bool:
    library: Any = importlib.import_module("phonenumbers")  # 0.1 s: only where a number has to be judged
    try:
        number = library.parse(written, country)
    except library.NumberParseException:
        return False
    if country is None:
        return bool(library.is_valid_number(number))
    return bool(library.is_valid_number_for_region(number, country))
