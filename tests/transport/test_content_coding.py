"""Undoing content codings in bounded steps."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intellirouter.errors import UpstreamProtocolError
from intellirouter.transport.content_coding import STEP_BYTES, decoder_for


def raw_deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.flush()


ENCODERS = {"gzip": gzip.compress, "deflate": zlib.compress, "raw": raw_deflate}


def decode(coding: str, pieces: list[bytes]) -> bytes:
    decoder = decoder_for("deflate" if coding == "raw" else coding)
    assert decoder is not None
    out = b"".join(step for piece in pieces for step in decoder.feed(piece))
    decoder.close()
    return out


@given(
    coding=st.sampled_from(sorted(ENCODERS)),
    data=st.binary(max_size=5000),
    cuts=st.lists(st.integers(0, 6000), max_size=6),
)
def test_any_split_gives_the_same(coding: str, data: bytes, cuts: list[int]) -> None:
    coded = ENCODERS[coding](data)
    marks = sorted({0, len(coded), *(cut for cut in cuts if cut < len(coded))})
    assert decode(coding, [coded[a:b] for a, b in itertools.pairwise(marks)]) == data


@given(coding=st.sampled_from(["gzip", "deflate"]), data=st.binary(min_size=1), short=st.integers(1, 8))
def test_a_cut_stream_is_not_whole(coding: str, data: bytes, short: int) -> None:
    coded = ENCODERS[coding](data)
    with pytest.raises(UpstreamProtocolError):
        decode(coding, [coded[:-short]])


@given(coding=st.sampled_from(["gzip", "deflate"]), data=st.binary(max_size=300))
def test_noise_is_refused_or_decoded(coding: str, data: bytes) -> None:
    with contextlib.suppress(UpstreamProtocolError):
        decode(coding, [data])


def test_a_bomb_comes_out_in_steps() -> None:
    decoder = decoder_for("gzip")
    assert decoder is not None
    steps = decoder.feed(gzip.compress(bytes(100 * STEP_BYTES)))
    assert all(len(next(steps)) <= STEP_BYTES for _ in range(50))


def test_many_members_and_padding() -> None:
    assert decode("gzip", [gzip.compress(b"ab") * 20_000 + b"\0" * 100]) == b"ab" * 20_000


@pytest.mark.parametrize("coding", ["", "identity", " Identity "])
def test_nothing_to_undo(coding: str) -> None:
    assert decoder_for(coding) is None


def test_a_coding_that_was_not_asked_for() -> None:
    with pytest.raises(UpstreamProtocolError):
        decoder_for("br")
