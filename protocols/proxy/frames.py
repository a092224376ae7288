"""The binary header (PROXY §2.2) and its checksum, of whole bytes."""

from __future__ import annotations

import ipaddress
import struct
from enum import IntEnum

from chiron.protocols.proxy.errors import RemoteProtocolError
from chiron.protocols.proxy.events import Endpoint

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
PREAMBLE = 16
"""Bytes up to and including the length of what follows."""
VERSION = 2

_ADDRESSES = {
    0: struct.Struct(""),
    1: struct.Struct("!4s4sHH"),
    2: struct.Struct("!16s16sHH"),
    3: struct.Struct("!108s108s"),
}
"""By address family: unspecified, IPv4, IPv6, UNIX."""
_FAMILIES = frozenset({0x00, 0x11, 0x12, 0x21, 0x22, 0x31, 0x32})
"""Address family and transport protocol, as they may come together."""
_OVER_TCP = frozenset({0x11, 0x21})

_TLV = struct.Struct("!BH")
_CRC32C = 0x03


class Command(IntEnum):
    LOCAL = 0
    PROXY = 1


def read_preamble(data: bytes | bytearray) -> tuple[Command, int, int]:
    """Command, family and length of what follows the 16 bytes of `data`. Raises RemoteProtocolError."""
    first, family = data[12], data[13]
    if first >> 4 != VERSION:
        raise RemoteProtocolError(f"version {first >> 4} of the PROXY protocol")
    if first & 0x0F not in (Command.LOCAL, Command.PROXY):
        raise RemoteProtocolError(f"unknown command {first & 0x0F}")
    command = Command(first & 0x0F)
    # With LOCAL the family is ignored, whatever it is.
    if command is Command.PROXY and family not in _FAMILIES:
        raise RemoteProtocolError(f"unknown address family and protocol {family:#04x}")
    return command, family, int.from_bytes(data[14:16], "big")


def read_header(header: bytes) -> tuple[Endpoint, Endpoint] | None:
    """Source and destination of a complete header; None where the connection's own endpoints count.

    Those are LOCAL, no address family, and two valid ones that do not name somebody on TCP: UNIX sockets and datagrams,
    which a receiver may treat as unspecified (PROXY §2.2). Raises RemoteProtocolError.
    """
    command, family, _ = read_preamble(header)
    if command is Command.LOCAL or family == 0:
        return None  # what follows is discarded, unseen
    addresses = _ADDRESSES[family >> 4]
    if len(header) < PREAMBLE + addresses.size:
        raise RemoteProtocolError("the header is too short for its addresses")
    _check_vectors(header, PREAMBLE + addresses.size)
    if family not in _OVER_TCP:
        return None
    source, destination, source_port, destination_port = addresses.unpack_from(header, PREAMBLE)
    return _endpoint(source, source_port), _endpoint(destination, destination_port)


def _endpoint(packed: bytes, port: int) -> Endpoint:
    return Endpoint(str(ipaddress.ip_address(packed)), port)


def _check_vectors(header: bytes, start: int) -> None:
    """Walk the type-length-values (PROXY §2.2.1-§2.2.7); of all of them only the checksum concerns us (§2.2.3)."""
    while start < len(header):
        if len(header) - start < _TLV.size:
            raise RemoteProtocolError("a type-length-value is cut off")
        kind, length = _TLV.unpack_from(header, start)
        value, start = start + _TLV.size, start + _TLV.size + length
        if start > len(header):
            raise RemoteProtocolError("a type-length-value is cut off")
        if kind == _CRC32C:
            if length != 4:
                raise RemoteProtocolError("the checksum is not of four bytes")
            if crc32c(header[:value] + bytes(4) + header[start:]) != int.from_bytes(header[value:start], "big"):
                raise RemoteProtocolError("the checksum is wrong")


def _table() -> tuple[int, ...]:
    """Of the reflected Castagnoli polynomial."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_CRC_TABLE = _table()


def crc32c(data: bytes) -> int:
    """The checksum of RFC 9260, appendix A."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF
