"""What happens to each request, on every HTTP version: limits, route, person, rule, body, handler, answer."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from email.utils import format_datetime
from typing import Any
from uuid import UUID

import msgspec

from chiron.errors import ChironError, Refused, Unavailable
from chiron.server.gateway.access_log import AccessLog
from chiron.server.gateway.decoding import decode_body, decode_query
from chiron.server.gateway.limits import Limits
from chiron.server.gateway.origins import Origins
from chiron.server.gateway.problems import problem
from chiron.server.gateway.router import Router
from chiron.server.gateway.static import Pages
from chiron.server.ports import Call, Clock, Principal, Request, Response, Route, Rule, TokenVerifier

REALTIME = "/v1/realtime"
CLIENT_GONE = 499
"""Logged, never sent: the client left before its answer."""

_API_HEADERS = (
    ("cache-control", "no-store"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
)
_EVERY_ANSWER = (
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
)


@dataclass(slots=True)
class _Trace:
    """What the access log will say, gathered on the way."""

    route: str = "-"
    person: UUID | None = None


class Gateway:
    """`ports.Gateway`: every request gets an answer, and an exception is an answer too."""

    def __init__(
        self,
        routes: Iterable[Route],
        *,
        verifier: TokenVerifier,
        limits: Limits,
        clock: Clock,
        origins: Iterable[str] = (),
        pages: Pages | None = None,
        access_log: AccessLog | None = None,
    ) -> None:
        """`origins`: foreign pages that may use the server. Raises TypeError for a route without a rule."""
        routes = list(routes)
        for route in routes:
            if not isinstance(route.rule, Rule):
                raise TypeError(f"the route {route.method} {route.path} has no rule")
        self._router = Router(routes)
        self._verifier = verifier
        self._limits = limits
        self._clock = clock
        self._origins = Origins(origins)
        self._pages = pages
        self._log = access_log or AccessLog()
        self._draining = False
        self._date = (0, "")

    def drain(self) -> None:
        """Admit no more links. Requests are answered until the edge has none."""
        self._draining = True

    # --- ports.Gateway -----------------------------------------------------------------------------------------------

    async def respond(self, request: Request) -> Response:
        """Never raises, but for the cancellation of a GET whose client is gone."""
        began = self._clock.monotonic()
        trace = _Trace()
        try:
            response = self._finish(await self._answer(request, trace, began))
        except asyncio.CancelledError:
            self._write_log(request, trace, CLIENT_GONE, 0, began)
            raise
        self._write_log(request, trace, response.status, len(response.body), began)
        return response

    def admit(self, request: Request) -> Response | None:
        began = self._clock.monotonic()
        trace = _Trace()
        try:
            self._limits.address(request.address, 1.0, began)
            if _path(request) != REALTIME:
                raise Refused("not_found", what="address")
            trace.route = REALTIME
            self._origins.check(request)
            if self._draining:
                raise Unavailable("draining")
        except ChironError as error:
            response = self._finish(problem(error))
            self._write_log(request, trace, response.status, len(response.body), began)
            return response
        self._write_log(request, trace, 101, 0, began)
        return None

    def refuse(self, error: ChironError, *, address: str) -> Response:
        headers: Sequence[tuple[str, str]] = getattr(error, "headers", ())
        response = self._finish(problem(error, headers))
        self._log.refused(code=error.code, status=response.status, address=address)
        return response

    # --- one request -------------------------------------------------------------------------------------------------

    async def _answer(self, request: Request, trace: _Trace, now: float) -> Response:
        try:
            try:
                return await self._dispatch(request, trace, now)
            except ChironError as error:
                return problem(error)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            incident = secrets.token_hex(8)
            self._log.failed(incident=incident, method=request.method, route=trace.route, error=error)
            return problem(Unavailable("internal", incident=incident))

    async def _dispatch(self, request: Request, trace: _Trace, now: float) -> Response:
        self._limits.address(request.address, 1.0, now)
        try:
            match = self._router.match(request.method, _path(request))
        except Refused:
            page = self._page(request, trace)
            if page is None:
                raise
            return page
        route = match.route
        trace.route = route.path
        self._origins.check(request)
        principal = self._identify(request, route, trace, now)
        if principal is not None:
            if route.rule.verified and not principal.verified:
                raise Refused("unverified")
            if route.rule.check is not None:
                await route.rule.check(principal, match.params)
        body = decode_body(request, route.body) if route.body is not None else None
        query = decode_query(request.target, route.query) if route.query is not None else None
        result = await route.handler(Call(principal, match.params, body, query, request))
        return _encode(route, result)

    def _page(self, request: Request, trace: _Trace) -> Response | None:
        """What is no route: a file of the page, or the WebSocket's address asked without an upgrade."""
        if request.method not in ("GET", "HEAD"):
            return None
        if _path(request) == REALTIME:
            raise Refused("upgrade_required")
        page = self._pages.respond(request) if self._pages is not None else None
        if page is not None:
            trace.route = "page"
        return page

    def _identify(self, request: Request, route: Route, trace: _Trace, now: float) -> Principal | None:
        """Who asks; takes the route's cost from the person, or from the address where anybody may ask."""
        if not route.rule.signed_in:
            self._limits.address(request.address, route.cost - 1.0, now)
            return None
        scheme, _, token = (request.header("authorization") or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Refused("unauthenticated")
        principal = self._verifier.verify(token.strip())
        trace.person = principal.person
        self._limits.person(principal.person, route.cost, now)
        return principal

    # --- every answer ------------------------------------------------------------------------------------------------

    def _finish(self, response: Response) -> Response:
        """Add what every answer carries. What the handler said itself stays."""
        given = {name for name, _ in response.headers}
        more = [(name, value) for name, value in (*_API_HEADERS, *_EVERY_ANSWER) if name not in given]
        return Response(response.status, response.body, [*response.headers, *more, ("date", self._http_date())])

    def _http_date(self) -> str:
        """IMF-fixdate (RFC 9110 §5.6.7), made once a second."""
        now = self._clock.now()
        second = int(now.timestamp())
        if second != self._date[0]:
            self._date = (second, format_datetime(now, usegmt=True))
        return self._date[1]

    def _write_log(self, request: Request, trace: _Trace, status: int, size: int, began: float) -> None:
        self._log.request(
            method=request.method,
            route=trace.route,
            status=status,
            seconds=self._clock.monotonic() - began,
            size=size,
            address=request.address,
            person=trace.person,
        )


def _path(request: Request) -> str:
    return request.target.partition("?")[0]


def _encode(route: Route, result: Any) -> Response:
    if isinstance(result, Response):
        return result
    if result is None:
        return Response(204)
    return Response(route.status, msgspec.json.encode(result), [("content-type", "application/json")])
