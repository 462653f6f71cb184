"""The options that say which configuration a command reads, shared by the commands that read one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from intellirouter.app.rules import RULES
from intellirouter.config import env
from intellirouter.config.checking import KeyPath
from intellirouter.config.load import LOCAL_FILE, Loaded, find_file, load

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="Configuration file (TOML).", show_default="INTELLIROUTER_CONFIG, then files"
    ),
]
RoleOption = Annotated[
    str, typer.Option("--role", "-r", help="Router, ChainEngine, RagManager, PersonaLayer or All.")
]
IdentityOption = Annotated[
    Path | None,
    typer.Option("--identity", "-i", help="File with the age secret key of an encrypted backup."),
]
PassphraseOption = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file", help="File whose first line is the passphrase of the backup's directory."
    ),
]


def loader(
    config: Path | None, role_file: str, flags: Mapping[KeyPath, object] | None = None
) -> Callable[[], Loaded]:
    """A function that reads the configuration anew each time, for a start and for every reload.

    A file that was found where the user stands is named: it is not the same one elsewhere.
    """
    told = False

    def read() -> Loaded:
        nonlocal told
        environment = env.current()
        file = find_file(config, environment, role_file)
        if file == LOCAL_FILE and config is None and not told:
            typer.echo(f"configuration: {file.absolute()} (found here; --config names another)", err=True)
            told = True
        return load(file, environment, flags, RULES)

    return read
