"""Secrets: keys in the forms their issuers give them, private keys, tokens, passwords in URLs and beside their names.

The forms are those that the issuers document for secret scanning. What stands beside a telling name counts where it is no
placeholder and looks drawn at random (Shannon's entropy over its characters).
"""

from __future__ import annotations

import math
import re
from collections import Counter

from intellirouter.guards.finding import LONGEST, Finding
from intellirouter.guards.gates import loosened
from intellirouter.guards.scan import Scan, Signs, windows

SECRET = "secret"  # noqa: S105 — the name of a kind

_ISSUED = re.compile(
    r"(?<![A-Za-z0-9_-])(?:"
    r"sk-(?:proj-|svcacct-|admin-|ant-(?:api|admin)\d\d-|or-v1-|lf-)?[A-Za-z0-9_-]{20,200}"  # OpenAI, Anthropic, OpenRouter …
    r"|(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,120}|whsec_[A-Za-z0-9+/=]{24,80}"  # Stripe
    r"|gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{36,255}|gl(?:pat|dt|rt|ptt|soat)-[A-Za-z0-9_-]{20,64}"
    r"|(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}|AIza[A-Za-z0-9_-]{35}|ya29\.[A-Za-z0-9_-]{30,200}|GOCSPX-[A-Za-z0-9_-]{28}"
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,250}|xapp-\d-[A-Za-z0-9-]{10,250}"  # Slack
    r"|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,250}|hf_[A-Za-z0-9]{30,40}|gsk_[A-Za-z0-9]{40,60}|xai-[A-Za-z0-9]{40,100}"
    r"|r8_[A-Za-z0-9]{37}|pplx-[A-Za-z0-9]{40,60}|SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}|key-[0-9a-f]{32}"
    r"|dop_v1_[0-9a-f]{64}|shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}|sq0(?:atp|csp)-[A-Za-z0-9_-]{22,43}|dp\.pt\.[A-Za-z0-9]{40,44}"
    r"|hv[sbr]\.[A-Za-z0-9_-]{24,200}|dckr_pat_[A-Za-z0-9_-]{27}|lin_api_[A-Za-z0-9]{40}|ntn_[A-Za-z0-9]{40,50}"
    r"|age-secret-key-1[0-9a-z]{50,60}|AGE-SECRET-KEY-1[0-9A-Z]{50,60}|\d{8,10}:AA[A-Za-z0-9_-]{33}|EAACEdEose0cBA[A-Za-z0-9]{10,200}"
    r"|eyJ[A-Za-z0-9_-]{8,200}\.eyJ[A-Za-z0-9_-]{8,2000}\.[A-Za-z0-9_-]{8,1000}"  # a JSON Web Token
    r")(?![A-Za-z0-9_-])"
)
_PRIVATE = re.compile(r"-----BEGIN (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_PRIVATE_END = re.compile(r"-----END (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_LONGEST_KEY = 20_000
_IN_URL = re.compile(r"(?<=://)[^\s:/@<>\"']{0,128}:([^\s/@<>\"']{3,256})(?=@[\w\[])")
_HOOK = re.compile(r"https://hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/_-]{20,120}")
_NAMED = re.compile(
    r"(?i:(?:pass(?:word|wd|phrase)|(?-i:pass)|pwd|secret(?:[_ -]?(?:access[_ -]?)?key)?|(?:api|access|auth|private|client|master|encryption|signing)[_ -]?(?:key|token|secret)"
    r"|[a-z0-9]{1,24}[_-](?:token|secret|password|key)|token|passwort|kennwort|contraseña|mot de passe|senha|密码|パスワード)"
    r"[\"'`]?(?:[ \t]{0,8}(?::=|=>|[:=])|[ ]is)[ \t]{0,8}(?:bearer[ ])?)([\"'`]?)([^\s\"'`,;<>(){}\[\]]{6,256})"
)
_BEARER = re.compile(
    r"(?i:authorization[\"']?\s{0,4}[:=]\s{0,4}[\"']?(?:bearer|basic|token)\s{1,4})([A-Za-z0-9._~+/=-]{12,1024})"
)
_ISSUED_AT, _NAMED_AT = "issued", "named"
_KEY_GATE, _URL_GATE, _BEARER_GATE = "private key", "in a url", "bearer"
GATES = {
    _ISSUED_AT: loosened(_ISSUED.pattern),
    _NAMED_AT: loosened(_NAMED.pattern),
    _KEY_GATE: "-----BEGIN",
    _URL_GATE: r"://[^\s:/@<>\"']*:[^\s/@<>\"']{3,}@|https://hooks\.slack\.com/",
    _BEARER_GATE: "uthoriz",
}
_SIGNS = Signs(
    {
        _ISSUED_AT: (
            "sk-", "k_live_", "k_test_", "whsec_", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "gldt-", "glrt-", "glptt-",
            "glsoat-", "akia", "asia", "abia", "acca", "aiza", "ya29.", "gocspx-", "xox", "xapp-", "npm_", "pypi-", "hf_", "gsk_", "xai-", "r8_",
            "pplx-", "sg.", "key-", "dop_v1", "shpat_", "shpca_", "shppa_", "shpss_", "sq0", "dp.pt", "hvs.", "hvb.", "hvr.", "dckr_", "lin_api",
            "ntn_", "age-secret", ":aa", "eaac", "eyj",
        ),
        _NAMED_AT: (
            "password", "passwd", "passphrase", "pwd", "secret", "key", "token", "passwort", "kennwort", "contraseña", "contrasena", "mot de passe",
            "senha", "密码", "パスワード", "pass:", "pass=", "pass ",
        ),
    }
)  # fmt: skip
_BEFORE, _AFTER = 32, 300
_STAND_IN = re.compile(
    r"(?i:.*(?:example|placeholder|changeme|change_me|your[_-]|my[_-]|xxxx|\*\*\*|\.\.\.|dummy|redacted|insert[_-]|process\.env|os\.environ).*"
    r"|todo|none|null|undefined|x+|true|false|string|optional|required)"
    r"|\$(?:[{(].*|[A-Za-z_][A-Za-z0-9_]*)|%[A-Za-z_][A-Za-z0-9_]*%|(.)\1{4,}.*"
)
_STOPS = ".!?"
"""Signs that end a sentence and no password."""
_LEAST_ENTROPY = 2.7
_TAIL = re.compile(r"[^\s]{0,512}\Z")


class Secrets:
    """See `Detector`."""

    longest = _LONGEST_KEY
    as_written = False
    kinds: tuple[str, ...] = (SECRET,)

    def find(self, scan: Scan) -> list[Finding]:
        """See `Detector.find`."""
        text = scan.text
        found: list[Finding] = []
        signs: dict[str, list[int]] = {}
        if scan.may(_ISSUED_AT) or scan.may(
            _NAMED_AT
        ):  # its length may differ, by far less than the windows are wide
            signs = _SIGNS.places(text.lower())
        for start, end in windows(signs.get(_ISSUED_AT, ()), 16, 3_300, len(text)):
            found += [Finding(one.start(), one.end(), SECRET) for one in _ISSUED.finditer(text, start, end)]
        for start, end in windows(signs.get(_NAMED_AT, ()), _BEFORE, _AFTER, len(text)):
            found += [
                Finding(one.start(2), one.end(2) - (0 if one[1] else _stops(one[2])), SECRET)
                for one in _NAMED.finditer(text, start, end)
                if _drawn(one[2], quoted=bool(one[1]))
            ]
        if scan.may(_KEY_GATE) and "-----BEGIN" in text:
            found += _private_keys(text)
        if scan.may(_URL_GATE) and "://" in text:
            found += [
                Finding(*one.span(1), SECRET)
                for one in _IN_URL.finditer(text)
                if not _STAND_IN.fullmatch(one[1])
            ]
            found += [Finding(one.start(), one.end(), SECRET) for one in _HOOK.finditer(text)]
        if scan.may(_BEARER_GATE) and "uthoriz" in text:
            found += [
                Finding(*one.span(1), SECRET)
                for one in _BEARER.finditer(text)
                if not _STAND_IN.fullmatch(one[1])
            ]
        return found

    def open_at(self, text: str) -> int:
        """See `Detector.open_at`: from the last word on, or from where a private key began."""
        begun = text.rfind("-----BEGIN ")
        if begun >= 0 and not _PRIVATE_END.search(text, begun) and len(text) - begun < _LONGEST_KEY:
            return begun
        tail = _TAIL.search(text, max(0, len(text) - LONGEST))
        return tail.start() if tail is not None else len(text)


def _private_keys(text: str) -> list[Finding]:
    found = []
    place = 0
    while (begin := _PRIVATE.search(text, place)) is not None:
        end = _PRIVATE_END.search(text, begin.end(), begin.end() + _LONGEST_KEY)
        place = end.end() if end is not None else min(len(text), begin.end() + _LONGEST_KEY)
        found.append(Finding(begin.start(), place, SECRET))
    return found


def _drawn(value: str, *, quoted: bool) -> bool:
    """Whether a value beside a telling name is a secret and no word of a sentence."""
    value = value.rstrip(_STOPS)
    if len(value) < 6 or _STAND_IN.fullmatch(value):
        return False
    kinds = sum(any(map(test, value)) for test in (str.islower, str.isupper, str.isdigit)) + (
        not value.isalnum()
    )
    if kinds < 2 and not (quoted and len(value) >= 8 and value.isdigit()):
        return False
    return entropy(value) >= _LEAST_ENTROPY or (quoted and kinds >= 3)


def entropy(value: str) -> float:
    """Bits for each character, by how often each stands in it (Shannon)."""
    return -sum(count / len(value) * math.log2(count / len(value)) for count in Counter(value).values())


def _stops(value: str) -> int:
    """How many of its last signs end the sentence that it stands in."""
    return len(value) - len(value.rstrip(_STOPS))
