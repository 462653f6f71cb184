"""Every adapter, by the `kind` an operator writes in the configuration. One line each."""

from __future__ import annotations

from intellirouter.providers import openai
from intellirouter.providers.adapter import Adapter

ADAPTERS: dict[str, Adapter] = {
    adapter.kind: adapter
    for adapter in (
        openai.ADAPTER,
        openai.COMPATIBLE_ADAPTER,
    )
}
