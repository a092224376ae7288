"""Everything that belongs to draft-ietf-webtrans-http3-02 alone, the version that Chromium speaks.

A later draft, or the RFC, changes numbers, names and mapping here; sessions and streams work alike in all of them.
"""

from __future__ import annotations

from chiron.protocols.quic import varint

PROTOCOL = "webtransport"
"""The `:protocol` of the extended CONNECT (draft §3.3)."""
OFFER = ("sec-webtransport-http3-draft02", "1")
"""What Chromium and aioquic's client send with it."""
ANSWER = ("sec-webtransport-http3-draft", "draft02")
"""What Chromium wants in the answer."""

SETTING_ENABLE = 0x2B603742
"""SETTINGS_ENABLE_WEBTRANSPORT (draft §8.2)."""
FRAME_STREAM = 0x41
"""WEBTRANSPORT_STREAM, first on a bidirectional stream: then the session, and bytes to the end (draft §4.2)."""
STREAM_TYPE = 0x54
"""Of a unidirectional stream (draft §4.1)."""
CAPSULE_CLOSE = 0x2843
"""CLOSE_WEBTRANSPORT_SESSION (draft §5)."""
REASON_BYTES = 1024
BUFFERED_STREAM_REJECTED = 0x3994BD84
"""A stream came before its session and was not kept (draft §4.5)."""
SESSION_GONE = 0x170D7B68
"""A stream's session is over (draft §5)."""

_FIRST = 0x52E4A40FA8DB
_LAST = 0x52E5AC983162
"""The draft maps codes of 8 bits, its successors and Chromium those of 32 by the same formula."""


def to_http_code(code: int) -> int:
    """The HTTP/3 error code of an application error code (draft §4.3), which leaves out the reserved ones."""
    return _FIRST + code + code // 0x1E


def to_application_code(code: int) -> int | None:
    """And back; None for a code that is not in the range, or a reserved one (RFC 9114 §8.1)."""
    if not _FIRST <= code <= _LAST or (code - 0x21) % 0x1F == 0:
        return None
    shifted = code - _FIRST
    return shifted - shifted // 0x1F


def stream_header(session: int, *, unidirectional: bool) -> bytes:
    """The first bytes of a stream that we open."""
    return varint.encode(STREAM_TYPE if unidirectional else FRAME_STREAM) + varint.encode(session)
