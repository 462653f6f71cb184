"""Cards, bank accounts, addresses of machines: numbers that say themselves whether they are right.

Card numbers by prefix, length and Luhn's check digit (ISO/IEC 7812), IBAN by country, length and ISO 7064's mod 97-10
(ISO 13616), IP addresses as the standard library reads them.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from intellirouter.guards.finding import LONGEST, Finding
from intellirouter.guards.gates import loosened
from intellirouter.guards.scan import Scan

CARD, IBAN, IP = "card", "iban", "ip"

_CARD = re.compile(r"(?<![\w.])\d(?:[ -]?\d){12,18}")
_GROUPED = re.compile(
    r"(?<![\w.])(?:\d{13,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{1,4}(?:\1\d{1,3})?|\d{4}([ -])\d{6}\2\d{4,5})(?![\w]|\.\d)"
)
_ONE_NUMBER = 80
"""Digits that may be one number with others beside it; more are a table, in which numbers are written in groups."""
_CARDS = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|(?:5[1-5]|2[2-7])\d{14}|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}|(?:6011|65\d\d|64[4-9]\d)\d{12}"
    r"|35(?:2[89]|[3-8]\d)\d{12}|62\d{14,17}|(?:50|5[6-9]|6\d)\d{10,17}"
)
_IBAN = re.compile(r"(?<!\w)[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,30}")
_IBAN_LENGTHS = {
    country: int(length)
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FI FO GL NL", 19: "MK SI", 20: "AT BA EE KZ LT LU XK",
        21: "CH HR LI LV", 22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM TL SO", 24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST", 26: "IS TR", 27: "FR GR IT MC MR SM BI DJ", 28: "AL AZ BY CY DO GT HU LB NI PL SV", 29: "BR EG PS QA UA",
        30: "JO KW MU", 31: "MT SC", 32: "LC", 33: "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip
_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\.?\w)")
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:(?:\.\d{1,3}){3})?(?![\w:])")
_VERSION = re.compile(r"(?:\bv|\bver\.?|version|release|revision|>=|<=|==|~)\s*\Z", re.IGNORECASE)
_CARD_GATE, _IBAN_GATE, _IPV4_GATE, _IPV6_GATE = "card", "iban", "ipv4", "ipv6"
GATES = {
    _CARD_GATE: r"\d(?:[ -]?\d){12}",
    _IBAN_GATE: loosened(_IBAN.pattern),
    _IPV4_GATE: r"(?:\d{1,3}\.){3}\d",
    _IPV6_GATE: r"(?:^|[^\w:.])(?:(?:[0-9A-Fa-f]{1,4}:){1,7}:|::[0-9A-Fa-f]|(?:[0-9A-Fa-f]{1,4}:){6,7}[0-9A-Fa-f])",
}
_OF_MACHINE = re.compile(
    r"\bip\b|ipv4|addr|host|server|ping|ssh|from|gateway|dns|client|proxy|router|connect|log(?:ged)? ?in|curl|[@/=:\"'\[,]\s?\Z",
    re.IGNORECASE,
)
_PLAIN = str.maketrans("", "", " -")
_RUN = re.compile(r"(?<!\w)[(+]?[A-Za-z0-9][A-Za-z0-9 ()./:+-]{0,80}\Z")
_MOST_RUN = 84


class Numbers:
    """See `Detector`."""

    longest = LONGEST
    as_written = False

    def __init__(self, kinds: tuple[str, ...] = (CARD, IBAN, IP)) -> None:
        self.kinds = kinds

    def find(self, scan: Scan) -> list[Finding]:
        """See `Detector.find`."""
        found: list[Finding] = []
        if CARD in self.kinds and scan.may(_CARD_GATE):
            found += _cards(scan)
        if IBAN in self.kinds and scan.may(_IBAN_GATE):
            found += _accounts(scan)
        if IP in self.kinds:
            found += _machines(scan)
        return found

    def open_at(self, text: str) -> int:
        """See `Detector.open_at`."""
        return run_at(text)


def run_at(text: str) -> int:
    """From where the text ends in digits, or letters and digits, with the signs that numbers are written with."""
    start = max(0, len(text) - _MOST_RUN)
    found = _RUN.search(text, start)
    if found is None:
        return len(text)
    digits = re.search(r"\d", found[0])
    if digits is None:  # no number yet, but the last word may begin one
        last = re.search(r"[A-Za-z(+]{0,8}[ ]?\Z", text[start:])
        return start + last.start() if last is not None else len(text)
    return max(found.start(), _word_before(text, found.start() + digits.start()))


def _word_before(text: str, place: int) -> int:
    """Where the word at `place` begins, and a country or sign before it."""
    before = re.search(r"[(+]?[A-Za-z0-9]{0,8}\Z", text[max(0, place - 9) : place])
    return place - len(before[0]) if before is not None else place


def _cards(scan: Scan) -> Iterator[Finding]:
    text = scan.text
    for cluster in scan.clusters:
        if cluster.digits > _ONE_NUMBER:
            for grouped in _GROUPED.finditer(text, cluster.start, cluster.end + 2):
                if _is_card(grouped[0].translate(_PLAIN)):
                    yield Finding(grouped.start(), grouped.end(), CARD)
            continue
        place = cluster.start
        while cluster.digits >= 13 and (found := _CARD.search(text, place, cluster.end)) is not None:
            end = _card_end(text, found[0], found.start())
            if end is not None:
                yield Finding(found.start(), end, CARD)
            place = end if end is not None else found.start() + 1


def _card_end(text: str, written: str, start: int) -> int | None:
    """Where the longest card number ends that the digits begin with."""
    for end in range(len(written), 12, -1):
        after = text[start + end : start + end + 2]
        if written[end - 1] in " -" or after[:1].isalnum() or (after[:1] == "." and after[1:].isdigit()):
            continue
        digits = written[:end].translate(_PLAIN)
        if len(digits) < 13:
            return None
        if _is_card(digits):
            return start + end
    return None


def _is_card(digits: str) -> bool:
    return _CARDS.fullmatch(digits) is not None and luhn(digits) and len(set(digits)) > 1


def luhn(digits: str) -> bool:
    """Whether the last digit is Luhn's check digit of the others."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = ord(digit) - 48
        if place % 2:
            value = value * 2 - 9 if value > 4 else value * 2
        total += value
    return total % 10 == 0


