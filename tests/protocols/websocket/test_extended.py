"""The opening handshake over HTTP/3 (RFC 9220), which is that of RFC 8441 §5."""

from __future__ import annotations

import pytest

from chiron.protocols.websocket import HandshakeError, negotiate_extended

SPOKEN = ["chiron.v1.json", "chiron.v1.cbor"]
VERSION = ("sec-websocket-version", "13")


def test_rfc8441_5_the_answer_has_the_subprotocol_and_no_key() -> None:
    fields = [VERSION, ("sec-websocket-protocol", "other, chiron.v1.cbor, chiron.v1.json")]
    assert negotiate_extended(fields, SPOKEN) == [("sec-websocket-protocol", "chiron.v1.cbor")]


def test_rfc8441_5_key_and_extensions_are_ignored() -> None:
    fields = [VERSION, ("sec-websocket-key", "x"), ("sec-websocket-extensions", "permessage-deflate")]
    assert negotiate_extended(fields, []) == []


@pytest.mark.parametrize("fields", [[], [("sec-websocket-version", "8")], [VERSION, VERSION]])
def test_rfc6455_4_4_another_version_is_told_ours(fields: list[tuple[str, str]]) -> None:
    with pytest.raises(HandshakeError) as caught:
        negotiate_extended(fields, [])
    assert caught.value.row.status == 400
    assert caught.value.headers == (VERSION,)


@pytest.mark.parametrize("offered", [[], [("sec-websocket-protocol", "chat")]])
def test_rfc9114_4_2_a_missing_subprotocol_is_no_426_which_needs_upgrade(offered: list[tuple[str, str]]) -> None:
    with pytest.raises(HandshakeError) as caught:
        negotiate_extended([VERSION, *offered], SPOKEN)
    assert caught.value.row.status == 400
    assert caught.value.headers == ()
