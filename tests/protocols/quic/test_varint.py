"""Variable-length integers (RFC 9000 §16), against the RFC's examples and aioquic's."""

from __future__ import annotations

import pytest
from aioquic.buffer import Buffer, encode_uint_var  # type: ignore[attr-defined]
from hypothesis import given
from hypothesis import strategies as st

from chiron.protocols.quic import varint

VALUES = st.integers(0, varint.MAX) | st.sampled_from([0, 63, 64, 16_383, 16_384, 2**30 - 1, 2**30, varint.MAX])


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("c2197c5eff14e88c", 151_288_809_941_952_652),
        ("9d7f3e7d", 494_878_333),
        ("7bbd", 15_293),
        ("25", 37),
        ("4025", 37),
    ],
)
def test_rfc9000_a_1_sample_integers(form: str, value: int) -> None:
    assert varint.decode(bytes.fromhex(form)) == (value, len(form) // 2)


@given(VALUES, st.binary(max_size=3), st.binary(max_size=9))
def test_rfc9000_16_what_is_encoded_is_decoded_wherever_it_is(value: int, before: bytes, after: bytes) -> None:
    form = varint.encode(value)
    assert len(form) == varint.size(value)
    assert varint.decode(before + form + after, len(before)) == (value, len(before) + len(form))


@given(VALUES)
def test_rfc9000_16_the_shortest_form_as_aioquic_has_it(value: int) -> None:
    assert varint.encode(value) == encode_uint_var(value)


@given(st.binary(max_size=12), st.integers(0, 12))
def test_rfc9000_16_any_bytes_decode_as_with_aioquic(data: bytes, offset: int) -> None:
    decoded = varint.decode(data, offset)
    buffer = Buffer(data=data[offset:])
    if decoded is None:
        assert offset >= len(data) or len(data) - offset < 1 << (data[offset] >> 6)
    else:
        assert (buffer.pull_uint_var(), offset + buffer.tell()) == decoded


@pytest.mark.parametrize("value", [-1, varint.MAX + 1])
def test_rfc9000_16_what_62_bits_do_not_hold_is_refused(value: int) -> None:
    with pytest.raises(ValueError, match="no variable-length integer"):
        varint.encode(value)
