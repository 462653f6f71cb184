"""Numbers by which states know their people: identity cards, tax and social security numbers.

Each has a form; most have check digits, which python-stdnum knows. A form that other numbers have too (nine or eleven plain
digits) counts only where a word nearby says what it is.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from intellirouter.guards.detectors.numbers import run_at
from intellirouter.guards.finding import LONGEST, Finding
from intellirouter.guards.gates import loosened
from intellirouter.guards.scan import Scan

NATIONAL_ID = "national_id"
_NEAR = 48
"""Characters before a number in which the word that names it may stand."""


@dataclass(frozen=True, slots=True)
class Form:
    """How one number is written. `check` is python-stdnum's module; `named` the words that must stand near a form that is not
    telling; `bare` a form that counts only beside these words, while `form` counts by itself."""

    country: str
    form: str
    check: str = ""
    named: str = ""
    bare: str = ""


FORMS = (
    Form("AT", "", "at.vnr", r"svnr|versicherung", r"\d{4} ?\d{6}"),
    Form("AU", "", "au.tfn", r"\btfn\b|tax file", r"\d{3}[ ]?\d{3}[ ]?\d{2,3}"),
    Form("BE", r"\d\d\.\d\d\.\d\d-\d{3}\.\d\d", "be.nn", r"rijksregister|registre national|\bnn\b|\bniss\b", r"\d{11}"),
    Form("BG", "", "bg.egn", r"\begn\b|егн", r"\d{10}"),
    Form("BR", r"\d{3}\.\d{3}\.\d{3}-\d\d", "br.cpf", r"\bcpf\b", r"\d{11}"),
    Form("CA", r"\d{3}[ -]\d{3}[ -]\d{3}", "ca.sin", r"\bsin\b|social insurance", r"\d{9}"),
    Form("CH", r"756[. ]?\d{4}[. ]?\d{4}[. ]?\d\d", "ch.ssn"),
    Form("CL", r"\d{1,2}\.\d{3}\.\d{3}-[\dkK]", "cl.rut", r"\brut\b", r"\d{7,8}-[\dkK]"),
    Form("CN", r"[1-9]\d{5}(?:19|20)\d{9}[\dXx]", "cn.ric"),
    Form("CZ", r"\d{6}/\d{3,4}", "cz.rc"),
    Form("DE", r"\d\d \d{3} \d{3} \d{3}", "de.idnr", r"steuer|\bidnr\b|identifikation|tax id|\btin\b", r"\d{2}[ ]?\d{3}[ ]?\d{3}[ ]?\d{3}"),
    Form("DK", "", "dk.cpr", r"\bcpr\b", r"\d{6}-?\d{4}"),
    Form("ES", r"(?:\d{8}|[XYZxyz]-?\d{7})-?[A-HJ-NP-TV-Za-hj-np-tv-z]", "es.nif"),
    Form("FI", r"\d{6}[-+A]\d{3}[0-9A-FHJ-NPR-Y]", "fi.hetu"),
    Form("FR", r"[12378] ?\d\d ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d\d|2[AB]) ?\d{3} ?\d{3} ?\d\d", "fr.nir"),
    Form("GB", r"(?![BGNTZ][BGKNT])[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]"),
    Form("GB", "", "gb.nhs", r"\bnhs\b", r"\d{3}[ -]?\d{3}[ -]?\d{4}"),
    Form("GR", "", "gr.amka", r"\bamka\b|αμκα", r"\d{11}"),
    Form("IL", "", "il.idnr", r"teudat|israeli id|identity number|ת\.ז", r"\d{9}"),
    Form("IN", r"[2-9]\d{3}[ -]\d{4}[ -]\d{4}", "in_.aadhaar", r"aadhaa?r|uidai|आधार", r"[2-9]\d{11}"),
    Form("IN", r"[A-Z]{3}P[A-Z]\d{4}[A-Z]", "in_.pan", r"\bpan\b", r"[A-Z]{5}\d{4}[A-Z]"),
    Form("IT", r"[A-Za-z]{6}\d\d[A-EHLMPR-Ta-ehlmpr-t]\d\d[A-Za-z]\d{3}[A-Za-z]", "it.codicefiscale"),
    Form("KR", r"\d{6}-\d{7}", "kr.rrn"),
    Form("MX", r"[A-Z]{4}\d{6}[HM][A-Z]{5}[A-Z0-9]\d", "mx.curp"),
    Form("NL", "", "nl.bsn", r"\bbsn\b|burgerservice|sofi", r"\d{9}|\d{4}\.\d\d\.\d{3}"),
    Form("NO", r"\d{6} \d{5}", "no.fodselsnummer", r"fødsels|personnummer", r"\d{11}"),
    Form("PL", "", "pl.pesel", r"pesel", r"\d{11}"),
    Form("PT", "", "pt.nif", r"\bnif\b|contribuinte", r"\d{9}|\d{3} \d{3} \d{3}"),
    Form("RO", r"[1-8]\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{6}", "ro.cnp"),
    Form("SE", r"(?:\d\d)?\d{6}[-+]\d{4}", "se.personnummer"),
    Form("TR", "", "tr.tckimlik", r"kimlik|t\.?c\.", r"[1-9]\d{10}"),
    Form("US", r"\d{3}-\d\d-\d{4}", "us.ssn", r"\bssn\b|social security|\bss#", r"\d{3}[ ]?\d\d[ ]?\d{4}"),
    Form("ZA", r"\d{6} ?\d{4} ?[01]\d\d", "za.idnr"),
)  # fmt: skip
COUNTRIES = tuple(dict.fromkeys(form.country for form in FORMS))


_OWN_GATE, _NAMED_GATE = "national form", "national name"
NUMBER_GATES = {
    _OWN_GATE: "|".join(rf"(?:^|[^\w.-])(?:{loosened(form.form)})(?:$|\W)" for form in FORMS if form.form)
}
NAME_GATES = {_NAMED_GATE: "(?i)" + "|".join(f"(?:{loosened(form.named)})" for form in FORMS if form.named)}
_FEWEST = 6
"""Digits of the shortest number, but for one that stands right behind letters."""


class NationalIds:
    """See `Detector`. `countries`: whose numbers are looked for, as ISO 3166 has them; empty: all that are known."""

    longest = LONGEST
    as_written = False
    kinds: tuple[str, ...] = (NATIONAL_ID,)

    def __init__(self, countries: tuple[str, ...] = ()) -> None:
        forms = [form for form in FORMS if not countries or form.country in countries]
        self._own = [(_whole(form.form), form) for form in forms if form.form]
        self._bare = [
            (re.compile(form.named, re.IGNORECASE), _whole(form.bare), form) for form in forms if form.named
        ]

    def find(self, scan: Scan) -> list[Finding]:
        """See `Detector.find`."""
        own, called = scan.may(_OWN_GATE), scan.may(_NAMED_GATE)
        if not own and not called:
            return []
        text = scan.text
        found: list[Finding] = []
        clusters = [
            cluster
            for cluster in scan.clusters
            if cluster.digits >= _FEWEST
            or (cluster.digits == 4 and text[cluster.start - 1 : cluster.start].isalpha())
        ]
        if not clusters:
            return []
        near = [one for one in self._bare if one[0].search(text)] if called else []
        for cluster in clusters:
            start, end = max(0, cluster.start - 8), cluster.end + 8
            found += _own(text, start, end, self._own if own else ())
            for named, pattern, form in near:
                for one in pattern.finditer(text, start, end):
                    if named.search(text, max(0, one.start() - _NEAR), one.start()) and _holds(
                        form.check, one[0]
                    ):
                        found.append(Finding(one.start(), one.end(), NATIONAL_ID))
        return found

    def open_at(self, text: str) -> int:
        """See `Detector.open_at`."""
        return run_at(text)


def _own(text: str, start: int, end: int, forms: Sequence[tuple[re.Pattern[str], Form]]) -> Iterator[Finding]:
    for pattern, form in forms:
        for one in pattern.finditer(text, start, end):
            if _holds(form.check, one[0]):
                yield Finding(one.start(), one.end(), NATIONAL_ID)


def _whole(form: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.-])(?:{form})(?![\w]|[.-]\d)")


@lru_cache(maxsize=4096)
def _holds(check: str, written: str) -> bool:
    """Whether the number's own rules hold."""
    if not check:
        return True
    return bool(importlib.import_module(f"stdnum.{check}").is_valid(written))
