"""What FTS5's own tokenizer makes of a text: so that whoever looks into an index by its terms asks for what stands there."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

TOKENIZER = "porter unicode61 categories 'L* N* Co Mn Mc'"


class Stems:
    """Of one thread."""

    def __init__(self) -> None:
        self._scratch: sqlite3.Connection | None = None

    def of(self, texts: Sequence[str]) -> list[list[str]]:
        """The stems of each text, in their order."""
        if self._scratch is None:
            self._scratch = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            self._scratch.execute(
                f"create virtual table texts using fts5 (text, content = '', tokenize = \"{TOKENIZER}\")"
            )
            self._scratch.execute("create virtual table stems using fts5vocab (texts, instance)")
        db = self._scratch
        found: list[list[str]] = [[] for _ in texts]
        try:
            db.executemany("insert into texts (rowid, text) values (?, ?)", enumerate(texts))
            for number, stem in db.execute("select doc, term from stems order by doc, offset"):
                found[number].append(stem)
        finally:  # whoever asks next may be somebody else
            db.execute("insert into texts (texts) values ('delete-all')")
        return found
