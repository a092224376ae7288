"""Error codes of HTTP/3 and QPACK, and whose fault it is: `LocalProtocolError` ours, the others the peer's."""

from __future__ import annotations

from enum import IntEnum


class ErrorCode(IntEnum):
    """RFC 9114 §8.1, RFC 9204 §8.3 and RFC 9297 §5.2."""

    H3_DATAGRAM_ERROR = 0x33
    H3_NO_ERROR = 0x100
    H3_GENERAL_PROTOCOL_ERROR = 0x101
    H3_INTERNAL_ERROR = 0x102
    H3_STREAM_CREATION_ERROR = 0x103
    H3_CLOSED_CRITICAL_STREAM = 0x104
    H3_FRAME_UNEXPECTED = 0x105
    H3_FRAME_ERROR = 0x106
    H3_EXCESSIVE_LOAD = 0x107
    H3_ID_ERROR = 0x108
    H3_SETTINGS_ERROR = 0x109
    H3_MISSING_SETTINGS = 0x10A
    H3_REQUEST_REJECTED = 0x10B
    H3_REQUEST_CANCELLED = 0x10C
    H3_REQUEST_INCOMPLETE = 0x10D
    H3_MESSAGE_ERROR = 0x10E
    H3_CONNECT_ERROR = 0x10F
    H3_VERSION_FALLBACK = 0x110
    QPACK_DECOMPRESSION_FAILED = 0x200
    QPACK_ENCODER_STREAM_ERROR = 0x201
    QPACK_DECODER_STREAM_ERROR = 0x202


class LocalProtocolError(RuntimeError):
    """Our own code asked for something that the state of the connection or stream does not allow: a bug."""


class ConnectionFailed(Exception):
    """The peer broke HTTP/3 as a whole: the connection closes with `code` (RFC 9114 §8)."""

    def __init__(self, code: ErrorCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Malformed(Exception):
    """A message that RFC 9114 §4.1.2 calls malformed: its stream ends with H3_MESSAGE_ERROR."""


class Unacceptable(Exception):
    """A well-formed request that is answered at once with `status`, and never shown to the owner."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status
