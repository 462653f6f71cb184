"""`intellirouter chain draw`: a definition, a stored chain or a run as a picture."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from intellirouter.chains.drawing.mermaid import mermaid
from intellirouter.chains.drawing.svg import svg
from intellirouter.cli.chain_definition import load
from intellirouter.cli.chain_server import UrlOption
from intellirouter.cli.node_options import ConfigOption
from intellirouter.cli.server_client import ApiKeyOption, text_of
from intellirouter.errors import InvalidRequest, NotFound

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

_ENDINGS = frozenset({".yaml", ".yml", ".toml", ".json"})


class Form(StrEnum):
    """How it is drawn."""

    SVG = "svg"
    MERMAID = "mermaid"
    TIMELINE = "timeline"


@app.command()
def draw(
    what: Annotated[str, typer.Argument(help="A file, the name of a stored chain, or the id of a run.")],
    form: Annotated[
        Form, typer.Option("--format", "-f", help="timeline: a run's steps by when they ran.")
    ] = Form.SVG,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file; absent: printed.")] = None,
    revision: Annotated[
        int | None, typer.Option(help="Of a stored chain; absent: the one that runs.")
    ] = None,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
) -> None:
    """Draw a chain, or a run with the state, the time and the cost of each step."""
    picture = _drawn(what, form, revision, url, api_key, config)
    if output is None:
        typer.echo(picture, nl=False)
        return
    try:
        output.write_text(picture, "utf-8")
    except OSError as cause:
        raise NotFound(f"{output} cannot be written ({cause.strerror}).", param="--output") from cause
    typer.echo(f"{output} is there.")


def _drawn(
    what: str, form: Form, revision: int | None, url: str | None, api_key: str | None, config: Path | None
) -> str:
    run = what.startswith("run_")
    if form is Form.TIMELINE and not run:
        raise InvalidRequest("Only a run has a timeline: give its id.", param="--format")
    if Path(what).suffix in _ENDINGS:
        return _of_file(Path(what), form)
    kind = "runs" if run else "chains"
    path = f"/v1/{kind}/{quote(what, safe='')}/drawing?format={form.value}"
    if revision is not None and not run:
        path += f"&revision={revision}"
    return text_of(url, api_key, path, role="ChainEngine", config=config)


def _of_file(file: Path, form: Form) -> str:
    chain = load(file)
    return mermaid(chain) if form is Form.MERMAID else svg(chain)
