"""The filters of the record as options, the same for every command that looks at it."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

import typer

DaysOption = Annotated[float, typer.Option(min=0.01, help="How far back.")]
JsonOption = Annotated[bool, typer.Option("--json", help="For machines.")]


def _filter(words: str) -> Any:
    return typer.Option(help=words)


ModelOption = Annotated[str | None, _filter("Of this model.")]
ProviderOption = Annotated[str | None, _filter("Answered by this provider.")]
KeyOption = Annotated[str | None, _filter("By this key.")]
TeamOption = Annotated[str | None, _filter("By this team.")]
UserOption = Annotated[str | None, _filter("For this end user.")]
TagOption = Annotated[str | None, _filter("With this tag.")]
SessionOption = Annotated[str | None, _filter("Of this session.")]
StatusOption = Annotated[str | None, _filter("404, 5xx, ok or failed.")]


def query(path: str, **given: object) -> str:
    """The path with what was given as its query string."""
    told = {name: str(value) for name, value in given.items() if value not in (None, False)}
    return f"{path}?{urlencode(told)}" if told else path


def dollars(usd: float | None) -> str:
    """Money as people read it: cents from a dollar on, four figures below."""
    if usd is None:
        return ""
    if usd == 0:
        return "0"
    return f"{usd:,.2f}" if usd >= 1 else f"{usd:.4f}" if usd >= 0.0001 else f"{usd:.1e}"


def duration(seconds: float | None) -> str:
    """A duration as people read it."""
    if seconds is None:
        return ""
    return (
        f"{seconds * 1e3:.0f} ms"
        if seconds < 1
        else f"{seconds:.1f} s"
        if seconds < 100
        else f"{seconds:.0f} s"
    )
