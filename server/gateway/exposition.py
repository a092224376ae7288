"""`/metrics`, for Prometheus: on a listener of its own, which is no way into anything else.

It is asked by a loopback name alone: a page of elsewhere whose name an attacker's DNS turned into 127.0.0.1 (DNS
rebinding) would otherwise be of its origin, and read it.
"""

from __future__ import annotations

from email.utils import format_datetime

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from chiron.errors import ChironError, Refused
from chiron.server.gateway import tracing
from chiron.server.gateway.problems import problem
from chiron.server.platform.addresses import is_local_authority
from chiron.server.ports import Clock, Request, Response

PATH = "/metrics"


class Exposition:
    """`ports.Gateway`: the text format, or OpenMetrics for who accepts it (Prometheus content negotiation)."""

    def __init__(self, registry: CollectorRegistry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock
        self._contexts = tracing.Contexts()

    async def respond(self, request: Request) -> Response:
        hosts = [value for name, value in request.headers if name == "host"]
        if request.target.partition("?")[0] != PATH or not all(map(is_local_authority, hosts)):
            return self._refuse(Refused("not_found", what="address"))
        if request.method not in ("GET", "HEAD"):
            return self._refuse(Refused("method", method=request.method, allowed="GET, HEAD"))
        encode, media = choose_encoder(request.header("accept") or "")
        return self._dated(Response(200, encode(self._registry), [("content-type", media)]))

    def admit(self, request: Request) -> Response | None:
        return self._refuse(Refused("not_found", what="address"))

    def refuse(self, error: ChironError, *, address: str) -> Response:
        return self._refuse(error)

    def _refuse(self, error: ChironError) -> Response:
        return self._dated(problem(error, self._contexts.new().request_id))

    def _dated(self, response: Response) -> Response:
        more = [("cache-control", "no-store"), ("date", format_datetime(self._clock.now(), usegmt=True))]
        return Response(response.status, response.body, [*response.headers, *more])
