"""Published facts of vendors' models: where they hold, and what overrides them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from intellirouter.config.schema.model_registry import (
    ModelRegistrySection,
    ModelSection,
    Price,
    ProviderSection,
)
from intellirouter.errors import ConfigError
from intellirouter.inference.catalog import Catalog
from intellirouter.inference.offline_transport import OFFLINE
from intellirouter.inference.provider import Provider, provider_of
from intellirouter.inference.published import NOTHING, PublishedFacts, vendor_of
from intellirouter.providers.adapter import ModelInfo
from intellirouter.providers.table import ADAPTERS
from scripts.model_facts import COLUMNS, table

HEAD = f"# as of 2026-01\n# Facts of nobody.\n# {COLUMNS}\n"
ROWS = (
    "openai/big\tchat\t2\t8\t0.5\t\t100000\t4000\t2027-01-01\treasoning,tools,vision\n"
    "openai/small\tchat\t0.1\t0.4\t\t\t32000\t8000\t\ttools\n"
    "openai/unpriced\tchat\t\t\t\t\t9000\t\t\t\n"
    "openai/vectors\tembedding\t0.02\t\t\t\t8191\t\t\tembedding\n"
)


@pytest.fixture
def facts_file(tmp_path: Path) -> Path:
    file = tmp_path / "facts.tsv"
    file.write_text(HEAD + ROWS)
    return file


def provider(kind: str = "openai", **more: Any) -> Provider:
    return provider_of(ProviderSection(name=kind, kind=kind, **more), ADAPTERS)


def catalog(facts_file: Path, **registry: Any) -> Catalog:
    section = ModelRegistrySection(facts_file=facts_file, **registry)
    return Catalog(section, [provider(), provider("vllm")], OFFLINE)


def test_every_line_of_the_shipped_table_can_be_read_and_it_says_whose_work_it_is() -> None:
    facts = PublishedFacts()
    date, credit = facts.head()
    assert date.startswith("as of 20")
    assert "litellm" in credit
    assert "MIT" in credit
    lines = (
        Path(__file__).parents[2].joinpath("intellirouter/inference/published.tsv").read_text().splitlines()
    )
    names = [line.split("\t")[0] for line in lines if not line.startswith("#")]
    assert len(names) > 1_000
    assert names == sorted(set(names))
    for name in names:
        vendor, _, model = name.partition("/")
        assert facts.find(vendor, model) is not NOTHING, name


@pytest.mark.parametrize(
    ("model", "window"),
    [
        ("big", 100_000),
        ("big-2026-02-03", 100_000),
        ("big-20260203", 100_000),
        ("big-latest", 100_000),
        ("models/big", 100_000),
        ("bigger", None),
        ("bi", None),
        ("big\tchat", None),
        ("", None),
    ],
)
def test_a_model_is_found_by_its_name_with_or_without_a_date(
    facts_file: Path, model: str, window: int | None
) -> None:
    assert PublishedFacts(facts_file).find("openai", model).context_window == window


@pytest.mark.parametrize(
    ("section", "vendor"),
    [
        ({"kind": "openai"}, "openai"),
        ({"kind": "openai_responses"}, "openai"),
        ({"kind": "vertex"}, "google"),
        ({"kind": "azure", "endpoint": "https://mine.openai.azure.com/openai/v1"}, "azure"),
        ({"kind": "azure", "endpoint": "https://proxy.local/openai/v1"}, None),
        ({"kind": "openai", "endpoint": "http://10.0.0.5:8000/v1"}, None),
        ({"kind": "openai", "endpoint": "http://10.0.0.5:8000/v1", "facts": "openai"}, "openai"),
        ({"kind": "openai", "facts": ""}, None),
        ({"kind": "vllm"}, None),
        ({"kind": "ollama"}, None),
        ({"kind": "openrouter"}, None),
    ],
)
def test_facts_hold_at_the_vendors_own_address_or_where_the_operator_says(
    section: dict[str, Any], vendor: str | None
) -> None:
    assert vendor_of(provider(**section)) == vendor


def test_what_a_vendor_publishes_fills_what_nobody_said(facts_file: Path) -> None:
    names = catalog(facts_file)
    names.discovered("openai", (ModelInfo("big"), ModelInfo("small", context_window=7), ModelInfo("vectors")))
    big, small = names.resolve("big"), names.resolve("openai/small")
    assert big.price is not None
    assert (big.price.input, big.price.output, big.price.cached) == (2, 8, 0.5)
    assert big.candidates[0].price == big.price
    assert (big.context_window, big.max_output_tokens) == (100_000, 4_000)
    assert big.capabilities == {"reasoning", "tools", "vision"}
    assert small.context_window == 7  # the provider's own word counts for more
    auto = names.resolve("auto")
    assert auto.plain is not None
    assert auto.plain.name == "openai/big"
    assert [candidate.id for candidate in auto.candidates] == ["openai/big", "openai/small"]
    assert names.resolve("openai/unpriced").price is None  # unknown is not free
    assert names.resolve("vllm/big").price is None


def test_the_configuration_overrides_and_several_targets_promise_what_all_of_them_do(
    facts_file: Path,
) -> None:
    names = catalog(
        facts_file,
        models=[
            {"name": "both", "targets": ["openai/big", "openai/small"]},
            {"name": "lone", "targets": ["openai/big"]},
            {
                "name": "own",
                "targets": ["openai/big"],
                "price": {"input": 1, "output": 1},
                "context_window": 5,
                "capabilities": ["tools"],
            },
            {"name": "mixed", "targets": ["openai/big", "vllm/big"]},
        ],
    )
    both, lone, own, mixed = (names.resolve(name) for name in ("both", "lone", "own", "mixed"))
    assert (both.context_window, both.max_output_tokens, both.capabilities) == (32_000, 4_000, {"tools"})
    assert [candidate.price.input if candidate.price else None for candidate in both.candidates] == [2, 0.1]
    assert [candidate.context_window for candidate in both.candidates] == [100_000, 32_000]
    assert lone.candidates[0].context_window is None  # its vendor knows best, and there is no other to ask
    assert lone.context_window == 100_000
    assert (own.price and own.price.input, own.context_window, own.capabilities) == (1, 5, {"tools"})
    assert (mixed.context_window, mixed.capabilities) == (None, frozenset())


def test_a_file_that_cannot_be_read_is_said_at_the_start(tmp_path: Path) -> None:
    absent = tmp_path / "absent.tsv"
    with pytest.raises(ConfigError, match="facts_file"):
        Catalog(ModelRegistrySection(facts_file=absent), [provider("vllm")], OFFLINE)
    names = Catalog(ModelRegistrySection(), [provider("vllm")], OFFLINE)
    names.discovered("vllm", (ModelInfo("big"),))
    assert names.resolve("vllm/big").price is None


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    file = tmp_path / "facts.tsv"
    file.write_text(HEAD + "openai/big\tchat\tmuch\n")
    with pytest.raises(ConfigError, match="openai/big"):
        PublishedFacts(file).find("openai", "big")


def test_a_table_may_begin_with_a_model(tmp_path: Path) -> None:
    file = tmp_path / "facts.tsv"
    file.write_text(ROWS.rstrip("\n"))
    facts = PublishedFacts(file)
    for name in ("big", "vectors"):
        assert facts.find("openai", name).context_window
    assert facts.find("openai", "bigger") == NOTHING


def test_the_table_is_made_from_facts_in_json(tmp_path: Path) -> None:
    facts = {
        "as_of": "2026-01",
        "note": "Facts of nobody.",
        "models": {
            "openai/big": {
                "mode": "chat",
                "input_usd_per_mtok": 0.1 + 0.2,
                "max_input_tokens": 9,
                "supports": ["vision", "function_calling", "novelty"],
            },
            "openai/picture": {"mode": "image_generation"},
        },
    }
    file = tmp_path / "facts.tsv"
    file.write_text(table(facts))
    found = PublishedFacts(file)
    assert found.head() == ["as of 2026-01", "Facts of nobody."]
    big = found.find("openai", "big")
    assert (big.price and big.price.input, big.capabilities) == (0.3, {"tools", "vision"})
    assert found.find("openai", "picture") is NOTHING


def test_a_price_that_the_operator_says_of_a_target_holds_wherever_nobody_says_another() -> None:
    group, one, two = "vllm/a", Price(input=1, output=2), Price(input=3, output=4)

    def model(name: str, *targets: str, price: Price | None = None) -> ModelSection:
        return ModelSection(name=name, targets=targets, price=price)  # type: ignore[arg-type]

    section = ModelRegistrySection(
        models=(
            model("first", group, "vllm/b", "vllm/c"),  # says no price, and comes first
            model("several", group, "vllm/b", price=two),
            model("alone", group, price=one),
        )
    )
    catalog = Catalog(section, [provider("vllm")], OFFLINE)
    auto = {candidate.id: candidate.price for candidate in catalog.resolve("auto").candidates}
    assert auto == {group: one, "vllm/b": two, "vllm/c": None}
    first = catalog.resolve("first")
    assert [candidate.price for candidate in first.candidates] == [one, two, None]
    assert (first.price, catalog.resolve("several").price, catalog.resolve(group).price) == (one, two, one)
