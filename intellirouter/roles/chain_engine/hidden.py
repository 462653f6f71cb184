"""Strikes out of what comes back from outside the secrets that were sent there, in whatever spelling a server says them back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

STRUCK = "[secret]"
_ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")


@dataclass(frozen=True, slots=True)
class Hidden:
    """`words` are struck out as they are, and as they stand in an address."""

    words: tuple[str, ...] = ()

    @classmethod
    def of(cls, *words: str) -> Hidden:
        """Of the secrets; empty ones are none."""
        spelt = [form for word in words if word for form in (word, quote(word, safe=""), quote(word))]
        return cls(tuple(dict.fromkeys(spelt)))

    def text(self, said: str) -> str:
        """A text without them; also one of UTF-16 or UTF-32 that was taken for UTF-8."""
        if "\0" in said:
            return self.data(said.encode("utf-8", "surrogatepass")).decode("utf-8", "replace")
        for word in self.words:
            said = said.replace(word, STRUCK)
        return said

    def data(self, said: bytes) -> bytes:
        """Bytes without them, whatever encoding of Unicode they are in."""
        for word in self.words:
            for encoding in _ENCODINGS:
                said = said.replace(word.encode(encoding), STRUCK.encode(encoding))
        return said

    def value(self, said: Any) -> Any:
        """What was read of JSON, without them: JSON has several spellings of each character."""
        if not self.words:
            return said
        if isinstance(said, str):
            return self.text(said)
        if isinstance(said, list):
            return [self.value(each) for each in said]
        if isinstance(said, dict):
            return {self.text(name): self.value(each) for name, each in said.items()}
        return said
