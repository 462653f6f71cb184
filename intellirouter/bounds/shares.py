"""Places that many owners share: nobody can take them all, and nobody alone is kept from using most of them.

An owner gets another place while it has fewer than `GREED` times what is free (the dynamic threshold of Choudhury and Hahne,
1998, for buffers that queues share). Alone it can have four fifths; whoever comes later still finds places, and what one gives
back is there for the others.
"""

from __future__ import annotations

from collections import Counter

GREED = 4


class Shares:
    """`places` in all; 0: without end. Owners that hold nothing are not kept."""

    def __init__(self, places: int) -> None:
        self.places = places
        self.taken = 0
        self._held: Counter[str] = Counter()

    def held(self, owner: str) -> int:
        """What the owner has."""
        return self._held.get(owner, 0)

    def free_for(self, owner: str) -> bool:
        """Whether the owner would get another one."""
        free = self.places - self.taken
        return not self.places or (free > 0 and self.held(owner) < max(GREED * free, 1))

    def take(self, owner: str) -> bool:
        """Take a place; false, and nothing is taken, where the owner gets none."""
        if not self.free_for(owner):
            return False
        self.force(owner)
        return True

    def force(self, owner: str) -> None:
        """Take a place for what is there already, whether or not one is free."""
        self.taken += 1
        self._held[owner] += 1

    def give(self, owner: str) -> None:
        """Give one back."""
        if owner in self._held:
            self.taken -= 1
            self._held[owner] -= 1
            if not self._held[owner]:
                del self._held[owner]
