"""The options that say which configuration a command reads, shared by the commands that read one.

Only the words are here: `node_configuration.py` reads it, which a command that asks a running node by its address need not import.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="Configuration file (TOML).",
        show_default="INTELLIROUTER_CONFIG, then files",
        readable=False,  # whoever reads it says what is wrong with it, and diagnose goes on
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
