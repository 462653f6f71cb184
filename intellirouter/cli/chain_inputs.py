"""What `-i NAME=VALUE` means, for every command that takes it: an input that the chain declares as a string is the text as it
stands; of any other, JSON is read as such, and what is no JSON is text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
import typer

from intellirouter.cli.server_client import ask_once
from intellirouter.errors import InvalidRequest

InputOption = Annotated[
    list[str] | None,
    typer.Option("--input", "-i", help="NAME=VALUE: text where the chain wants a string, else JSON or text."),
]


def inputs_of(given: Iterable[str], types: Callable[[], Mapping[str, str]]) -> dict[str, Any]:
    """By name. `types` are those that the chain declares, asked for only where a value could be either. Raises `InvalidRequest`."""
    texts = dict(_parts(text) for text in given)
    values = {name: _read(text) for name, text in texts.items()}
    if all(values[name] == text for name, text in texts.items()):
        return values
    declared = types()
    return {name: texts[name] if declared.get(name) == "string" else value for name, value in values.items()}


def types_there(
    url: str | None, api_key: str | None, config: Path | None, chain: str
) -> Callable[[], dict[str, str]]:
    """The types that a chain on the server declares, when they are asked for."""

    def ask() -> dict[str, str]:
        path = f"/v1/chains/{quote(chain, safe='')}"
        found, _ = ask_once(url, api_key, "GET", path, role="ChainEngine", config=config)
        return {name: str(declared.get("type", "")) for name, declared in found["input"].items()}

    return ask


def _parts(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InvalidRequest(f"'{text}' does not read like NAME=VALUE.", param="--input")
    return name, value


def _read(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
