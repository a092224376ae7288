"""Which pages may use this server (RFC 6454, RFC 6455 §10.2)."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from chiron.errors import Refused
from chiron.server.ports import Request

_PORTS = {"http": 80, "https": 443}


class Origins:
    """The server's own origin, known by the Host header, and those that the operator added.

    A client that is no browser sends no Origin and is let in: the check protects people from pages, not the server
    from clients. Own origin means same host and port; the scheme may differ, because a proxy may end TLS.
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._allowed = frozenset(origin.rstrip("/").lower() for origin in allowed)

    def check(self, request: Request) -> None:
        """Raises Refused("origin")."""
        given = [value for name, value in request.headers if name == "origin"]
        if not given:
            return
        origin = given[0].strip().lower()
        if len(given) == 1 and (origin in self._allowed or self._is_own(origin, request)):
            return
        raise Refused("origin", origin=given[0][:200])

    @staticmethod
    def _is_own(origin: str, request: Request) -> bool:
        try:
            page = urlsplit(origin)
            here = urlsplit(f"{page.scheme}://{request.header('host') or ''}")
            port = _PORTS[page.scheme]
            return bool(page.hostname) and (page.hostname, page.port or port) == (here.hostname, here.port or port)
        except (KeyError, ValueError):
            return False
