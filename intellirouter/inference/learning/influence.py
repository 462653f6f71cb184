"""How much one key's word counts: nobody moves a group by more than their share.

Three rules. A key whose outcomes contradict, far beyond chance, what the others' outcomes taught is heeded less the more it
does. One whose outcomes are likelier if good and bad were turned around, or are far better or worse throughout than expected,
is not heeded while it goes on, nor is it a sign that a target has changed; unless most keys say so. And beyond as much weight
as all other keys together have given, each further outcome counts a tenth. All need others: a group that only one key uses
learns from that key.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

MAX_KEYS = 1_000
ALONE = 100.0
"""Weight that any key may give before it is compared with the others."""
_ENOUGH = 12.0
_RECENT = 100.0
_ESTABLISHED = 50.0
_TOLERATED, _REFUSED = 1.4, 1.9
"""A key's squared error of prediction over that of the others: heeded in full below the first, not at all beyond the second."""
_OVER_SHARE = 0.1
_DOUBTED, _MOST, _LEAST = -3.0, 2.0, -12.0
"""The log likelihood ratio of a key's outcomes as they are and turned around (Wald, 1945): from where on a key is doubted, and
its bounds, so that neither a good name lasts nor a bad one."""
_UNLIKE, _CHANCE = 0.2, 1.3
"""How much better or worse than expected the outcomes of a key are on the whole from where on it is doubted too; and what of
that is chance, with the root of their number (about three standard errors)."""
_FREE = 20.0
"""Weight that a doubted key may give. It stays doubted while it contradicts: what nobody heeds moves no expectation towards it."""
_FADE = 1 - 1 / 300


@dataclass
class Account:
    """What one key gave: `given` weight that was learnt, `judged` outcomes compared, their faded mean squared `error`, their faded
    mean `surprise`, and how much likelier they are as they are than turned around (`likelihood`, a logarithm)."""

    given: float = 0.0
    judged: float = 0.0
    error: float = 0.0
    surprise: float = 0.0
    likelihood: float = 0.0

    @property
    def doubted(self) -> bool:
        """Whether it seems to say the contrary, or says the same of everything."""
        if self.likelihood < _DOUBTED:
            return True
        return self.judged >= _ENOUGH and abs(self.surprise) > max(_UNLIKE, _CHANCE / self.judged**0.5)


@dataclass
class Influence:
    """The accounts of one group's keys, by the hash of the key."""

    accounts: dict[str, Account] = field(default_factory=dict)

    def share(self, key: str) -> float:
        """What an outcome of `key` counts for, 0 to 1."""
        own = self.accounts.get(key)
        if own is None:
            return 1.0
        others = [account for name, account in self.accounts.items() if name != key]
        given = sum([account.given for account in others])
        if not given:
            return 1.0
        if own.given > _FREE and self.contrary(key):
            return 0.0
        return self._trust(own, others) * (1.0 if own.given <= max(ALONE, given) else _OVER_SHARE)

    def contrary(self, key: str) -> bool:
        """Whether a key is doubted that few others are like. Where most are, it is the targets that have changed."""
        own = self.accounts.get(key)
        if own is None or not own.doubted:
            return False
        others = [
            account for name, account in self.accounts.items() if name != key and account.judged >= _ENOUGH
        ]
        return 2 * len([True for account in others if account.doubted]) < len(others)

    def _trust(self, own: Account, others: list[Account]) -> float:
        judged = sum(account.judged for account in others)
        if own.judged < _ENOUGH or judged < _ESTABLISHED:
            return 1.0
        # The median of the others, so that one of them cannot make all seem honest.
        errors = sorted((account.error, account.judged) for account in others if account.judged >= _ENOUGH)
        if not errors:
            return 1.0
        middle = errors[(len(errors) - 1) // 2][0] + 0.03
        ratio = own.error / middle
        return min(1.0, max(0.0, (_REFUSED - ratio) / (_REFUSED - _TOLERATED)))

    def note(self, key: str, given: float, expected: float, score: float) -> None:
        """An outcome of `key`, `score`, was learnt with weight `given`; before it, `expected` was."""
        account = self.accounts.get(key)
        if account is None:
            if len(self.accounts) >= MAX_KEYS:
                del self.accounts[min(self.accounts, key=lambda name: self.accounts[name].given)]
            account = self.accounts[key] = Account()
        account.given += given
        account.judged = min(300.0, account.judged + 1)
        surprise, likely = score - expected, min(0.95, max(0.05, expected))
        account.error += (surprise * surprise - account.error) / account.judged
        account.surprise += (surprise - account.surprise) / min(account.judged, _RECENT)
        step = (2 * score - 1) * math.log(likely / (1 - likely))
        account.likelihood = min(_MOST, max(_LEAST, account.likelihood + step))

    def fade(self) -> None:
        """Once for each round of training: what was given long ago weighs less."""
        for account in self.accounts.values():
            account.given *= _FADE
