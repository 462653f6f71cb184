"""An error of ours about a provider says which; what a vendor wrote stays as it is."""

from __future__ import annotations

import pytest

from intellirouter.config.schema.model_registry import ProviderSection
from intellirouter.errors import UpstreamRejected, UpstreamUnreachable
from intellirouter.inference.concealing import conceal
from intellirouter.inference.provider import provider_of
from intellirouter.providers.table import ADAPTERS


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("the connection to the provider failed", "the connection to the provider house failed"),
        ("TLS with the provider failed: expired", "TLS with the provider house failed: expired"),
        ("the provider answered 500", "the provider house answered 500"),
        ("the provider's host name does not resolve", "the provider house's host name does not resolve"),
        ("the provider refused sk-planted-secret", "the provider house refused ********"),
        ("ask the provider of your choice", "ask the provider of your choice"),
    ],
)
def test_our_sentence_names_the_provider(message: str, said: str) -> None:
    section = ProviderSection(
        name="house",
        kind="openai_compatible",
        endpoint="http://h/v1",
        api_key="sk-planted-secret",  # type: ignore[arg-type]
    )
    for kind in (UpstreamUnreachable, UpstreamRejected):
        error = kind(message)
        conceal(error, provider_of(section, ADAPTERS))
        conceal(error, provider_of(section, ADAPTERS))  # a second time says it no second time
        assert error.message == said
