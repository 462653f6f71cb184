"""`intellirouter init`: a configuration from a few questions, or from flags; each key is tried before anything is written."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from intellirouter.cli.init_files import Answers, Provider, env_file, keys_tried, toml_file, valid, written
from intellirouter.config import env
from intellirouter.errors import InvalidRequest

EVERY = "0.0.0.0"  # noqa: S104  where whoever sets it up wants it
VENDORS = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "google": "GEMINI_API_KEY",
    "mistral": "MISTRAL_API_KEY",
    "ollama": "",
    "compatible": "COMPATIBLE_API_KEY",
}
"""What may be answered → the variable of its key; one without a key has none."""


def command(
    directory: Annotated[
        Path,
        typer.Option("--to", help="Directory for intellirouter.toml and intellirouter.env.", file_okay=False),
    ] = Path("config"),
    provider: Annotated[
        list[str] | None,
        typer.Option(
            "--provider", "-p", help=f"{', '.join(VENDORS)}; may be repeated. Its key: by its variable."
        ),
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="Of the provider 'compatible': http://host:port/v1.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen at; 0.0.0.0 for every one.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="The Router's port.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="What must not be lost lies there.")] = None,
    production: Annotated[
        bool | None, typer.Option("--production/--development", help="For others, or for you.")
    ] = None,
    client_key: Annotated[
        bool | None, typer.Option("--client-key/--no-client-key", help="Make a key that clients must give.")
    ] = None,
    backups: Annotated[str | None, typer.Option(help="Where a backup goes every night; '' for none.")] = None,
    try_keys: Annotated[
        bool, typer.Option("--try/--no-try", help="Ask each provider whether it takes its key.")
    ] = True,
    replace: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Ask nothing: what no flag says is as usual.")
    ] = False,
) -> None:
    """Write a configuration and an environment file, from questions or from flags. The keys are tried first."""
    asks = sys.stdin.isatty() and not yes
    if not asks and not yes and provider is None:
        raise InvalidRequest("There is no terminal to ask at: say --yes, and --provider for each one.")
    if asks:
        typer.echo("Return takes what stands in brackets; Ctrl-C ends it, and nothing is written.\n")
        directory = Path(typer.prompt("Directory for the configuration", default=str(directory)))
    file, secrets = directory / "intellirouter.toml", directory / "intellirouter.env"
    for there in (file, secrets):
        if there.exists() and not replace and not (asks and typer.confirm(f"{there} is there. Replace it?")):
            raise InvalidRequest(f"{there} is there already: --force replaces it.")
    names = provider if provider is not None else _chosen() if asks else []
    providers = [_provider(name, endpoint, asks=asks) for name in dict.fromkeys(names)]
    if host is None:
        host = EVERY if asks and typer.confirm("May other machines use it?", default=False) else "127.0.0.1"
    open_ = host not in ("127.0.0.1", "localhost", "::1")
    answers = Answers(
        providers=providers,
        host=host,
        port=port if port is not None else typer.prompt("Port", default=8080, type=int) if asks else 8080,
        data_dir=data_dir or _path("Directory for its data (empty: as usual)", asks=asks),
        production=production
        if production is not None
        else (asks and typer.confirm("Is it for production?", default=open_)),
        client_key=client_key
        if client_key is not None
        else (typer.confirm("Shall clients need a key?", default=open_) if asks else open_),
        backups=backups
        if backups is not None
        else (
            typer.prompt("Backups every night to (empty: none)", default="", show_default=False)
            if asks
            else ""
        ),
    )
    text, environment, key = toml_file(answers), env_file(answers), answers.key
    loaded = valid(text, environment)
    refused = (
        keys_tried(loaded, [provider.name for provider in providers], typer.echo)
        if try_keys and providers
        else 0
    )
    if refused and not (asks and typer.confirm("Write it all the same?", default=False)):
        raise InvalidRequest(
            "Nothing was written: a provider cannot be used so. --no-try writes it all the same."
        )
    written(file, text, 0o644, replace=True)
    written(secrets, environment, 0o600, replace=True)
    typer.echo(f"\nWritten: {file}, and {secrets}, which you alone can read.")
    if key:
        typer.echo(f"The key of your clients, shown this once: {key}")
    typer.echo(f"Start it:\n  set -a; . {secrets}; set +a\n  intellirouter run --config {file}")


def _chosen() -> list[str]:
    while True:
        said = typer.prompt(f"Providers ({', '.join(VENDORS)}; empty: none)", default="", show_default=False)
        names: list[str] = said.replace(",", " ").split()
        unknown = [name for name in names if name not in VENDORS]
        if not unknown:
            return names
        typer.echo(f"There is no {', '.join(unknown)}.")


def _provider(name: str, endpoint: str | None, *, asks: bool) -> Provider:
    if name not in VENDORS:
        raise InvalidRequest(
            f"There is no provider '{name}'. Providers: {', '.join(VENDORS)}.", param="--provider"
        )
    variable = VENDORS[name]
    if name == "compatible" and endpoint is None:
        if not asks:
            raise InvalidRequest("The provider 'compatible' needs its --endpoint: http://host:port/v1.")
        endpoint = typer.prompt("Its address, as in http://10.0.0.5:8000/v1")
    key = ""
    if variable:
        key = env.current().get(variable, "")
        if not key and asks:
            needed = name != "compatible"
            words = f"Key of {name} (not shown{'' if needed else '; empty: none'})"
            key = typer.prompt(words, hide_input=True, default=None if needed else "", show_default=False)
        if not key and name != "compatible":
            raise InvalidRequest(f"The environment has no {variable}: the key of {name} is taken from there.")
    return Provider(name, variable if key else "", key.strip(), endpoint if name == "compatible" else None)


def _path(question: str, *, asks: bool) -> Path | None:
    said = typer.prompt(question, default="", show_default=False) if asks else ""
    return Path(said).expanduser().absolute() if said else None
