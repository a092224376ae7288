"""Capsules (RFC 9297 §3.2) and the numbers of draft-02."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiron.protocols.quic import varint
from chiron.protocols.webtransport import CapsuleError, CapsuleReader, capsules, draft02

KEPT = {0x00: 64, 0x2843: 1028}
capsule_lists = st.lists(
    st.tuples(st.one_of(st.sampled_from(sorted(KEPT)), st.integers(0, varint.MAX)), st.binary(max_size=64))
)


@given(capsule_lists, st.data())
def test_rfc9297_3_2_what_was_encoded_is_read_however_it_is_cut(
    sent: list[tuple[int, bytes]], data: st.DataObject
) -> None:
    reader = CapsuleReader(KEPT)
    stream = b"".join(capsules.encode(kind, value) for kind, value in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    read = []
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        read += reader.receive(stream[begin:end])
    reader.finish()
    assert read == [(kind, value) for kind, value in sent if kind in KEPT]


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_any_bytes_are_read_or_refused_and_little_is_held(chunks: list[bytes]) -> None:
    reader = CapsuleReader(KEPT)
    try:
        for chunk in chunks:
            for kind, value in reader.receive(chunk):
                assert len(value) <= KEPT[kind]
        reader.finish()
    except CapsuleError:
        pass


def test_rfc9297_3_2_an_unknown_capsule_is_skipped_without_being_held() -> None:
    reader = CapsuleReader(KEPT)
    assert reader.receive(varint.encode(0x2A) + varint.encode(1 << 40)) == []
    for _ in range(1000):
        assert reader.receive(bytes(4096)) == []
    with pytest.raises(CapsuleError):
        reader.finish()


def test_rfc9297_3_3_a_capsule_that_is_too_long_is_refused_at_its_length() -> None:
    with pytest.raises(CapsuleError):
        CapsuleReader(KEPT).receive(varint.encode(0x00) + varint.encode(65))


@pytest.mark.parametrize("cut", [b"\x00", b"\x00\x02", b"\x00\x02a", b"\x40"])
def test_rfc9297_3_3_the_end_inside_a_capsule_is_an_error(cut: bytes) -> None:
    reader = CapsuleReader(KEPT)
    assert reader.receive(cut) == []
    with pytest.raises(CapsuleError):
        reader.finish()


@given(st.integers(0, (1 << 32) - 1))
def test_draft02_4_3_application_codes_come_back(code: int) -> None:
    mapped = draft02.to_http_code(code)
    assert (mapped - 0x21) % 0x1F != 0
    assert draft02.to_application_code(mapped) == code


@pytest.mark.parametrize(
    ("code", "mapped"), [(0, 0x52E4A40FA8DB), (0xFF, 0x52E4A40FA9E2), (0xFFFFFFFF, 0x52E5AC983162)]
)
def test_draft02_4_3_the_range(code: int, mapped: int) -> None:
    assert draft02.to_http_code(code) == mapped


@pytest.mark.parametrize("code", [0, 0x10C, 0x52E4A40FA8DA, 0x52E4A40FA8F9, 0x52E5AC983163])
def test_draft02_4_3_codes_that_no_application_gave(code: int) -> None:
    assert draft02.to_application_code(code) is None
