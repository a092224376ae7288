"""How clients come to QUIC: `/v1/transports` for pages, Alt-Svc for everybody (RFC 7838, RFC 9114 §3.1.1).

Where the certificate is a development one, a browser opens WebTransport to it by its hash alone, and only a client that
names no server is shown that one: so the address is always an IP address, that of the page or of this machine.
Where it is the operator's, the address is that of `public_url`; without one, that of the page, if the port is the same:
then page and session have one origin.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

import msgspec

from chiron.server.config import Settings
from chiron.server.gateway.gateway import REALTIME
from chiron.server.platform.addresses import is_local, is_loopback
from chiron.server.ports import ANYONE, Call, Request, Route

ALTERNATIVE_SECONDS = 86_400
"""How long a browser may remember that there is HTTP/3: it is the default, too (RFC 7838 §3.1)."""

_AUTHORITY = re.compile(r"(?P<host>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(?P<port>\d{1,5}))?", re.ASCII | re.IGNORECASE)
_PORTS = {"http": 80, "https": 443}


class WebTransport(msgspec.Struct, frozen=True):
    """A session that is a link."""

    url: str
    hashes: Sequence[str]
    """Of the certificates that may be shown: base64 of the SHA-256 of their DER form, for `serverCertificateHashes`.
    Empty: the certificate is trusted by itself. They change within days, so ask again before each session."""


class WebSocket(msgspec.Struct, frozen=True):
    """A WebSocket that is a link."""

    url: str
    """Relative to the address that this answer is from."""


class Ways(msgspec.Struct, frozen=True):
    """How to open a link, the preferred way first."""

    webtransport: WebTransport | None
    """Null: there is none for a page of this address."""
    websocket: WebSocket


class Transports:
    """What there is beside TCP. `hashes` may be set anew while the server runs."""

    def __init__(self, settings: Settings, port: int, hashes: Sequence[str]) -> None:
        """`port`: the UDP port that clients are told; 0: none."""
        self.hashes = hashes
        self._port = port
        self._bound = settings.host
        self._public = _AUTHORITY.fullmatch((settings.public_url or "").partition("//")[2])
        self._everywhere = settings.public_port is not None
        self._alternative = f'h3=":{port}"; ma={ALTERNATIVE_SECONDS}'

    def routes(self) -> list[Route]:
        async def transports(call: Call) -> Ways:
            assert call.request is not None
            url = self.url(call.request)
            return Ways(None if url is None else WebTransport(url, self.hashes), WebSocket(REALTIME))

        return [
            Route("GET", "/v1/transports", transports, ANYONE, result=Ways, summary="How a page opens its link"),
        ]

    def url(self, request: Request) -> str | None:
        """Where a page that made this request opens WebTransport."""
        origin = self.origin(request)
        return None if origin is None else origin + REALTIME

    def origin(self, request: Request) -> str | None:
        """The origin of that, as in Content-Security-Policy."""
        host = _AUTHORITY.fullmatch(request.header("host") or "")
        if not self._port or host is None:
            return None
        name = self._development_host(host["host"]) if self.hashes else self._own_host(request, host)
        if name is None:
            return None
        return f"https://{name}" if self._port == _PORTS["https"] else f"https://{name}:{self._port}"

    def connections(self, request: Request) -> list[str]:
        """`origin`, if there is one."""
        origin = self.origin(request)
        return [] if origin is None else [origin]

    def alternatives(self, request: Request) -> list[tuple[str, str]]:
        """The field of an answer to this request that tells of HTTP/3, if it should have one."""
        over_tcp = not request.version.startswith("3")
        if self._port and over_tcp and (request.scheme == "https" or self._everywhere):
            return [("alt-svc", self._alternative)]
        return []

    def _own_host(self, request: Request, host: re.Match[str]) -> str | None:
        if self._public is not None:
            return self._public["host"]
        return host["host"] if int(host["port"] or _PORTS[request.scheme]) == self._port else None

    def _development_host(self, asked: str) -> str | None:
        """The IP address under which the page reaches this server, if UDP is bound there too."""
        bare = asked.strip("[]").lower()
        address = "127.0.0.1" if bare == "localhost" else bare
        try:
            parsed = ipaddress.ip_address(address)
            bound = ipaddress.ip_address("127.0.0.1" if self._bound == "localhost" else self._bound or "::")
        except ValueError:
            return None
        if not bound.is_unspecified and bound != parsed:
            if not (is_local(bare) and is_loopback(str(bound))):
                return None
            parsed = bound
        return f"[{parsed}]" if parsed.version == 6 else str(parsed)
