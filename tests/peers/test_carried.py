"""What a request to another role carries beside its body."""

from __future__ import annotations

import json

import pytest

from intellirouter.chat.model import ChatRequest, RouteOptions
from intellirouter.peers.carried import carrying


@pytest.mark.parametrize(
    ("options", "carried"),
    [
        (None, {}),
        (RouteOptions(), {}),
        (RouteOptions(guarded_as={"p": 1}), {"intellirouter": {"guarded_as": {"p": 1}}}),
    ],
)
def test_the_persona_whose_guards_hold_goes_with_the_request(
    options: RouteOptions | None, carried: dict[str, object]
) -> None:
    request = ChatRequest(model="m", messages=(), options=options)
    assert json.loads(carrying(b'{"model": "m"}', request)) == {"model": "m", **carried}
