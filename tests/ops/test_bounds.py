"""What an archive says of its sizes is not believed: so much is read and no more."""

from __future__ import annotations

import io

import pytest
import zstandard

from intellirouter.ops.backup.bounds import unpacked, whole


@pytest.mark.parametrize("size", [0, 1, 99, 100])
def test_what_fits_is_read_whole(size: int) -> None:
    data = bytes(range(size))
    assert unpacked(zstandard.compress(data), 100) == whole(io.BytesIO(data), 100) == data


@pytest.mark.parametrize("size", [101, 5_000_000])
def test_what_is_larger_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="more than 100 bytes"):
        unpacked(zstandard.compress(bytes(size)), 100)
    with pytest.raises(ValueError, match="larger than 100 bytes"):
        whole(io.BytesIO(bytes(size)), 100)
