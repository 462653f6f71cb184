"""A key's list of models holds behind a gateway of others, too: their fields that name further models are read as ours are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import StartVendor
from tests.e2e.test_callers import answering, world
from tests.servers.installation import configured_key, installed

FIELDS: tuple[dict[str, Any], ...] = (
    {"models": ["dear"]},
    {"models": ["cheap", "dear"], "route": "fallback"},
    {"models": "dear"},
    {"fallbacks": ["dear"]},
    {"fallbacks": [{"model": "dear", "messages": []}]},
    {"fallbacks": [{"cheap": ["dear"]}]},
    {"context_window_fallbacks": [{"cheap": ["dear"]}]},
    {"content_policy_fallbacks": [{"cheap": ["dear"]}]},
    {"fallbacks": [{"model": "cheap", "fallbacks": ["dear"]}]},
    {"fallbacks": [{"model": "cheap", "providerOptions": {"gateway": {"models": ["dear"]}}}]},
    {"models": [[[[[[[[[[[["dear"]]]]]]]]]]]]},
    {"preset": "dear"},
    {"providerOptions": {"gateway": {"models": ["dear"]}}},
)


@pytest.mark.parametrize("stream", [False, True])
async def test_no_field_of_a_vendor_names_a_model_beside_the_list(
    stream: bool, tmp_path: Path, start_vendor: StartVendor
) -> None:
    vendor = await start_vendor(answering)
    keys = configured_key("wide") + configured_key("narrow", more='models = ["cheap", "smal*"]')
    async with installed("one", tmp_path, world(vendor) + keys) as place:
        for more in FIELDS:
            status, said = await place.chat("narrow", "cheap", stream=stream, **more)
            assert (status, said["error"]["code"]) == (403, "permission_denied"), more
        assert not vendor.received
        for more in (
            {"models": ["cheap", "small"]},
            {"fallbacks": []},
            {"providerOptions": {}},
            {"models": None},
        ):
            assert (await place.chat("narrow", "cheap", **more))[0] == 200, more
        for more in FIELDS:
            assert (await place.chat("wide", "cheap", **more))[0] == 200, more
            assert vendor.received[-1].json.items() >= more.items(), (
                "what is nobody's business goes as it came"
            )


async def test_neither_does_one_of_embeddings_and_too_many_names_are_refused(
    tmp_path: Path, start_vendor: StartVendor
) -> None:
    vendor = await start_vendor(answering)
    keys = configured_key("wide") + configured_key("narrow", more='models = ["cheap", "primary/letters"]')
    async with installed("one", tmp_path, world(vendor) + keys) as place:
        body = {"model": "primary/letters", "input": "coal"}
        for more in FIELDS:
            status, said = await place.ask("Router", "narrow", "POST", "/v1/embeddings", body | more)
            assert (status, said["error"]["code"]) == (403, "permission_denied"), more
        assert not vendor.received
        allowed = body | {"fallbacks": ["letters"]}
        for key, asked in (("narrow", body), ("narrow", allowed), ("wide", body | FIELDS[0])):
            assert (await place.ask("Router", key, "POST", "/v1/embeddings", asked))[0] == 200
        status, said = await place.chat("narrow", "cheap", fallbacks=["cheap"] * 100_000)
        assert (status, said["error"]["param"]) == (400, "fallbacks")
