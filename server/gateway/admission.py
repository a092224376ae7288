"""The short way in: one call into the extension for whoever was checked before and is well within the limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from chiron._core import Admission as ShortWay
from chiron._core import Limiter, Verifier
from chiron.server.gateway.limits import Limits, Rates, of_address, policy
from chiron.server.ports import Clock, Principal

Admitted: TypeAlias = tuple[Principal, tuple[tuple[str, str], tuple[str, str]]]
"""Who asks, and what the answer says of limits."""

AGE = 1.0
"""Seconds for which the difference of the clocks is taken to stay: that of the machine may be set meanwhile."""


class Admission:
    """Takes of the same buckets as `Limits`, by its rates; tokens are those whose principal `Tokens` attached."""

    def __init__(self, limiter: Limiter, verifier: Verifier, limits: Limits, clock: Clock) -> None:
        self._limiter = limiter
        self._verifier = verifier
        self._limits = limits
        self._clock = clock
        self._rates: Rates | None = None
        self._admit: Callable[[str, str, float, float, float], Admitted | None] = lambda *_: None
        self._offset = 0.0
        self._offset_until = float("-inf")

    def admit(self, authorization: str, address: str, cost: float, now: float) -> Admitted | None:
        """Take a request's cost of its address and person; `now` is monotonic. None: nothing was taken, and the request
        goes the long way, which says what is wrong, if anything is."""
        if now >= self._offset_until or self._limits.rates is not self._rates:
            self._refresh(now)
        return self._admit(authorization, of_address(address), cost, now, now + self._offset)

    def _refresh(self, now: float) -> None:
        self._offset = self._clock.now().timestamp() - now
        self._offset_until = now + AGE
        rates = self._limits.rates
        if rates is not self._rates:
            self._rates = rates
            address, person = rates.address, rates.person
            self._admit = ShortWay(
                self._limiter,
                self._verifier,
                address=(address.per_second, address.burst),
                person=(person.per_second, person.burst),
                policy=("ratelimit-policy", policy("person", person)),
            ).admit
