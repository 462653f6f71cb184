"""Changes that a command makes past the running node: written into the node's audit journal, as the node itself writes."""

from __future__ import annotations

import contextlib
import getpass
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from typer.main import get_current_context  # type: ignore[attr-defined]  # of the click within typer, shown nowhere else

from intellirouter.cli.plain import warn
from intellirouter.config.redact import Redactor
from intellirouter.config.schema.settings import Settings
from intellirouter.config.shown import secrets
from intellirouter.errors import IntelliRouterError
from intellirouter.security.audit.entry import Entry, difference, now, text
from intellirouter.security.audit.journal import AuditUnavailable
from intellirouter.security.audit.opening import journal_of

_READS = frozenset(
    {"list", "ls", "show", "get", "who", "members", "permissions", "test", "facts", "outcomes"}
)
"""Commands that only look."""


@dataclass(slots=True)
class Told:
    """What a command says of its change once it is made."""

    on: str = ""
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


@contextlib.contextmanager
def audited(settings: Settings, action: str, on: str) -> Iterator[Told]:
    """A change by whoever sits at the terminal. Raises `AuditUnavailable` at level full, before anything is changed."""
    section, told = settings.auth.audit, Told(on)
    if section.level == "off":
        yield told
        return
    must = section.level == "full"

    def write(outcome: str, change: dict[str, Any]) -> None:
        entry = Entry(
            at=now(),
            kind="administration",
            action=action,
            who=text(f"{_user()} (terminal)"),
            address=socket.gethostname(),
            on=text(told.on),
            change=change,
            outcome=outcome,
        )
        try:
            journal_of(section, settings.paths.data_dir).append([entry])
        except AuditUnavailable as error:
            if must and outcome == "begun":
                raise AuditUnavailable(
                    f"Nothing was changed: [auth.audit] level is full. {error.message}"
                ) from error
            warn(Console(stderr=True), f"This change is not in the audit. {error.message}")

    if must:
        write("begun", {})
    try:
        yield told
    except IntelliRouterError as error:
        write("refused" if error.status < 500 else "failed", {})
        raise
    write("ok", difference(told.before, told.after, Redactor(secrets(settings))))


@contextlib.contextmanager
def audited_command(settings: Settings) -> Iterator[None]:
    """The command that runs, by its own words, where it is one that changes something: `users create`, on its arguments."""
    context = get_current_context(silent=True)
    words = context.command_path.split()[1:] if context is not None else []
    if (
        context is None or not words or words[-1] in _READS or words[0] == "keys"
    ):  # those tell more themselves
        yield
        return
    given = [
        context.params.get(one.name or "")
        for one in context.command.params
        if one.param_type_name == "argument"
    ]
    with audited(settings, " ".join(words), " ".join(str(value) for value in given if value)):
        yield


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name
        return "somebody"
