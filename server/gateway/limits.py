"""How much one address, one person, and each of them at one endpoint may ask for."""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import msgspec

from chiron.errors import Unavailable
from chiron.server.platform.addresses import network
from chiron.server.ports import Rate


class Limiter(Protocol):
    """The part of `_core.Limiter` that is used here."""

    def take(self, key: str, cost: float, rate: float, burst: float, now: float) -> tuple[float, float, float]: ...


OF_ADDRESS = Rate(200.0, 1000.0)
"""An address may be a whole school behind one NAT, so it gets more than a person."""
OF_PERSON = Rate(50.0, 200.0)


@dataclass(frozen=True, slots=True)
class Rates:
    """`endpoint_factor` multiplies what single routes and commands declare."""

    address: Rate = OF_ADDRESS
    person: Rate = OF_PERSON
    endpoint_factor: float = 1.0


class Standing(msgspec.Struct, frozen=True, gc=False):
    """How somebody stands with one limit, after what they have just asked for."""

    policy: str
    rate: Rate
    wait: float
    """0.0 when it was granted, else seconds until it could be."""
    left: float
    """Cost that could be taken now."""
    rest: float
    """Seconds until a whole burst could be."""

    def admit(self) -> None:
        """Raises Unavailable("limited") with the time to wait."""
        if self.wait > 0:
            raise Unavailable("limited", retry_after=self.wait)


class Limits:
    """Takes what a request costs, from buckets of the one `_core.Limiter`."""

    def __init__(self, limiter: Limiter, rates: Rates) -> None:
        self._limiter = limiter
        self.rates = rates
        self.denied: Counter[str] = Counter()
        """Refusals by policy."""

    def reload(self, rates: Rates) -> None:
        """Count by other rates from now on. What was taken stays taken, as the time until it is given back."""
        self.rates = rates

    def address(self, address: str, cost: float, now: float) -> Standing:
        return self._take("address", of_address(address), cost, self.rates.address, now)

    def person(self, person: UUID, cost: float, now: float) -> Standing:
        return self._take("person", _of_person(person.int), cost, self.rates.person, now)

    def endpoint(self, name: str, who: UUID | str, limit: Rate, now: float) -> Standing:
        """One request of a person, or of an address, to what has a limit of its own."""
        factor = self.rates.endpoint_factor
        rate = Rate(limit.per_second * factor, limit.burst * factor)
        return self._take("endpoint", f"{name} {who if isinstance(who, UUID) else network(who)}", 1.0, rate, now)

    def _take(self, policy: str, key: str, cost: float, rate: Rate, now: float) -> Standing:
        burst = rate.burst
        wait, left, rest = self._limiter.take(key, cost if cost < burst else burst, rate.per_second, burst, now)
        if wait > 0:
            self.denied[policy] += 1
        return Standing(policy, rate, wait, left, rest)


def headers(standings: Sequence[Standing]) -> Sequence[tuple[str, str]]:
    """`RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers): lists of strings with parameters.

    The quota `q` is a burst, and the window `w` the seconds in which a whole one comes back, which is as near as the
    fields come to GCRA: `r` of it are left, and after `t` seconds without a request all of it will be. Of what refused,
    `t` is the time of Retry-After, as the draft wants it.
    """
    if len(standings) == 1:
        (only,) = standings
        state = _state(only.policy, int(only.left), math.ceil(only.wait or only.rest))
        return ("ratelimit", state), ("ratelimit-policy", policy(only.policy, only.rate))
    each = [headers([standing]) for standing in standings]
    return [(fields[0][0], ", ".join(value for _, value in fields)) for fields in zip(*each, strict=True)]


# What is said again and again is not made again: the strings, and the keys of those who ask.
_kept = functools.lru_cache(4096)


@_kept
def _state(name: str, left: int, seconds: int) -> str:
    return f'"{name}";r={left};t={seconds}'


@_kept
def policy(name: str, rate: Rate) -> str:
    """A member of `RateLimit-Policy`."""
    return f'"{name}";q={int(rate.burst)};w={math.ceil(rate.burst / rate.per_second)}'


@_kept
def of_address(address: str) -> str:
    """The key of its bucket."""
    return f"address:{network(address)}"


@_kept
def _of_person(person: int) -> str:
    """`person`: the number of a UUID, which is hashed at once where a UUID calls Python."""
    return f"person:{UUID(int=person)}"
