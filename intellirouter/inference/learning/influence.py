"""How much one key's word counts: nobody moves a group by more than their share.

Two rules. A key whose outcomes contradict, far beyond chance, what the others' outcomes taught is heeded less the more it
does. And beyond as much weight as all other keys together have given, each further outcome counts a tenth. Both need
others: a group that only one key uses learns from that key.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_KEYS = 1_000
ALONE = 100.0
"""Weight that any key may give before it is compared with the others."""
_ENOUGH = 12.0
_ESTABLISHED = 50.0
_TOLERATED, _REFUSED = 1.4, 1.9
"""A key's squared error of prediction over that of the others: heeded in full below the first, not at all beyond the second."""
_OVER_SHARE = 0.1
_FADE = 1 - 1 / 300


@dataclass
class Account:
    """What one key gave: `given` weight that was learnt, `judged` outcomes compared, their faded mean squared `error`."""

    given: float = 0.0
    judged: float = 0.0
    error: float = 0.0


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
        given = sum(account.given for account in others)
        return self._trust(own, others) * (
            1.0 if own.given <= max(ALONE, given) or not given else _OVER_SHARE
        )

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

    def note(self, key: str, given: float, error: float) -> None:
        """An outcome of `key` was learnt with weight `given`; the prediction before it was off by `error` squared."""
        account = self.accounts.get(key)
        if account is None:
            if len(self.accounts) >= MAX_KEYS:
                del self.accounts[min(self.accounts, key=lambda name: self.accounts[name].given)]
            account = self.accounts[key] = Account()
        account.given += given
        account.judged = min(300.0, account.judged + 1)
        account.error += (error - account.error) / account.judged

    def fade(self) -> None:
        """Once for each round of training: what was given long ago weighs less."""
        for account in self.accounts.values():
            account.given *= _FADE
