from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiron.server.platform import base64url


@given(st.binary(max_size=100))
def test_rfc4648_5_every_text_may_stand_in_an_address(data: bytes) -> None:
    text = base64url.encode(data)
    assert base64url.decode(text) == data
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@pytest.mark.parametrize("text", ["A", "AA A", "AAA\n", "ÄÄÄÄ", "AA.A", "=", "A==="])
def test_what_is_no_base64url_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"[Ii]nvalid|[Ii]ncorrect|base64|padding|ASCII"):
        base64url.decode(text)


@pytest.mark.parametrize("text", ["AB", "AAB", "--+_", "--/_", "AAA="])
def test_rfc4648_3_5_there_is_one_way_to_write_it(text: str) -> None:
    with pytest.raises(ValueError, match="one way"):
        base64url.decode(text)
