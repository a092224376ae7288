from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiron.errors import Refused
from chiron.server.platform.cursors import SealedCursors

CURSORS = SealedCursors(b"\x07" * 32)


@given(st.text(max_size=40), st.binary(max_size=64))
def test_a_cursor_opens_in_its_own_scope(scope: str, position: bytes) -> None:
    assert CURSORS.open(scope, CURSORS.seal(scope, position)) == position


@given(st.binary(max_size=40), st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_a_changed_cursor_does_not_open(position: bytes, place: int, change: int) -> None:
    import base64

    cursor = CURSORS.seal("list", position)
    raw = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    raw[place % len(raw)] ^= change
    with pytest.raises(Refused):
        CURSORS.open("list", base64.urlsafe_b64encode(raw).rstrip(b"=").decode())


@pytest.mark.parametrize("cursor", ["", "A", "AAAA", "not a cursor", "é", "=" * 40, "/" * 40])
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(Refused) as caught:
        CURSORS.open("list", cursor)
    assert (caught.value.code, caught.value.params["field"]) == ("invalid", "cursor")


def test_a_cursor_of_another_scope_or_key_does_not_open() -> None:
    cursor = CURSORS.seal("conversations:anna", b"x")
    for cursors, scope in ((CURSORS, "conversations:bert"), (SealedCursors(b"\x08" * 32), "conversations:anna")):
        with pytest.raises(Refused):
            cursors.open(scope, cursor)


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        SealedCursors(b"short")
