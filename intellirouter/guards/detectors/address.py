"""Postal addresses, as they look: a street and a house number, in the orders and words of some countries."""

from __future__ import annotations

import re

from intellirouter.guards.finding import LONGEST, Finding
from intellirouter.guards.gates import loosened
from intellirouter.guards.scan import Cluster, Scan

ADDRESS = "address"
_STREET = r"Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Court|Ct|Boulevard|Blvd|Place|Pl|Square|Sq|Terrace|Way|Highway|Hwy|Parkway|Pkwy|Crescent|Close"
_UPPER, _LOWER = "A-ZÀ-ÖØ-ÞĀ-Ž", "a-zß-öø-ÿĀ-ž"
_NAME = rf"[{_UPPER}][{_LOWER}'’-]{{1,30}}"
_PLACE = rf"(?:,? ?(?:Apt|Suite|Ste|Unit|Flat|#)\.? ?\w{{1,6}})?(?:,? {_NAME}(?: {_NAME})?)?(?:,? [A-Z]{{2}}\b)?(?:,? (?:\d{{5}}(?:-\d{{4}})?|[A-Z]{{1,2}}\d[A-Z\d]? ?\d[A-Z]{{2}}))?"
_FORMS = (
    rf"\d{{1,5}}[A-Za-z]?(?: [NSEW]\.?)? (?:{_NAME} |\d{{1,3}}(?:st|nd|rd|th) ){{1,3}}(?:{_STREET})\b\.?{_PLACE}",  # English
    r"[A-ZÄÖÜ][a-zäöüß-]{2,30}(?:straße|strasse|str\.|weg|gasse|allee|platz|ufer|damm|ring) \d{1,4} ?[a-z]?\b(?:,? \d{4,5} [A-ZÄÖÜ][\w-]{2,30})?",
    rf"\d{{1,4}}(?: bis| ter)?,? (?:rue|avenue|boulevard|place|chemin|impasse|allée|quai) (?:(?:de|du|des|la|le|les|l'|d') ?){{0,3}}{_NAME}(?: {_NAME}){{0,2}}(?:,? \d{{5}} {_NAME})?",
    rf"(?:Calle|Avenida|Avda\.?|Plaza|Paseo|Rua|Praça|Travessa|Via|Viale|Piazza|Corso) (?:(?:de|del|la|las|los|da|do|dos|della|dei|das|d.|e|y) ){{0,3}}{_NAME}(?: {_NAME}){{0,3}},? ?(?:n\.?º? ?)?\d{{1,5}}\b(?:,? \d{{5}} {_NAME})?",
    rf"(?:ul\.|al\.|pl\.|os\.|ulica|aleja|plac) {_NAME}(?: {_NAME}){{0,3}} \d{{1,4}}[A-Za-z]?(?:/\d{{1,4}})?\b(?:,? \d\d-\d{{3}} {_NAME})?",
    rf"[{_UPPER}][{_LOWER}]{{1,30}}(?:gatan|gata|gate|gaten|gade|vägen|vej|vejen|veien|vei|plads|torget|katu|tie|stræde|allé) \d{{1,4}} ?[A-Za-z]?\b(?:,? \d{{3}} ?\d{{1,2}} {_NAME})?",
    r"[A-Z][a-z]{2,30}(?:straat|laan|weg|plein|gracht|kade|dijk) \d{1,4} ?[a-zA-Z]?\b(?:,? \d{4} ?[A-Z]{2}(?: [A-Z][\w-]{2,30})?)?",
)
_ADDRESS = re.compile(rf"(?<!\w)(?:{'|'.join(_FORMS)})")
GATES = {ADDRESS: loosened(_ADDRESS.pattern)}
_TAIL = re.compile(r"(?:\S{1,31} ?){0,8}\Z")


_AFTER = re.compile(
    r"[A-Za-z]?(?: bis| ter)?,? (?:[A-Z0-9]|rue|avenue|boulevard|place|chemin|impasse|allée|quai)"
)
_JOINED = (
    "straße",
    "strasse",
    "str.",
    "weg",
    "gasse",
    "allee",
    "platz",
    "ufer",
    "damm",
    "ring",
    "straat",
    "laan",
    "plein",
    "gracht",
    "kade",
    "dijk",
    "gatan",
    "gata",
    "gate",
    "gaten",
    "gade",
    "vägen",
    "vej",
    "vejen",
    "veien",
    "vei",
    "plads",
    "torget",
    "katu",
    "tie",
    "stræde",
    "allé",
)
_LEADING = (
    "Calle ",
    "Avenida ",
    "Avda",
    "Plaza ",
    "Paseo ",
    "Rua ",
    "Praça ",
    "Travessa ",
    "Via ",
    "Viale ",
    "Piazza ",
    "Corso ",
    "ul. ",
    "al. ",
    "pl. ",
    "os. ",
    "ulica ",
    "aleja ",
    "plac ",
)


class Addresses:
    """See `Detector`."""

    longest = LONGEST
    as_written = False
    kinds: tuple[str, ...] = (ADDRESS,)

    def find(self, scan: Scan) -> list[Finding]:
        """See `Detector.find`."""
        if not scan.may(ADDRESS):
            return []
        text = scan.text
        led = any(word in text for word in _LEADING)
        return [
            Finding(one.start(), one.end(), ADDRESS)
            for cluster in scan.clusters
            if cluster.digits <= 12 and _likely(text, cluster, led=led)
            for one in _ADDRESS.finditer(text, max(0, cluster.start - 80), cluster.end + 100)
            if cluster.start <= one.end() and one.start() < cluster.end
        ]

    def open_at(self, text: str) -> int:
        """See `Detector.open_at`: an address is some words long."""
        words = text[-160:]
        parts = words.rsplit(" ", 9)
        return len(text) - len(words) + (len(parts[0]) + 1 if len(parts) == 10 else 0)


def _likely(text: str, cluster: Cluster, *, led: bool) -> bool:
    """Whether what stands around digits is how a house number is written."""
    if _AFTER.match(text, cluster.start + _digits(text, cluster)) is not None:
        return True
    start = cluster.start
    if text[start - 1 : start] == " " and text[max(0, start - 10) : start - 1].endswith(_JOINED):
        return True
    return led and any(word in text[max(0, start - 100) : start] for word in _LEADING)


def _digits(text: str, cluster: Cluster) -> int:
    number = 0
    while cluster.start + number < cluster.end and text[cluster.start + number].isdigit():
        number += 1
    return number