def _accounts(scan: Scan) -> Iterator[Finding]:
    text = scan.text
    place = 0
    while (found := _IBAN.search(text, place)) is not None:
        end = _account_end(text, found[0], found.start())
        if end is not None:
            yield Finding(found.start(), end, IBAN)
        place = end if end is not None else found.start() + 4


def _account_end(text: str, written: str, start: int) -> int | None:
    length = _IBAN_LENGTHS.get(written[:2].upper())
    taken = 0
    for end, letter in enumerate(written, 1):
        taken += letter not in " -"
        if taken == length:
            whole = not text[start + end : start + end + 1].isalnum()
            return start + end if whole and mod97(written[:end].translate(_PLAIN)) else None
    return None


def mod97(account: str) -> bool:
    """Whether the account's check digits hold."""
    turned = account[4:] + account[:4]
    return int("".join(str(int(letter, 36)) for letter in turned)) % 97 == 1


def _machines(scan: Scan) -> Iterator[Finding]:
    text = scan.text
    for cluster in scan.clusters if scan.may(_IPV4_GATE) else ():
        if cluster.digits < 4:
            continue
        for found in _IPV4.finditer(text, cluster.start, cluster.end + 2):
            before = text[max(0, found.start() - 40) : found.start()]
            if _is_machine(found[0]) and not _VERSION.search(before) and not _low(found[0], before):
                yield Finding(found.start(), found.end(), IP)
    if scan.may(_IPV6_GATE) and ("::" in text or text.count(":") >= 7):
        for found in _IPV6.finditer(text):
            if re.search(r"\d", found[0]) and len(found[0]) > 4 and _is_machine(found[0]):
                yield Finding(found.start(), found.end(), IP)


def _low(written: str, before: str) -> bool:
    """Whether it is more likely the number of a version: four single digits, with no word before them that speaks of a machine."""
    return (
        len(written) == 7
        and len(set(written)) > 2
        and before.strip() != ""
        and _OF_MACHINE.search(before) is None
    )


def _is_machine(written: str) -> bool:
    try:
        address = ipaddress.ip_address(written)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified or written.endswith(".255.255.255"))
