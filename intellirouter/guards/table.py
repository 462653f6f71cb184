"""The kinds that guards know, and who finds each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from intellirouter.guards.detectors import (
    address,
    injection,
    national,
    numbers,
    phone,
    secrets,
    unseen,
    words,
)
from intellirouter.guards.detectors.address import ADDRESS, Addresses
from intellirouter.guards.detectors.email import EMAIL, Emails
from intellirouter.guards.detectors.injection import INJECTION, Injections
from intellirouter.guards.detectors.national import NATIONAL_ID, NationalIds
from intellirouter.guards.detectors.numbers import CARD, IBAN, IP, Numbers
from intellirouter.guards.detectors.phone import PHONE, Phones
from intellirouter.guards.detectors.secrets import SECRET, Secrets
from intellirouter.guards.detectors.unseen import BIDI, CONTROL, INVISIBLE, Unseen
from intellirouter.guards.finding import Detector, Finding
from intellirouter.guards.gates import FOLDED, Gates

PERSONAL = (EMAIL, PHONE, CARD, IBAN, NATIONAL_ID, IP, ADDRESS)
"""What `pii` stands for."""
BUILTIN: dict[str, str] = {
    EMAIL: "e-mail addresses",
    PHONE: "telephone numbers, valid in their country's plan",
    CARD: "payment cards, by prefix, length and Luhn's digit",
    IBAN: "bank accounts, by country and check digits",
    NATIONAL_ID: "identity, tax and social security numbers, by their check digits",
    IP: "addresses of machines, IPv4 and IPv6",
    ADDRESS: "postal addresses, as they look",
    SECRET: "keys and tokens in their issuers' forms, private keys, passwords beside their names",
    INJECTION: "phrases that tell a model to forget what it was told, also folded and encoded",
    INVISIBLE: "characters that a reader does not see",
    BIDI: "signs that turn the direction of text around",
    CONTROL: "NUL and other control characters",
}
GATES = Gates(
    {
        "numbers": {**numbers.GATES, **phone.GATES, **national.NUMBER_GATES, **address.GATES},
        "words": {**secrets.GATES, **national.NAME_GATES},
        "hidden": {**unseen.GATES, **injection.HIDDEN_GATES},
        FOLDED: {**injection.FOLDED_GATES, **words.GATES},
    }
)
"""What has to be in a text for the detectors to find something."""
_FIRST = (SECRET, CARD, IBAN, NATIONAL_ID, EMAIL, IP, PHONE, ADDRESS, INJECTION, BIDI, CONTROL, INVISIBLE)
"""Where two kinds find the same stretch, the one that is surer of it."""
_ORDER = {kind: place for place, kind in enumerate(_FIRST)}


def detectors(kinds: Sequence[str], countries: tuple[str, ...] = ()) -> list[Detector]:
    """Who finds these kinds. `countries` as ISO 3166 has them; empty: those that are known."""
    wanted = set(kinds)
    found: list[Detector] = []
    numbers = tuple(kind for kind in (CARD, IBAN, IP) if kind in wanted)
    if numbers:
        found.append(Numbers(numbers))
    makers: dict[str, Callable[[], Detector]] = {
        EMAIL: Emails,
        PHONE: lambda: Phones(countries) if countries else Phones(),
        NATIONAL_ID: lambda: NationalIds(countries),
        ADDRESS: Addresses,
        SECRET: Secrets,
        INJECTION: Injections,
    }
    found += [make() for kind, make in makers.items() if kind in wanted]
    if wanted & set(Unseen.kinds):
        found.append(Unseen(tuple(kind for kind in Unseen.kinds if kind in wanted)))
    return found


def settled(findings: list[Finding]) -> list[Finding]:
    """In order and without overlap: of two that overlap the surer kind, then the longer."""
    if len(findings) < 2:
        return findings
    findings.sort(key=lambda one: (one.start, one.end))
    kept = findings[:1]
    for found in findings[1:]:
        last = kept[-1]
        if found.start >= last.end:
            kept.append(found)
        elif _rank(found) < _rank(last):
            kept[-1] = found
    return kept


def _rank(found: Finding) -> tuple[int, int]:
    return _ORDER.get(found.kind, -1), found.start - found.end
