"""What vendors publish of their models: prices, limits, capabilities. Defaults, which the configuration overrides.

The table in the wheel says in its head as of when it is and whose work: facts gathered by the litellm project (MIT) from
the vendors' price pages. `python -m scripts.model_facts` makes it anew; `model_registry.facts_file` names another in its
place. It is read when the first model of a vendor in it is looked up and kept as text: a Router that asks for none pays
for none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

from intellirouter.config.schema.model_registry import Price
from intellirouter.errors import ConfigError
from intellirouter.inference.provider import Provider

# Adapters and the vendor whose facts hold for them, where the endpoint is the vendor's own.
_VENDORS = {
    "anthropic": "anthropic",
    "azure": "azure",
    "cerebras": "cerebras",
    "deepseek": "deepseek",
    "fireworks": "fireworks",
    "google": "google",
    "groq": "groq",
    "mistral": "mistral",
    "openai": "openai",
    "openai_completions": "openai",
    "openai_responses": "openai",
    "together": "together",
    "vertex": "google",
    "xai": "xai",
}
_DATED = re.compile(r"(-\d{8}|-\d{4}-\d{2}-\d{2}|@\d+|-latest)$")
_FOLDERS = ("models/", "publishers/google/models/")
_COLUMNS = 10
_MAX_FOUND = 2_048


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """One model. Tokens for the limits, an ISO date for when the vendor retires it."""

    price: Price | None = None
    context_window: int | None = None
    max_output_tokens: int | None = None
    capabilities: frozenset[str] = frozenset()
    retires: str | None = None


NOTHING = ModelFacts()


class PublishedFacts:
    """Looks models up. `file` stands in for the table in the wheel."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._table: bytes | None = None
        self._found: dict[tuple[str, str], ModelFacts] = {}  # of names that clients may make up: bounded
        if file is not None:
            self._read()  # one that cannot be read is said at the start, and not at a request

    def of(self, provider: Provider, model: str) -> ModelFacts:
        """What is known of a provider's model; `NOTHING` where it is not the vendor's own, or not known."""
        vendor = vendor_of(provider)
        return NOTHING if vendor is None else self.find(vendor, model)

    def find(self, vendor: str, model: str) -> ModelFacts:
        """What `vendor` publishes of `model`; a dated name falls back to the one without its date."""
        facts = self._found.get((vendor, model))
        if facts is None:
            if len(self._found) >= _MAX_FOUND:
                self._found.clear()
            facts = self._found[vendor, model] = self._find(vendor, model)
        return facts

    def _find(self, vendor: str, model: str) -> ModelFacts:
        for folder in _FOLDERS:
            model = model.removeprefix(folder)
        for name in (model, _DATED.sub("", model)):
            if (row := self._row(f"{vendor}/{name}")) is not None:
                return _facts(row)
        return NOTHING

    def head(self) -> list[str]:
        """As of when the table is, and whose work."""
        lines = self._read().decode().splitlines()
        return [line.removeprefix("# ") for line in lines if line.startswith("#")][:2]

    def _row(self, name: str) -> list[str] | None:
        if not name.isprintable():
            return None
        table = self._read()
        start = table.find(f"\n{name}\t".encode())
        if start < 0:
            return None
        return table[start + 1 : table.index(b"\n", start + 1)].decode().split("\t")

    def _read(self) -> bytes:
        if self._table is None:
            source = self._file or files("intellirouter.inference") / "published.tsv"
            try:
                self._table = b"\n" + source.read_bytes() + b"\n"
            except OSError as cause:
                raise ConfigError(f"model_registry.facts_file: {source} cannot be read: {cause}") from cause
        return self._table


def vendor_of(provider: Provider) -> str | None:
    """The vendor whose facts hold for a provider: the one the operator named, or the adapter's at its own endpoint."""
    if provider.facts is not None:
        return provider.facts or None
    vendor = _VENDORS.get(provider.adapter.kind)
    host = urlsplit(provider.base_url).hostname or ""
    home = urlsplit(provider.adapter.default_base_url).hostname
    own = host.endswith(".azure.com") if vendor == "azure" else host == home
    return vendor if own else None


def _facts(row: list[str]) -> ModelFacts:
    try:
        _, _, paid, answered, cached, written, window, longest, retires, can = row
        price = _price(paid, answered, cached, written)
        return ModelFacts(
            price,
            int(window) if window else None,
            int(longest) if longest else None,
            frozenset(can.split(",")) if can else frozenset(),
            retires or None,
        )
    except ValueError as cause:
        raise ConfigError(
            f"model_registry.facts_file: the line of '{row[0]}' is not one of {_COLUMNS} columns."
        ) from cause


def _price(paid: str, answered: str, cached: str, written: str) -> Price | None:
    """None where the vendor publishes no price: unknown is not free."""
    if not paid:
        return None
    return Price(
        input=float(paid),
        output=float(answered or 0),
        cached=float(cached) if cached else None,
        cache_write=float(written) if written else None,
    )
