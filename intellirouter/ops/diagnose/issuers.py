"""Whether the issuers of `[[auth.jwt]]` and `[[auth.oidc]]` answer, and with keys."""

from __future__ import annotations

from collections.abc import Iterator

from intellirouter.config.schema.identity import ClaimsSection, OidcSection
from intellirouter.config.schema.outgoing import OutgoingSection
from intellirouter.config.schema.settings import Settings
from intellirouter.counts import counted
from intellirouter.errors import IntelliRouterError
from intellirouter.identity.issuers import Issuer
from intellirouter.ops.diagnose.finding import Finding, Level
from intellirouter.transport.outgoing.door import OutgoingDoor

_NEEDED = ("authorization_endpoint", "token_endpoint")


def issuers_of(settings: Settings) -> Iterator[tuple[str, ClaimsSection]]:
    """Those that this node asks, by name; none where nobody is asked who they are."""
    if not settings.auth.enabled:
        return
    for token in settings.auth.jwt:
        yield f"issuer {token.issuer}", token
    for provider in settings.auth.oidc:
        yield f"identity provider {provider.name}", provider


async def examine_issuer(name: str, section: ClaimsSection, outgoing: OutgoingSection) -> list[Finding]:
    """Its keys, and what signing in there needs."""
    door = OutgoingDoor(outgoing)
    issuer = Issuer(section, door)
    try:
        trouble = await issuer.look()
        if not trouble and isinstance(section, OidcSection):
            known = await issuer.discovery()
            missing = [one for one in _NEEDED if not isinstance(known.get(one), str)]
            trouble = f"it publishes no {' and no '.join(missing)}" if missing else ""
    except (IntelliRouterError, ValueError) as error:
        trouble = error.message if isinstance(error, IntelliRouterError) else str(error)
    finally:
        await issuer.aclose()
        await door.aclose()
    if trouble:
        advice = (
            "Without it nobody new comes in; look at issuer and jwks_url, the network and [outgoing] ca_file."
        )
        return [Finding("network", name, Level.PROBLEM, f"{section.issuer}: {trouble}", advice)]
    return [Finding("network", name, Level.OK, f"{section.issuer} publishes {counted(issuer.known, 'key')}")]
