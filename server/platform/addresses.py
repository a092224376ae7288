"""Internet addresses: what limits see of one, and which are of this machine alone."""

from __future__ import annotations

import functools
import ipaddress
import re

_AUTHORITY = re.compile(r"(?P<host>localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?", re.ASCII | re.IGNORECASE)


@functools.lru_cache(4096)
def network(address: str) -> str:
    """What is limited as one: an IPv4 address, or the /64 of an IPv6 one, which is the least that a customer gets."""
    try:
        parsed = parse(address)
    except ValueError:
        return address  # a UNIX socket has no address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    return str(ipaddress.ip_network((parsed, 64), strict=False).network_address)


def parse(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Without a zone; an IPv4 address that a socket of both families wrote as IPv6 (RFC 4291 §2.5.5.2) is IPv4.

    Raises ValueError.
    """
    return _unmapped(ipaddress.ip_address(address.partition("%")[0]))


def is_loopback(address: str) -> bool:
    """Whether it is an address of this machine alone; what is no address is not."""
    try:
        return _unmapped(ipaddress.ip_address(address)).is_loopback
    except ValueError:
        return False


def is_local(host: str) -> bool:
    """Whether a host is a loopback address, or `localhost` (RFC 6761 §6.3)."""
    return host == "localhost" or is_loopback(host)


def is_local_authority(text: str) -> bool:
    """Whether `HOST[:PORT]`, as `Host` has it, is of such a host, and cannot be of another."""
    match = _AUTHORITY.fullmatch(text)
    return match is not None and is_local(match["host"].strip("[]").lower())


def _unmapped(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
