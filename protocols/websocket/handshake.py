"""The server's half of the opening handshake (RFC 6455 §4.2, RFC 9220). No extensions are negotiated."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence

from chiron.protocols.websocket.errors import HandshakeError

Headers = Sequence[tuple[str, str]]

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_VERSION = "13"
_UPGRADE = ("upgrade", "websocket")


def accept_key(key: str) -> str:
    """The Sec-WebSocket-Accept value that answers Sec-WebSocket-Key (RFC 6455 §4.2.2 (5.4))."""
    digest = hashlib.sha1(key.encode("ascii") + _GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode("ascii")


def asks_for_websocket(headers: Headers) -> bool:
    """Whether a request wants to become a WebSocket. Any other upgrade may be ignored (RFC 9110 §7.8)."""
    return "websocket" in _tokens(headers, "upgrade")


def negotiate(method: str, version: str, headers: Headers, subprotocols: Sequence[str]) -> list[tuple[str, str]]:
    """Check a client's opening handshake (RFC 6455 §4.2.1); the headers of the 101 answer.

    `subprotocols` are what the server speaks: one of them must be offered, and the client's first choice among
    them is taken. An empty sequence takes any client, without a subprotocol. Raises HandshakeError.
    """
    if method != "GET" or version < "1.1":
        raise HandshakeError("bad_request", reason="a WebSocket opens with GET over HTTP/1.1")
    if "upgrade" not in _tokens(headers, "connection"):
        raise HandshakeError("bad_request", reason="Connection does not name Upgrade")
    if _values(headers, "sec-websocket-version") != [_VERSION]:
        # RFC 6455 §4.4: the answer names what the server speaks.
        raise HandshakeError(
            "upgrade_required", headers=(("sec-websocket-version", _VERSION), ("upgrade", "websocket"))
        )
    keys = _values(headers, "sec-websocket-key")
    if len(keys) != 1 or not _is_nonce(keys[0]):
        raise HandshakeError("bad_request", reason="Sec-WebSocket-Key is not 16 bytes in base64")
    answer = [_UPGRADE, ("connection", "Upgrade"), ("sec-websocket-accept", accept_key(keys[0]))]
    if subprotocols:
        chosen = _choose(headers, subprotocols)
        if chosen is None:
            raise HandshakeError("upgrade_required", headers=(_UPGRADE,))
        answer.append(("sec-websocket-protocol", chosen))
    return answer


def negotiate_extended(headers: Headers, subprotocols: Sequence[str]) -> list[tuple[str, str]]:
    """Check an extended CONNECT for `websocket` (RFC 8441 §5, RFC 9220 §3); the headers of the 200 answer.

    There is no key, no Upgrade and no Connection: frames follow the heads, in DATA, both ways. `subprotocols` are as
    for `negotiate`. Raises HandshakeError.
    """
    if _values(headers, "sec-websocket-version") != [_VERSION]:
        raise HandshakeError(
            "bad_request", headers=(("sec-websocket-version", _VERSION),), reason="Sec-WebSocket-Version is not 13"
        )
    if not subprotocols:
        return []
    chosen = _choose(headers, subprotocols)
    if chosen is None:  # 426 would need Upgrade, which HTTP/3 does not have (RFC 9114 §4.2)
        raise HandshakeError("bad_request", reason="no subprotocol that is spoken here was offered")
    return [("sec-websocket-protocol", chosen)]


def _choose(headers: Headers, subprotocols: Sequence[str]) -> str | None:
    """The client's first choice among what the server speaks (RFC 6455 §4.2.2)."""
    offered = [name.strip() for value in _values(headers, "sec-websocket-protocol") for name in value.split(",")]
    return next((name for name in offered if name in subprotocols), None)


def _values(headers: Headers, name: str) -> list[str]:
    return [value.strip() for key, value in headers if key == name]


def _tokens(headers: Headers, name: str) -> set[str]:
    return {token.strip().lower() for value in _values(headers, name) for token in value.split(",")}


def _is_nonce(key: str) -> bool:
    """RFC 6455 §4.1 (7): 16 bytes, in the base64 of RFC 4648 §4."""
    try:
        return len(base64.b64decode(key.encode("ascii"), validate=True)) == 16
    except (UnicodeEncodeError, binascii.Error):
        return False
