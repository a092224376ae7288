"""Paging cursors behind `ports.Cursors`: readable by nobody but us, because nobody else can make one that opens.

A cursor is base64url (RFC 4648 §5, no padding) of a version byte, the position, and 16 bytes of HMAC-SHA256 (RFC 2104,
truncated as its §5 allows) over version, scope and position. The scope itself does not travel.
"""

from __future__ import annotations

import hmac

from chiron.errors import Refused
from chiron.server.platform import base64url

_VERSION = b"\x01"
_TAG_BYTES = 16


class SealedCursors:
    """`key` is 32 random bytes, the same for every worker of an instance."""

    def __init__(self, key: bytes) -> None:
        if len(key) < 32:
            raise ValueError("a cursor key has 32 bytes")
        self._key = key

    def seal(self, scope: str, position: bytes) -> str:
        return base64url.encode(_VERSION + position + self._tag(scope, position))

    def open(self, scope: str, cursor: str) -> bytes:
        """The position. Raises Refused invalid when it was not sealed for this scope."""
        try:
            sealed = base64url.decode(cursor)
        except ValueError:
            sealed = b""
        position, tag = sealed[1:-_TAG_BYTES], sealed[-_TAG_BYTES:]
        if sealed[:1] != _VERSION or not hmac.compare_digest(tag, self._tag(scope, position)):
            raise Refused("invalid", field="cursor", reason="it is not a cursor of this list")
        return position

    def _tag(self, scope: str, position: bytes) -> bytes:
        scoped = scope.encode()
        message = _VERSION + len(scoped).to_bytes(4, "big") + scoped + position
        return hmac.digest(self._key, message, "sha256")[:_TAG_BYTES]
