"""Every adapter, by the `kind` an operator writes in the configuration. One line each."""

from __future__ import annotations

from intellirouter.providers import anthropic, ollama, openai
from intellirouter.providers.adapter import Adapter

ADAPTERS: dict[str, Adapter] = {
    adapter.kind: adapter
    for adapter in (
        anthropic.ADAPTER,
        ollama.ADAPTER,
        openai.ADAPTER,
        openai.COMPATIBLE_ADAPTER,
    )
}
