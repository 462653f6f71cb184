"""Every adapter, by the `kind` an operator writes in the configuration. One line each."""

from __future__ import annotations

from intellirouter.providers import anthropic, openai
from intellirouter.providers.adapter import Adapter

ADAPTERS: dict[str, Adapter] = {
    adapter.kind: adapter
    for adapter in (
        anthropic.ADAPTER,
        openai.ADAPTER,
        openai.COMPATIBLE_ADAPTER,
        openai.adapter_of(openai.Flavour(kind="ollama", base_url="http://127.0.0.1:11434")),
    )
}
