"""How much one address and one person may ask for."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from chiron.errors import Unavailable


class Limiter(Protocol):
    """The part of `_core.Limiter` that is used here."""

    def check(self, key: str, cost: float, rate: float, burst: float, now: float) -> float: ...


@dataclass(frozen=True, slots=True)
class Rate:
    """Units of cost per second, and how many at once."""

    per_second: float
    burst: float


@dataclass(frozen=True, slots=True)
class Rates:
    """An address may be a whole school behind one NAT, so it gets more than a person."""

    address: Rate = Rate(200.0, 1000.0)
    person: Rate = Rate(50.0, 200.0)


class Limits:
    """Takes what a request costs. Raises `Unavailable("limited")` with the time to wait."""

    def __init__(self, limiter: Limiter, rates: Rates) -> None:
        self._limiter = limiter
        self._rates = rates

    def address(self, address: str, cost: float, now: float) -> None:
        self._take(f"address:{network(address)}", cost, self._rates.address, now)

    def person(self, person: UUID, cost: float, now: float) -> None:
        self._take(f"person:{person}", cost, self._rates.person, now)

    def _take(self, key: str, cost: float, rate: Rate, now: float) -> None:
        if cost <= 0:
            return
        wait = self._limiter.check(key, min(cost, rate.burst), rate.per_second, rate.burst, now)
        if wait > 0:
            raise Unavailable("limited", retry_after=wait)


def network(address: str) -> str:
    """What is limited as one: an IPv4 address, or the /64 of an IPv6 one, which is the least that a customer gets."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address  # a UNIX socket has no address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False).network_address)
