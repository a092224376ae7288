from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiron.protocols.wire import records
from chiron.protocols.wire.errors import RemoteProtocolError


@given(messages=st.lists(st.binary(max_size=200)), cuts=st.lists(st.integers(1, 50), min_size=1))
def test_however_the_stream_is_cut_the_records_are_the_same(messages: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(map(records.encode, messages))
    decoder = records.Decoder(200)
    found: list[bytes] = []
    at = 0
    while at < len(stream):
        size = cuts[at % len(cuts)]
        found += decoder.receive(stream[at : at + size])
        at += size
    assert found == messages


@pytest.mark.parametrize("size", [0, 63, 64, 16_383, 16_384, 100_000])
def test_rfc9000_16_the_length_takes_as_few_bytes_as_it_can(size: int) -> None:
    prefix = 1 if size < 64 else 2 if size < 16_384 else 4
    assert len(records.encode(bytes(size))) == prefix + size


def test_a_record_over_the_limit_is_refused_before_it_is_there() -> None:
    decoder = records.Decoder(10)
    assert decoder.receive(records.encode(b"x" * 10)) == [b"x" * 10]
    with pytest.raises(RemoteProtocolError, match="11 bytes"):
        decoder.receive(b"\x0b")
