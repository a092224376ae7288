"""The opening handshake, clause by clause."""

from __future__ import annotations

import pytest

from chiron.protocols.websocket import HandshakeError, accept_key, asks_for_websocket, negotiate

HEADERS = {
    "host": "server.example.com",
    "upgrade": "websocket",
    "connection": "Upgrade",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    "sec-websocket-version": "13",
    "sec-websocket-protocol": "chat, chiron.v1.json",
}


def headers(**changes: str | None) -> list[tuple[str, str]]:
    changed = {**HEADERS, **{name.replace("_", "-"): value for name, value in changes.items()}}
    return [(name, value) for name, value in changed.items() if value is not None]


def opened(fields: list[tuple[str, str]], *, method: str = "GET", version: str = "1.1") -> dict[str, str]:
    return dict(negotiate(method, version, fields, ["chiron.v1.json", "chiron.v1.cbor"]))


def test_rfc6455_1_3_the_accept_key_of_the_rfcs_example() -> None:
    assert accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_rfc6455_4_2_2_the_answer() -> None:
    assert opened(headers()) == {
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        "sec-websocket-protocol": "chiron.v1.json",
    }


def test_rfc6455_4_2_2_the_clients_first_choice_wins() -> None:
    fields = headers(sec_websocket_protocol="other, chiron.v1.cbor,chiron.v1.json")
    assert opened(fields)["sec-websocket-protocol"] == "chiron.v1.cbor"


def test_rfc6455_4_2_1_tokens_are_case_insensitive_and_may_be_in_lists() -> None:
    assert opened(headers(connection="keep-alive, upgrade", upgrade="WebSocket"))


def test_rfc6455_11_3_4_subprotocols_may_be_in_several_fields() -> None:
    fields = [*headers(sec_websocket_protocol="x"), ("sec-websocket-protocol", "chiron.v1.json")]
    assert opened(fields)["sec-websocket-protocol"] == "chiron.v1.json"


def test_rfc6455_9_1_extensions_are_declined_silently() -> None:
    assert "sec-websocket-extensions" not in opened(headers(sec_websocket_extensions="permessage-deflate"))


def test_a_server_without_subprotocols_takes_anybody() -> None:
    assert "sec-websocket-protocol" not in dict(negotiate("GET", "1.1", headers(), []))


@pytest.mark.parametrize(
    ("fields", "method", "version"),
    [
        (headers(), "POST", "1.1"),
        (headers(), "GET", "1.0"),
        (headers(connection="keep-alive"), "GET", "1.1"),
        (headers(connection=None), "GET", "1.1"),
        (headers(sec_websocket_key=None), "GET", "1.1"),
        (headers(sec_websocket_key="short"), "GET", "1.1"),
        (headers(sec_websocket_key="dGhlIHNhbXBsZSBub25jZQ"), "GET", "1.1"),
        (headers(sec_websocket_key="dGhlIHNhbXBsZSBub25jZSE="), "GET", "1.1"),
        (headers(sec_websocket_key="dGhlIHNhbXBsZSBub25jZQ\xe4="), "GET", "1.1"),
        ([*headers(), ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")], "GET", "1.1"),
    ],
    ids=[
        "method", "http_1_0", "connection_without_upgrade", "no_connection", "no_key", "key_too_short",
        "key_without_padding", "key_of_17_bytes", "key_not_ascii", "two_keys",
    ],
)  # fmt: skip
def test_rfc6455_4_2_1_refused(fields: list[tuple[str, str]], method: str, version: str) -> None:
    with pytest.raises(HandshakeError) as caught:
        opened(fields, method=method, version=version)
    assert caught.value.code == "bad_request"


@pytest.mark.parametrize("version", ["8", "13, 8", "", None])
def test_rfc6455_4_4_another_version_is_told_ours(version: str | None) -> None:
    with pytest.raises(HandshakeError) as caught:
        opened(headers(sec_websocket_version=version))
    assert caught.value.row.status == 426
    assert ("sec-websocket-version", "13") in caught.value.headers


@pytest.mark.parametrize("offered", ["chat", "Chiron.v1.json", None])
def test_without_a_subprotocol_that_the_server_knows_the_answer_is_426(offered: str | None) -> None:
    with pytest.raises(HandshakeError) as caught:
        opened(headers(sec_websocket_protocol=offered))
    assert caught.value.code == "upgrade_required"


def test_rfc9110_7_8_other_upgrades_are_none_of_ours() -> None:
    assert asks_for_websocket(headers())
    assert asks_for_websocket(headers(upgrade="h2c, WebSocket"))
    assert not asks_for_websocket(headers(upgrade="h2c"))
    assert not asks_for_websocket(headers(upgrade=None))
