"""Whether a provider can be reached, and takes each of our keys: its models are listed, which costs nothing."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

import msgspec
from pydantic import SecretStr

from intellirouter.config import env
from intellirouter.counts import counted
from intellirouter.errors import (
    UpstreamAuthFailed,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamRateLimited,
    UpstreamRedirected,
    UpstreamTimeout,
)
from intellirouter.inference.concealing import conceal
from intellirouter.inference.provider import Provider
from intellirouter.inference.refusal import refusal
from intellirouter.ops.diagnose.finding import Finding, Level
from intellirouter.ops.diagnose.network import Place, reach
from intellirouter.providers.adapter import HttpResponse
from intellirouter.transport.contract import Deadlines, Transport

MAX_LIST_BYTES = 32 << 20
PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


async def examine_provider(
    provider: Provider, transport: Transport, deadline: float, wanted: Sequence[str] = ()
) -> list[Finding]:
    """Findings on one provider, within about three times `deadline` seconds. `wanted` are its models that are named as targets."""
    name = f"provider {provider.name}"
    reached = await reach(Place(name, provider.base_url, optional=provider.optional), deadline)
    if provider.optional and reached.advice:
        return []  # nobody asked for it
    if reached.level is Level.PROBLEM and any(env.current().get(name) for name in PROXIES):
        advice = f"{reached.advice} A proxy stands in the environment: providers are asked without one."
        reached = msgspec.structs.replace(reached, advice=advice)
    if reached.advice or provider.adapter.build_models is None or not provider.discover:
        return [reached]
    keys: tuple[SecretStr | None, ...] = provider.keys or (None,)
    found = [reached]
    for number, key in enumerate(keys, 1):
        which = name if len(keys) == 1 else f"{name}, key {number} of {len(keys)}"
        finding, listed = await _asked(provider, key, which, transport, deadline)
        found.append(finding)
        if number == 1 and listed:
            found += _missing(provider.name, listed, wanted)
    return found


def _missing(provider: str, listed: Sequence[str], wanted: Sequence[str]) -> Iterator[Finding]:
    """Targets that the provider's own list does not have. Names that stand for a newest version are in few lists."""
    for model in dict.fromkeys(wanted):
        stem = model.removesuffix("-latest")
        if model in listed or any(one.startswith((f"{stem}-", f"{stem}:", f"{stem}@")) for one in listed):
            continue
        close = difflib.get_close_matches(model, listed, 1)
        told = f"does not list {model}, which is named as a target"
        advice = (
            f"Did you mean {provider}/{close[0]}?" if close else "Is the model there, and its name right?"
        )
        yield Finding("network", f"provider {provider}", Level.WARNING, told, advice)


async def _asked(
    provider: Provider, key: SecretStr | None, name: str, transport: Transport, deadline: float
) -> tuple[Finding, Sequence[str]]:
    """What it says to this key, and the models that it lists."""
    adapter = provider.adapter
    if adapter.build_models is None or adapter.parse_models is None:
        return Finding("network", name, Level.OK, "has no list of models"), ()
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
        listed = [model.id for model in adapter.parse_models(response)]
    except UpstreamAuthFailed as error:
        conceal(error, provider)
        level = Level.OK if provider.optional else Level.PROBLEM
        advice = f"Replace api_key of the provider '{provider.name}', then reload."
        told = "needs a key, and has none" if key is None else "refuses this key"
        return Finding("network", name, level, f"{told}: {error.message}", advice), ()
    except UpstreamRateLimited:
        advice = "Wait, add a key, or look at the account there: what it may spend can be used up, too."
        return Finding("network", name, Level.WARNING, "our limit there is used up", advice), ()
    except UpstreamError as error:
        conceal(error, provider)
        level, advice = _advice(error, provider)
        return Finding("network", name, level, f"lists no models: {error.message}", advice), ()
    told = f"takes {'the key' if key else 'no key'}, lists {counted(len(listed), 'model')}"
    return Finding("network", name, Level.OK, told), listed


def _advice(error: UpstreamError, provider: Provider) -> tuple[Level, str]:
    """How bad an answer without a list is, and what helps."""
    status = error.upstream_status
    if isinstance(error, UpstreamTimeout):
        return Level.PROBLEM, "It takes connections and does not answer: look at its own log."
    if isinstance(error, UpstreamRedirected):
        return (
            Level.PROBLEM,
            "Set its endpoint to where it leads; a redirect to a sign-in page is the network's.",
        )
    if status == 407:
        return (
            Level.PROBLEM,
            "A proxy stands between: let this node through it without a password, or around it.",
        )
    if status is not None and status >= 500:
        return Level.PROBLEM, "It fails by itself: look at its own log, or its status page."
    if status == 404:
        path = urlsplit(provider.base_url).path.strip("/")
        more = "" if path else f" Is it {provider.base_url.rstrip('/')}/v1?"
        return Level.WARNING, f"Correct its endpoint.{more} Where it has no list, set its models by hand."
    if isinstance(error, UpstreamProtocolError):
        return (
            Level.WARNING,
            "Does something else answer there, as a network's sign-in page does? Else set its models by hand.",
        )
    return Level.WARNING, "Set its models by hand."
