"""The heads of responses in QPACK (RFC 9204 §4.5): entries of the static table and literals, and no others.

So a field is the same bytes whatever was sent before, a head is the bytes of its fields in a row, and none of it can be
blocked or has to be acknowledged. What the dynamic table would save of a response is some two hundred bytes of a
datagram that is sent in any case, and encoding with it costs several times as much. Requests, whose credentials are
long, are sent with it.

What is said again and again is kept as it was encoded, with Huffman coding where that is shorter. What will hardly be
said again is a literal as it stands.
"""

from __future__ import annotations

from collections.abc import Iterable

import pylsqpack

from chiron.protocols.http3 import fields

_KEPT_BYTES = 512
"""Of a field; longer ones are not kept, nor are secret ones, nor those that say something else each time."""
_KEPT_FIELDS = 1_024
_PASSING = fields.SECRET | {"etag", "location", "x-request-id"}

_LINES: dict[fields.Field, bytes] = {}
_NAMES: dict[str, bytes] = {}
"""What a literal begins with; empty for those names that are not sent."""
_NAMES_KEPT = 1_024
_STATUS: dict[int, bytes] = {}

_ENCODER = pylsqpack.Encoder()
"""Without a dynamic table, for it is never told that a peer would keep one."""
_PREFIX = b"\0\0"
"""Of a field section without references to the dynamic table (RFC 9204 §4.5.1)."""


def head(status: int, headers: Iterable[fields.Field], length: int | None) -> bytes:
    """A field section; with Content-Length of `length` bytes, unless that is None or `headers` have one.

    Those that belong to a connection of HTTP/1 are left out. Raises LocalProtocolError for one that may not be sent.
    """
    lines = [_PREFIX, _STATUS.get(status) or _status(status)]
    kept = _LINES
    for field in headers:
        line = kept.get(field)
        lines.append(_line(field) if line is None else line)
        if field[0] == "content-length":
            length = None
    if length is not None:
        field = ("content-length", str(length))
        lines.append(kept.get(field) or _line(field))
    return b"".join(lines)


def _status(status: int) -> bytes:
    line = _STATUS[status] = _encoded(b":status", b"%d" % status)
    return line


def _line(field: fields.Field) -> bytes:
    """A field that is not kept. Raises LocalProtocolError."""
    name, value = field
    start = _NAMES.get(name)
    if start is None:
        start = _start(name)
    if not start:
        return b""
    raw = fields.encoded_value(name, value)
    if name in _PASSING or len(name) + len(raw) > _KEPT_BYTES:
        return start + _length(len(raw)) + raw
    if len(_LINES) >= _KEPT_FIELDS:
        _LINES.clear()
    line = _LINES[field] = _encoded(fields.encoded_name(name), raw)
    return line


def _start(name: str) -> bytes:
    """The name of a literal. Raises LocalProtocolError."""
    wire = fields.encoded_name(name)
    # One byte of this value is neither in the static table nor shorter with Huffman coding.
    start = _encoded(wire, b"\xff").removesuffix(b"\1\xff") if wire else b""
    if len(_NAMES) < _NAMES_KEPT:
        _NAMES[name] = start
    return start


def _encoded(name: bytes, value: bytes) -> bytes:
    instructions, section = _ENCODER.encode(0, [(name, value)])
    assert not instructions
    return section.removeprefix(_PREFIX)


def _length(size: int) -> bytes:
    """Of a string without Huffman coding: an integer with a prefix of seven bits (RFC 9204 §4.1.1, RFC 7541 §5.1)."""
    if size < 0x7F:
        return bytes((size,))
    encoded = bytearray((0x7F,))
    size -= 0x7F
    while size >= 0x80:
        encoded.append(size & 0x7F | 0x80)
        size >>= 7
    encoded.append(size)
    return bytes(encoded)
