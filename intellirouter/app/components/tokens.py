"""Tokens of people: who takes them on this node, and who signs in here."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from intellirouter.app.component import Opened
from intellirouter.config.schema.auth import AuthSection
from intellirouter.config.schema.identity import JwtSection
from intellirouter.identity.issuers import Issuer
from intellirouter.identity.sessions import signing_key
from intellirouter.identity.tokens import Tokens
from intellirouter.inference.background import background
from intellirouter.roles.keys import OUTGOING, PEOPLE, STATE
from intellirouter.security.api_keys import KeyRing


@dataclass(slots=True)
class PeopleTokens:
    """What takes tokens, and its issuers."""

    opened: Opened
    tokens: Tokens
    _issuers: dict[str, Issuer[JwtSection]] = field(default_factory=dict)

    def take(self, sections: Sequence[JwtSection]) -> None:
        """Take tokens of these issuers; one that stays as it is keeps its keys."""
        kept = {name: one for name, one in self._issuers.items() if one.section in sections}
        self._issuers = {
            section.issuer: kept.get(section.issuer) or Issuer(section, self.opened[OUTGOING])
            for section in sections
        }
        self.tokens.configure(self._issuers)

    async def aclose(self) -> None:
        """End what is under way."""
        for issuer in self._issuers.values():
            await issuer.aclose()


@contextlib.asynccontextmanager
async def people_tokens(opened: Opened, ring: KeyRing, section: AuthSection) -> AsyncIterator[PeopleTokens]:
    """The ring takes tokens while the context is open, where the configuration has somebody who makes them."""
    tokens = Tokens(ring.people, opened[PEOPLE])
    taking = PeopleTokens(opened, tokens)
    taking.take(section.jwt)
    ring.tokens = tokens
    try:
        if section.login.enabled or section.oidc:
            given = section.login.secret
            tokens.sign_with(
                given.get_secret_value().encode() if given is not None else await signing_key(opened[STATE])
            )
        async with background(people_of_tokens=tokens.write()):
            yield taking
    finally:
        ring.tokens = None
        await taking.aclose()
