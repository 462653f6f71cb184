"""What an embedder is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from intellirouter.security.authority import Authority
from intellirouter.security.caller import Caller, Owner
from intellirouter.vectors.index import Vectors

NODE = Caller(key_id="rag-manager", scopes=frozenset({"inference"}), ref="node")
"""In whose name a node embeds what nobody's key asked for: an operator's command, and jobs of an earlier version."""


@dataclass(frozen=True, slots=True)
class Behalf:
    """In whose name texts are embedded. `now` is asked before each request to a provider: what the owner may can change.

    Two are the same when they have the same owner, so that their texts may share a request.
    """

    owner: Owner
    now: Callable[[], Awaitable[Caller]] = field(compare=False)


def asked_by(caller: Caller) -> Behalf:
    """For a request that its caller waits for."""

    async def now() -> Caller:
        return caller

    return Behalf(caller.owner(), now)


def queued_by(owner: Owner, authority: Authority) -> Behalf:
    """For a job that its owner left: it may be narrowed or revoked until the job is over."""

    async def now() -> Caller:
        return await authority.caller_of(owner)

    return Behalf(owner, now)


class Embedder(Protocol):
    """`model` names it for good: vectors of two models are never mixed. `max_tokens` bounds one text."""

    @property
    def model(self) -> str:
        """The name a collection pins."""

    @property
    def max_tokens(self) -> int:
        """What is past it is not seen."""

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, without those the model adds."""

    def knows(self, text: str) -> bool:
        """Whether the model was made for the script that most of the text is in."""

    def fluency(self, text: str) -> float:
        """How well the model knows the text's words, 0 to 1: 1 where they are of a language, or a jargon, that it was trained on."""

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """One unit vector a text, in their order."""

    def on_behalf_of(self, behalf: Behalf) -> Embedder:
        """The same embedder for somebody: whoever is asked is asked in that name. Equal where they may share a request."""
