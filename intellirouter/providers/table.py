"""Every adapter, by the `kind` an operator writes in the configuration. One line each."""

from __future__ import annotations

from intellirouter.providers import (
    anthropic,
    azure,
    completions,
    google,
    mistral,
    ollama,
    openai,
    openai_api,
    presets,
    responses,
)
from intellirouter.providers.adapter import Adapter

ADAPTERS: dict[str, Adapter] = {
    adapter.kind: adapter
    for adapter in (
        anthropic.ADAPTER,
        azure.ADAPTER,
        completions.ADAPTER,
        google.ADAPTER,
        google.VERTEX_ADAPTER,
        mistral.ADAPTER,
        ollama.ADAPTER,
        ollama.GENERATE_ADAPTER,
        openai_api.ADAPTER,
        openai.COMPATIBLE_ADAPTER,
        responses.ADAPTER,
        *presets.ADAPTERS,
    )
}
