"""Arrays sent piece by piece: the same elements however the bytes were split."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intellirouter.chat.json_array import ArraySplitter
from intellirouter.errors import UpstreamProtocolError

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.sampled_from(['"', "\\", '\\"', "[{", "}]", ","]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


def elements(pieces: list[bytes]) -> list[Any]:
    splitter = ArraySplitter()
    found = [json.loads(event.data) for piece in pieces for event in splitter.feed(piece)]
    assert not splitter.flush()
    return found


@given(
    st.lists(st.dictionaries(st.text(max_size=4), VALUES, max_size=4), max_size=4),
    st.booleans(),
    st.sampled_from([1, 2, 3, 7, 50]),
)
def test_elements_are_found_however_the_bytes_are_split(sent: list[Any], ascii_only: bool, size: int) -> None:
    body = (
        json.dumps(sent, indent=1, ensure_ascii=ascii_only)
        .replace(",\n", "\n,\r\n")
        .encode("utf-8", "surrogatepass")
    )
    sent = json.loads(body.decode("utf-8", "surrogatepass"))
    assert elements([body[i : i + size] for i in range(0, len(body), size)]) == sent


def test_half_an_element_is_none() -> None:
    assert elements([b'[{"a": 1}, {"b": "}']) == [{"a": 1}]


def test_an_element_that_never_ends_is_refused() -> None:
    splitter = ArraySplitter(max_element_bytes=100)
    with pytest.raises(UpstreamProtocolError):
        splitter.feed(b'[{"a": "' + b"x" * 100)
