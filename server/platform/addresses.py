"""Internet addresses as limits see them."""

from __future__ import annotations

import functools
import ipaddress


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
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped
    return parsed
