"""Whether other roles take our calls: each is asked what it answers only to a call that it trusts."""

from __future__ import annotations

import asyncio
import ssl

from intellirouter.config.schema.ipc import IpcSecurity
from intellirouter.config.schema.settings import Settings
from intellirouter.errors import IntelliRouterError
from intellirouter.ops.diagnose.certificates import presented
from intellirouter.ops.diagnose.finding import Finding, Level
from intellirouter.peers.contract import Call
from intellirouter.peers.http_roles import RoleClient, said
from intellirouter.security.caller import Caller
from intellirouter.security.errands import EDGE, callers_of
from intellirouter.security.peer_certificates import peer_tls, roles_of
from intellirouter.security.peer_tokens import PeerSigner
from intellirouter.transport.choose import make_transport
from intellirouter.transport.contract import Deadlines

QUESTIONS = {
    "Router": "/v1/models",
    "ChainEngine": "/v1/nodes",
    "RagManager": "/rag/v1/collections",
    "PersonaLayer": "/v1/personas",
}
"""What costs a role nothing, and strangers are not told."""
MAX_BYTES = 16 << 20


async def trusted(settings: Settings, role: str, name: str, url: str, deadline: float) -> Finding | None:
    """A finding when the role refuses this node, or fails; None when it takes the call, or has no business with this node's roles.

    Within about `deadline` seconds.
    """
    security = settings.ipc.security
    if not (asking := _asking(security, role)):
        return None
    caller = Caller(key_id="diagnose", scopes=frozenset({"inference"}))
    transport = make_transport(settings.router.transport, max_connections=2, peer=peer_tls(security, role))
    client = RoleClient(transport, role, url, PeerSigner(security, asking), deadline)
    deadlines = Deadlines(connect=deadline, first_byte=deadline, total=deadline)
    try:
        async with asyncio.timeout(deadline):
            reply = await client.send("GET", QUESTIONS[role], {}, b"", Call(caller, "diagnose"), deadlines)
            try:
                status, body = reply.status, await reply.read(MAX_BYTES)
            finally:
                reply.close()
    except (IntelliRouterError, TimeoutError) as error:
        told = error.message if isinstance(error, IntelliRouterError) else f"no answer within {deadline:g} s"
        return Finding(
            "network", name, Level.PROBLEM, f"a call of ours fails: {told}", f"Look at the log of {url}."
        )
    if status != 401:
        return None
    reason = said(status, body, role).message
    if not security.enabled:
        advice = "It asks for trust: switch [ipc.security] on here, with the token that stands there."
    elif security.token is not None:
        advice = "Give every node the same [ipc.security] token (previous_token while a new one is rolled out), and look at both clocks."
    else:
        advice = (
            "Its certificate authority must have made ours, and ours must name this role: [ipc.security]."
        )
    return Finding("network", name, Level.PROBLEM, f"refuses our calls: {reason}", advice)


def _asking(security: IpcSecurity, role: str) -> frozenset[str]:
    """The roles to ask as: a token is every role's alike; a certificate names those of this node."""
    business = callers_of(role) - {EDGE}
    if security.certificate is None or security.key is None or peer_tls(security, role) is None:
        return business
    try:
        named = roles_of(presented(security.certificate, security.key))
    except (OSError, ssl.SSLError):  # `own_certificates` tells of it
        return business
    return business & named if named else business  # one that names none is refused, and why is told
