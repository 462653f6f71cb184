"""Whether a caller is let in at an endpoint: the same over HTTP and gRPC."""

from __future__ import annotations

from intellirouter.errors import PermissionDenied
from intellirouter.security.caller import NOBODY, Caller
from intellirouter.security.errands import check_errand, lends
from intellirouter.security.permissions import PEERS, Permission, holders


def admitted(caller: Caller, role: str, endpoint: str, asked: Permission) -> Caller:
    """The caller as it may act behind this endpoint of `role`. Raises `PermissionDenied`."""
    if caller.via:
        check_errand(caller, role, endpoint)
        if lends(caller.via, role, asked.name):
            return caller
    if not caller.may(asked.name):
        raise lacks(caller, asked)
    return caller if caller.grants is None else caller.entering(asked.name)


def lacks(caller: Caller, asked: Permission) -> PermissionDenied:
    """The refusal of somebody who does not hold a permission."""
    if asked.name == PEERS:
        return PermissionDenied("Only another role asks this, with a signed call (ipc.security).")
    scopes, roles = holders(asked)
    needed = f"the permission '{asked.name}'"
    if caller.ref == NOBODY:
        return PermissionDenied(
            f"This asks for a key with {needed}, and keys are off on this node: set [auth] enabled, "
            f"then `intellirouter keys create NAME --scope {scopes[0]}`."
        )
    if caller.permissions is not None:
        return PermissionDenied(f"You lack {needed}. Roles with it: {', '.join(roles)}.")
    having = " or ".join(f"'{scope}'" for scope in scopes)
    return PermissionDenied(f"This key lacks {needed}, which keys with the scope {having} have.")
