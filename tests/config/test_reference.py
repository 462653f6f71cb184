"""The reference and the JSON Schema say what the schema says, and no more than the loader takes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import tomli

from intellirouter.config.checking import model_in
from intellirouter.config.reference import json_schema, markdown, tables
from intellirouter.config.schema.settings import Settings

CONFIG = Path(__file__).parents[2] / "config"
REMEDY = "run: python -m scripts.reference"


def test_every_key_says_what_it_is() -> None:
    silent = [
        f"{model.__name__}.{name}"
        for model in (Settings, *(model for _, model, _ in tables()))
        for name, field in model.model_fields.items()
        if not field.description and model_in(field.annotation) is None
    ]
    assert not silent, "give these a Field(description=…), then python -m scripts.reference"


def test_the_reference_is_what_the_schema_says() -> None:
    assert (CONFIG / "REFERENCE.md").read_text(encoding="utf-8") == markdown(), REMEDY


def test_the_schema_for_editors_is_what_the_schema_says() -> None:
    assert json.loads((CONFIG / "schema.json").read_text(encoding="utf-8")) == json_schema(), REMEDY


def test_every_link_of_the_reference_leads_somewhere() -> None:
    text = markdown()
    anchors = re.findall(r"\]\(#([^)]+)\)", text)
    headings = {
        re.sub(r"[^a-z0-9_ -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^## (.+)$", text, re.MULTILINE)
    }
    assert set(anchors) == headings
    assert len(anchors) == len(set(anchors))


@pytest.mark.parametrize(
    "text",
    [
        *(file.read_text(encoding="utf-8") for file in sorted(CONFIG.glob("*.toml"))),
        '[server]\nport = "${PORT}"\n[cache]\nenabled = "${CACHE:-true}"\n',
        '[[model_registry.models]]\nname = "a"\ntargets = ["openai/x", { target = "b/c", weight = 2 }]\n',
        '[router]\nhedge_after_seconds = "p95"\n',
    ],
)
def test_an_editor_takes_what_the_loader_takes(text: str) -> None:
    jsonschema.Draft202012Validator(json_schema()).validate(tomli.loads(text))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[server]\nhots = 'x'\n", "hots"),
        ("[server]\nport = 'x'\n", "port"),
        ("[telemetry]\nlog_format = 'xml'\n", "log_format"),
        ("[[model_registry.models]]\nname = 'a'\n", "models[0]"),
    ],
)
def test_an_editor_finds_what_the_loader_refuses(text: str, words: str) -> None:
    errors = list(jsonschema.Draft202012Validator(json_schema()).iter_errors(tomli.loads(text)))
    assert any(words in error.json_path + error.message for error in errors)
