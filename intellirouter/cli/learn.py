"""`intellirouter learn`: bring in a team's own evaluations, take what was learnt to another node, forget it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
import typer

from intellirouter.cli.node_address import address_of
from intellirouter.cli.node_options import ConfigOption
from intellirouter.cli.route_eval import unpacked_lines
from intellirouter.cli.server_client import ApiKeyOption, UrlOption, ask_bytes, ask_once
from intellirouter.counts import counted
from intellirouter.errors import InvalidRequest

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Group = Annotated[str, typer.Option(help="The group: `auto`, or a model that learns.")]
_STATE_MARK = b"PK"
_CHUNK = 5_000


@app.command("import")
def bring(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="JSON Lines, or what `export` wrote.")
    ],
    group: Group = "auto",
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
) -> None:
    """Learn from lines of {"prompt", "target", "score"}, and "cost" in US dollars where it is known; a file of `export` takes the place of what was learnt.

    Nothing is taken of a file of which a line is wrong.
    """
    data = file.read_bytes()
    if data.startswith(_STATE_MARK):
        _raw("PUT", f"/admin/routing/learnt/{quote(group, safe='/')}", data, url, api_key, config)
        typer.echo(f"{group}: what {file} holds is in place.")
        return
    lines = [_grouped(line, group, number) for number, line in enumerate(unpacked_lines(file, data), 1)]
    if not any(lines):
        raise InvalidRequest(f"{file} holds no lines.")
    taken = known = 0
    for check in (1, 0):
        for start in range(0, len(lines), _CHUNK):
            path = f"/admin/routing/import?check={check}&first={start + 1}"
            chunk = b"\n".join(lines[start : start + _CHUNK])
            said = msgspec.json.decode(_raw("POST", path, chunk, url, api_key, config))
            taken, known = taken + said["taken"], known + said.get("known", 0)
    before = f", {counted(known, 'was', 'were')} taken before" if known else ""
    typer.echo(
        f"{counted(taken, 'outcome')} taken{before}; `intellirouter route status` shows what they taught."
    )


def _grouped(line: bytes, group: str, number: int) -> bytes:
    """The line with its group; an empty one stays, so that the next ones keep their numbers."""
    if not line.strip():
        return b""
    try:
        row = msgspec.json.decode(line, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise InvalidRequest(f"Line {number} is no JSON object: {error}.") from error
    return msgspec.json.encode({"group": group, **row})


@app.command()
def export(
    file: Annotated[Path, typer.Argument(dir_okay=False, help="Where to write it.")],
    group: Group = "auto",
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
) -> None:
    """Write all that was learnt of a group to a file. It holds no prompts."""
    data = _raw("GET", f"/admin/routing/learnt/{quote(group, safe='/')}", None, url, api_key, config)
    file.write_bytes(data)
    typer.echo(f"{file}: {len(data) / 1024:.0f} kB")


@app.command()
def forget(
    group: Group = "auto",
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
) -> None:
    """Let all that was learnt of a group go, on every node."""
    ask_once(url, api_key, "DELETE", f"/admin/routing/learnt/{quote(group, safe='/')}", config=config)
    typer.echo(f"{group}: forgotten.")


def _raw(
    method: str, path: str, data: bytes | None, url: str | None, api_key: str | None, config: Path | None
) -> bytes:
    return ask_bytes(address_of("Router", url, config), api_key, method, path, data)[0]
