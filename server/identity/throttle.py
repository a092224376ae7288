"""Limits of identity's own, besides those by address and person that every request meets.

They are by account, known or not, so that neither a limit nor its absence tells whether there is one. What is counted
is a SHA-256 of the address: the limiter's keys are no list of people.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from typing import Protocol
from uuid import UUID

from chiron.errors import Unavailable
from chiron.server.identity.proofs import Purpose
from chiron.server.platform.addresses import network
from chiron.server.ports import Clock, Rate

HERE = Rate(10 / 600, 10)
"""Attempts at the password of one account from one network."""
ANYWHERE = Rate(100 / 3600, 100)
"""The same from everywhere: who tries from many places is slowed down too, and it takes many to keep somebody out."""
MAILS = Rate(3 / 3600, 3)
"""To one address for one purpose."""
LOOKUPS = Rate(60 / 3600, 200)
"""People that one person looks up by address: a group is invited at once, a directory is not tried through."""


class Limiter(Protocol):
    """The part of `_core.Limiter` that is used here."""

    def check(self, key: str, cost: float, rate: float, burst: float, now: float) -> float: ...


class Throttle:
    """The limiter is one of its own: full of keys it refuses, and who fills it may not keep others from the rest."""

    def __init__(self, limiter: Limiter, clock: Clock) -> None:
        self._limiter = limiter
        self._clock = clock

    def password(self, email: str, address: str) -> None:
        """Somebody says a password. Raises Unavailable limited."""
        account = _hashed(email)
        self._admit(f"password {account} {network(address)}", HERE)
        self._admit(f"password {account}", ANYWHERE)

    def current_password(self, person: UUID) -> None:
        """Somebody who is signed in says their password again. Raises Unavailable limited."""
        self._admit(f"current {person}", HERE)

    def lookup(self, person: UUID) -> None:
        """Somebody asks who has an address. Raises Unavailable limited."""
        self._admit(f"lookup {person}", LOOKUPS)

    def mail(self, purpose: Purpose, email: str) -> Callable[[], bool]:
        """Whether one more mail may go there, which it asks when it is called first and remembers.

        Units of work call it: what never reaches the database, or is repeated there, takes nothing from the limit.
        """

        @cache
        def may_send() -> bool:
            return self._wait(f"mail {purpose} {_hashed(email)}", MAILS) == 0

        return may_send

    def _admit(self, key: str, rate: Rate) -> None:
        wait = self._wait(key, rate)
        if wait > 0:
            raise Unavailable("limited", retry_after=wait)

    def _wait(self, key: str, rate: Rate) -> float:
        return self._limiter.check(key, 1.0, rate.per_second, rate.burst, self._clock.monotonic())


def _hashed(email: str) -> str:
    return hashlib.sha256(email.encode("utf-8", "surrogatepass")).hexdigest()
