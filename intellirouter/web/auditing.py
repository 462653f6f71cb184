"""What the frame around an endpoint tells the audit: who asked for what, what it changed, and how it ended.

Administration is whatever changes something below `/admin/`; a handler says with `noted` what it changed. At level full a change
begins with a record of its own, which is on the disk before anything happens; where it cannot be, the change is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from intellirouter.security.audit.auditor import Auditor
from intellirouter.security.audit.entry import Entry, Kind, difference, now, text, who
from intellirouter.security.audit.journal import AuditUnavailable
from intellirouter.security.caller import Caller

SIGN_INS = frozenset({"sign-in", "sign-out", "token-refresh"})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_ASKS = (
    "/v1/chat",
    "/chat/completions",
    "/v1/completions",
    "/v1/messages",
    "/v1/responses",
    "/responses",
    "/v1/embeddings",
    "/v1beta/",
    "/v1/models/",
    "/api/",
    "/rag/v1/retrieve",
    "/rag/v1/candidates",
    "/rag/v1/embed",
    "/v1/chains/validate",
    "/admin/routing/explain",
)
"""What is asked with POST and changes nothing of others. Whatever is not here is taken for a change."""


@dataclass(slots=True)
class Noted:
    """What a handler says of its own call. See `noted`."""

    action: str = ""
    who: str = ""
    on: str = ""
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    refused: str = ""


NOTED: web.RequestKey[Noted] = web.RequestKey("noted", Noted)


def noted(
    request: web.Request,
    *,
    action: str = "",
    who: str = "",  # noqa: A002, RUF100  the field of the record
    on: str = "",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    refused: str = "",
) -> None:
    """Say what this call changes: `on` which thing (`key:key_1`), its fields before and after; secrets are masked by their names.

    `action` in place of the endpoint's name, where it is a `sign-in` or `sign-out`; `who` where the call itself says who it is.
    `refused` is the code of a refusal that a browser is led away with, which its status does not tell.
    """
    request[NOTED] = Noted(action, who, on, before, after, refused)


def changes(request: web.Request) -> bool:
    """Whether the call may change something."""
    return request.method not in _SAFE and not request.path.startswith(_ASKS)


async def begun(
    auditor: Auditor, request: web.Request, caller: Caller, role: str, name: str, id_: str
) -> None:
    """Before the handler. Raises `AuditUnavailable` at level full for a change that cannot be written down."""
    if auditor.level != "full" or caller.via or not changes(request):
        return
    entry = _entry(auditor, request, caller, role, name, id_, "begun", 0, "")
    try:
        await auditor.require(entry)
    except AuditUnavailable as error:
        raise AuditUnavailable(
            f"Nothing was changed: [auth.audit] level is full, and {error.message[:1].lower()}{error.message[1:]}"
        ) from error


def ended(
    auditor: Auditor,
    request: web.Request,
    caller: Caller | None,
    role: str,
    name: str,
    id_: str,
    status: int,
    error: str,
) -> bool:
    """After the handler, however it ended. True where the answer waits until it is written down."""
    outcome = "away" if status == 499 else "failed" if status >= 500 else "refused" if status >= 400 else "ok"
    if (said := request.get(NOTED)) is not None and said.refused:
        outcome, error = "refused", said.refused
    entry = _entry(auditor, request, caller, role, name, id_, outcome, status, error)
    if not auditor.wants(entry.kind):
        return False
    auditor.note(entry)
    return entry.kind in ("administration", "sign-in")


def _kind(request: web.Request, status: int, action: str) -> Kind:
    if action in SIGN_INS:
        return "sign-in"
    if status in (401, 403):
        return "refusal"
    return "administration" if request.path.startswith("/admin/") and changes(request) else "call"


def _entry(
    auditor: Auditor,
    request: web.Request,
    caller: Caller | None,
    role: str,
    name: str,
    id_: str,
    outcome: str,
    status: int,
    error: str,
) -> Entry:
    said = request.get(NOTED)
    action = (said.action if said is not None else "") or name
    kind = _kind(request, status, action)
    fields = who(caller)
    if said is not None and said.who:
        fields["who"] = text(said.who)
    on, change = "", {}
    if said is not None:
        on = text(said.on)
        if outcome == "ok" or said.before is None:
            change = difference(said.before, said.after, auditor.clean)
    if not on and kind != "call":
        on = text(" ".join(value for value in request.match_info.values() if value)[:512])
    return Entry(
        at=now(),
        kind=kind,
        action=action,
        address=text(request.remote or ""),
        role=role,
        method=request.method,
        path=text(request.path),
        on=on,
        change=change,
        outcome=outcome,
        status=status,
        error=error,
        request=id_,
        **fields,
    )
