"""Whether a provider can be reached, and takes each of our keys: its models are listed, which costs nothing."""

from __future__ import annotations

import dataclasses

from pydantic import SecretStr

from intellirouter.errors import UpstreamAuthFailed, UpstreamError, UpstreamRateLimited
from intellirouter.inference.concealing import conceal
from intellirouter.inference.provider import Provider
from intellirouter.inference.refusal import refusal
from intellirouter.ops.diagnose.finding import Finding, Level
from intellirouter.ops.diagnose.network import Place, reach
from intellirouter.providers.adapter import HttpResponse
from intellirouter.transport.contract import Deadlines, Transport

MAX_LIST_BYTES = 32 << 20


async def examine_provider(provider: Provider, transport: Transport, deadline: float) -> list[Finding]:
    """Findings on one provider, within about three times `deadline` seconds."""
    name = f"provider {provider.name}"
    reached = await reach(Place(name, provider.base_url, optional=provider.optional), deadline)
    if provider.optional and reached.advice:
        return []  # nobody asked for it
    if reached.advice or provider.adapter.build_models is None or not provider.discover:
        return [reached]
    keys: tuple[SecretStr | None, ...] = provider.keys or (None,)
    found = [reached]
    for number, key in enumerate(keys, 1):
        which = name if len(keys) == 1 else f"{name}, key {number} of {len(keys)}"
        found.append(await _asked(provider, key, which, transport, deadline))
    return found


async def _asked(
    provider: Provider, key: SecretStr | None, name: str, transport: Transport, deadline: float
) -> Finding:
    adapter = provider.adapter
    if adapter.build_models is None or adapter.parse_models is None:
        return Finding("network", name, Level.OK, "has no list of models")
    target = dataclasses.replace(provider.target(""), api_key=key)
    half = deadline / 2
    try:
        reply = await transport.send(
            adapter.build_models(target),
            Deadlines(connect=half, first_byte=deadline, idle=half, total=2 * deadline),
        )
        try:
            response = HttpResponse(reply.status, reply.headers, await reply.read(MAX_LIST_BYTES))
        finally:
            reply.close()
        if response.status >= 300:
            raise refusal(adapter, response, provider.name)
        count = len(adapter.parse_models(response))
    except UpstreamAuthFailed as error:
        conceal(error, provider)
        level = Level.OK if provider.optional else Level.PROBLEM
        advice = f"Replace api_key of the provider '{provider.name}', then reload."
        told = "needs a key, and has none" if key is None else "refuses this key"
        return Finding("network", name, level, f"{told}: {error.message}", advice)
    except UpstreamRateLimited:
        return Finding("network", name, Level.WARNING, "our limit there is used up", "Wait, or add a key.")
    except UpstreamError as error:
        conceal(error, provider)
        return Finding(
            "network", name, Level.WARNING, f"lists no models: {error.message}", "Set its models by hand."
        )
    return Finding("network", name, Level.OK, f"takes {'the key' if key else 'no key'}, lists {count} models")
