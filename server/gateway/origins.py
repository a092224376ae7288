"""Which pages may use this server, and what their browsers are told (RFC 6454, RFC 6455 §10.2, Fetch standard §3.3)."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from chiron.errors import Refused
from chiron.server.platform.addresses import is_local_authority
from chiron.server.ports import Request

_PORTS = {"http": 80, "https": 443}

_SENT = "authorization, content-type, idempotency-key, traceparent, tracestate, x-request-id"
"""Request header fields that a page may set."""
_SHOWN = "allow, idempotency-replayed, ratelimit, ratelimit-policy, retry-after, www-authenticate, x-request-id"
"""Response header fields that a page may read, besides those that every page may."""
_PREFLIGHT_SECONDS = "7200"
"""How long a browser may remember a preflight: as long as Chromium does at most."""


class Origins:
    """The server's own origins, and those that the operator added.

    A client that is no browser sends no Origin and is let in: the check protects people from pages, not the server
    from clients. Own origin means same host and port; the scheme may differ, because a proxy may end TLS. But the page
    may also be at another port, or under another name of this machine, than what it opens over QUIC.
    """

    def __init__(self, allowed: Iterable[str] = (), *, own: str | None = None, local: Iterable[str] = ()) -> None:
        """`own`: where people reach this server's page, if that is known; `local`: where this machine alone finds it,
        which counts for requests to a loopback Host."""
        self._allowed = _normal(allowed)
        self._known = self._allowed | _normal([own] if own is not None else [])
        self._local = _normal(local)

    @property
    def foreign(self) -> bool:
        """Whether there are pages of elsewhere to which answers have something to say."""
        return bool(self._allowed)

    def check(self, request: Request) -> None:
        """Raises Refused("origin")."""
        given = [value for name, value in request.headers if name == "origin"]
        if not given:
            return
        origin = given[0].strip().lower()
        known = origin in self._known or self._is_own(origin, request) or self._is_local(origin, request)
        if known and len(given) == 1:
            return
        raise Refused("origin", origin=given[0][:200])

    def headers(self, request: Request) -> list[tuple[str, str]]:
        """What an answer carries for a page of an allowed origin, errors included: without it the page sees nothing.

        No Access-Control-Allow-Credentials: the token travels in Authorization, which the page sets itself.
        """
        if not self._allowed:
            return []
        vary = ("vary", "origin")
        origin = request.header("origin")
        if origin is None or origin.strip().lower() not in self._allowed:
            return [vary]
        return [
            vary,
            ("access-control-allow-origin", origin.strip()),
            ("access-control-expose-headers", _SHOWN),
            ("cross-origin-resource-policy", "cross-origin"),
        ]

    def preflight(self, request: Request, methods: Iterable[str]) -> list[tuple[str, str]]:
        """What is added to the answer of an OPTIONS that asks whether a page may use one of `methods`."""
        origin = (request.header("origin") or "").strip().lower()
        if origin not in self._allowed or request.header("access-control-request-method") is None:
            return []
        return [
            ("access-control-allow-methods", ", ".join(methods)),
            ("access-control-allow-headers", _SENT),
            ("access-control-max-age", _PREFLIGHT_SECONDS),
        ]

    def _is_local(self, origin: str, request: Request) -> bool:
        return origin in self._local and is_local_authority(request.header("host") or "")

    @staticmethod
    def _is_own(origin: str, request: Request) -> bool:
        try:
            page = urlsplit(origin)
            here = urlsplit(f"{page.scheme}://{request.header('host') or ''}")
            port = _PORTS[page.scheme]
            return bool(page.hostname) and (page.hostname, page.port or port) == (here.hostname, here.port or port)
        except (KeyError, ValueError):
            return False


def local_origins(listeners: Iterable[tuple[bool, int]]) -> list[str]:
    """Of a page that a browser on this machine loads from listeners, each with whether TLS is spoken, and its port."""
    return [
        f"{'https' if secure else 'http'}://{host}:{port}"
        for secure, port in listeners
        for host in ("localhost", "127.0.0.1", "[::1]")
    ]


def _normal(origins: Iterable[str]) -> frozenset[str]:
    return frozenset(origin.rstrip("/").lower() for origin in origins)
