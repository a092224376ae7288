"""Variable-length integers of QUIC (RFC 9000 §16): two bits of length, then 6, 14, 30 or 62 bits of value."""

from __future__ import annotations

MAX = (1 << 62) - 1

_BYTES = [bytes([value]) for value in range(0x40)]


def size(value: int) -> int:
    """Bytes of the shortest form. Raises ValueError outside of 0…2⁶²-1."""
    if 0 <= value <= 0x3F:
        return 1
    if 0 <= value <= 0x3FFF:
        return 2
    if 0 <= value <= 0x3FFF_FFFF:
        return 4
    if 0 <= value <= MAX:
        return 8
    raise ValueError(f"{value} is no variable-length integer")


def encode(value: int) -> bytes:
    """The shortest form. Raises ValueError outside of 0…2⁶²-1."""
    if 0 <= value <= 0x3F:
        return _BYTES[value]
    if 0 <= value <= 0x3FFF:
        return (value | 0x4000).to_bytes(2, "big")
    length = size(value)
    return (value | (length.bit_length() - 1) << (8 * length - 2)).to_bytes(length, "big")


def decode(data: bytes | bytearray | memoryview, offset: int = 0) -> tuple[int, int] | None:
    """(value, offset behind it); None when `data` ends before the integer does. Longer forms than needed are valid."""
    if offset >= len(data):
        return None
    length = 1 << (data[offset] >> 6)
    end = offset + length
    if end > len(data):
        return None
    return int.from_bytes(data[offset:end], "big") & ((1 << (8 * length - 2)) - 1), end
