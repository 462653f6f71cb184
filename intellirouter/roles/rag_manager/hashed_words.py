"""Words as an index may keep them where the node has a key: each a keyed hash of its stem, bound to its collection.

What is a word and its stem says FTS5's own tokenizer, in a table in memory, so that a collection finds the same with and without a key.
Keyed BLAKE2b (RFC 7693) of 48 bits: two words of a collection that share one are rare, and cost no more than a passage that ranks a
little too high. Whoever has the disk sees how often something stands in which chunk, and not what.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from intellirouter.roles.rag_manager import terms
from intellirouter.roles.rag_manager.phrase import Phrase
from intellirouter.roles.rag_manager.stems import Stems
from intellirouter.security.sealing import Sealer

_BYTES = 6


class HashedWords:
    """Of one thread. `name` tells the key that it hashes with from others."""

    def __init__(self, sealer: Sealer) -> None:
        self.name = sealer.current_name
        self._key = sealer.key_for("words")
        self._stems = Stems()

    def columns(self, collection: str, texts: Sequence[str]) -> list[str]:
        """The texts as they are indexed, and behind them the signs of all that a single sign is found by."""
        stems = self._stems.of([terms.indexed(text) for text in texts])
        signs = [f"sign {sign}" for text in texts for sign in terms.signs(text)]
        return [self._hashed(collection, words) for words in (*stems, signs)]

    def phrases(self, collection: str, words: Sequence[str]) -> list[Phrase]:
        """What the index is asked in place of each of the words; `水*` is a sign."""
        stems = self._stems.of([word.removesuffix("*") for word in words])
        return [
            Phrase(self._hashed(collection, [f"sign {word[:-1]}"]), column="signs")
            if word.endswith("*")
            else Phrase(self._hashed(collection, found))
            for word, found in zip(words, stems, strict=True)
        ]

    def _hashed(self, collection: str, words: Sequence[str]) -> str:
        salt = hashlib.blake2b(collection.encode(), digest_size=16).digest()
        made: dict[str, str] = {}
        for word in words:
            if word not in made:
                raw = word.encode("utf-8", "surrogatepass")
                made[word] = hashlib.blake2b(raw, digest_size=_BYTES, key=self._key, salt=salt).hexdigest()
        return " ".join(made[word] for word in words)
