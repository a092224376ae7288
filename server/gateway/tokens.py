"""Who a bearer token speaks for: `ports.TokenVerifier` over the Rust verifier and the logins that ended lately."""

from __future__ import annotations

from uuid import UUID

from chiron._core import Claims, Verifier
from chiron.errors import Refused, Unavailable
from chiron.server.ports import VERIFIED_SCOPE, Clock, Principal

STALE = 2.0
"""Seconds after which the set of ended logins is no longer taken for complete (promise P4)."""
RETRY_AFTER = 0.5


class Tokens:
    """Checks signature, claims and expiry (Rust), and that the login has not ended.

    `lifetime` is that of an access token in seconds: an ended login is remembered so long, after which every token
    of it has expired. Whoever looks for logins that ended elsewhere says so with `complete`.
    """

    def __init__(self, verifier: Verifier, clock: Clock, *, lifetime: float) -> None:
        self._verifier = verifier
        self._clock = clock
        self._lifetime = lifetime
        self._ended: dict[UUID, float] = {}
        self._complete_at = float("-inf")

    def verify(self, token: str) -> Principal:
        """Raises Refused: unauthenticated, token_expired, login_ended."""
        now = self._clock.now().timestamp()
        principal: Principal | None = self._verifier.recall(token, now)
        if principal is None:
            try:
                principal = _principal(self._verifier.verify(token, now))
            except ValueError as error:
                raise Refused("token_expired" if error.args == ("expired",) else "unauthenticated") from None
            if principal.login in self._ended:
                raise Refused("login_ended")
            # Saves reading its ids again; `Admission` lets in whoever has one.
            self._verifier.attach(token, principal)
        return principal

    def require_fresh(self) -> None:
        """See `ports.TokenVerifier.require_fresh`."""
        if self._clock.monotonic() - self._complete_at > STALE:
            raise Unavailable("unavailable", retry_after=RETRY_AFTER)

    def end_login(self, login: UUID) -> None:
        """Refuse every token of the login from now on. Harmless to repeat."""
        if login in self._ended:
            return
        now = self._clock.now().timestamp()
        # Insertion order is order of time, so those that may be forgotten stand in front.
        for old, ended_at in list(self._ended.items()):
            if ended_at > now - self._lifetime:
                break
            del self._ended[old]
        self._ended[login] = now
        self._verifier.detach()

    def complete(self, as_of: float) -> None:
        """Every login that had ended at this monotonic time is known here."""
        self._complete_at = as_of


def _principal(claims: Claims) -> Principal:
    """Raises ValueError."""
    verified = VERIFIED_SCOPE in claims.scope.split()
    return Principal(UUID(claims.sub), UUID(claims.sid), float(claims.exp), claims.client_id, verified)
