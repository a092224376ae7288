"""What happens to each request, on every HTTP version: limits, route, person, repeat, rule, body, handler, answer."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from email.utils import format_datetime
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from chiron.errors import ChironError, Refused, Unavailable
from chiron.server.gateway import idempotency, limits, tracing
from chiron.server.gateway.access_log import AccessLog
from chiron.server.gateway.admission import Admission
from chiron.server.gateway.decoding import decode_body, decode_query
from chiron.server.gateway.limits import Limits, Standing
from chiron.server.gateway.origins import Origins
from chiron.server.gateway.problems import problem
from chiron.server.gateway.router import Match, Router
from chiron.server.gateway.static import Pages
from chiron.server.ports import (
    Call,
    Clock,
    Once,
    Principal,
    Replays,
    Request,
    Response,
    Route,
    Rule,
    TokenVerifier,
)

T = TypeVar("T")

REALTIME = "/v1/realtime"
CLIENT_GONE = 499
"""Logged, never sent: the client left before its answer."""
METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
"""What the server as a whole knows: the answer to `OPTIONS *` (RFC 9110 §9.3.7)."""

_EVERY_ANSWER = (
    ("cache-control", "no-store"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
)
_EVERY_NAME = frozenset(name for name, _ in _EVERY_ANSWER)
_OURS = _EVERY_NAME | {"x-request-id", "ratelimit", "ratelimit-policy", "alt-svc", "date"}
"""Names of what is added to answers. Few handlers say any of it themselves."""


class Finished(msgspec.Struct, frozen=True, gc=False):
    """A request that was answered. `route` is a template, `page` for files of the page, or `-` where there was none."""

    method: str
    route: str
    status: int
    seconds: float
    size: int
    """Bytes of the answer's content."""


class _Exchange(msgspec.Struct, gc=False):
    """One request, and what is gathered on its way to the answer and to the log."""

    request: Request
    names: Mapping[str, str]
    """Its fields by name; of several, the first."""
    path: str
    """Its target up to `?`, as sent."""
    context: tracing.Context
    began: float
    """Monotonic seconds."""
    route: str = "-"
    person: UUID | None = None
    standings: list[Standing] = []
    """What the answer says of limits, where `limits` does not."""
    limits: Sequence[tuple[str, str]] = ()

    def charge(self, standing: Standing) -> None:
        """Raises Unavailable limited."""
        self.standings.append(standing)
        if standing.wait:
            standing.admit()


class Gateway:
    """`ports.Gateway`: every request gets an answer, and an exception is an answer too."""

    def __init__(
        self,
        routes: Iterable[Route],
        *,
        verifier: TokenVerifier,
        limits: Limits,
        clock: Clock,
        origins: Origins | None = None,
        alternatives: Callable[[Request], list[tuple[str, str]]] = lambda _: [],
        pages: Pages | None = None,
        replays: Replays | None = None,
        admission: Admission | None = None,
        access_log: AccessLog | None = None,
        observers: Sequence[Callable[[Finished], None]] = (),
    ) -> None:
        """`origins`: foreign pages that may use the server. `alternatives`: the Alt-Svc of the answer to a request, if
        it has one. `admission` is of the same limits and tokens as `limits` and `verifier`. `observers` are told of
        each answer, and must not raise.

        Raises TypeError for a route without a rule, ValueError for one that keeps what anybody did, or that keeps
        outcomes while there are no `replays` to find them.
        """
        routes = list(routes)
        for route in routes:
            if not isinstance(route.rule, Rule):
                raise TypeError(f"the route {route.method} {route.path} has no rule")
            if route.once == "kept" and (replays is None or not route.rule.signed_in):
                raise ValueError(f"the route {route.method} {route.path} cannot keep outcomes")
        self._router = Router(route for route in routes if route.shown_to is None)
        hidden = {route.shown_to for route in routes if route.shown_to is not None}
        self._hidden = [
            (shown_to, Router(route for route in routes if route.shown_to == shown_to)) for shown_to in hidden
        ]
        self._verifier = verifier
        self._limits = limits
        self._clock = clock
        self._origins = origins or Origins()
        self._alternatives = alternatives
        self._pages = pages
        self._replays = replays
        self._log = access_log or AccessLog()
        self._observers = observers
        self._contexts = tracing.Contexts()
        self._draining = False
        self._date = ("date", "")
        self._date_until = float("-inf")
        self._free = frozenset(route.path for route in routes if route.cost == 0 and not route.rule.signed_in)
        self._admission = admission
        self._admissible: dict[tuple[str, str], Match] = {}
        """By method and path: where the short way may be tried."""
        if admission is not None:
            for key, match in self._router.literal.items():
                route = match.route
                if route.rule.signed_in and route.limit is None and route.path not in self._free:
                    self._admissible[key] = match
        self.in_flight = 0
        """Requests that are being answered."""
        self.refused: Counter[str] = Counter()
        """Answers that were errors, by code."""

    def drain(self) -> None:
        """Admit no more links. Requests are answered until the edge has none."""
        self._draining = True

    # --- ports.Gateway -----------------------------------------------------------------------------------------------

    async def respond(self, request: Request) -> Response:
        """Never raises, but for the cancellation of a GET whose client is gone."""
        exchange = self._begin(request)
        tracing.bind(exchange.context)
        self.in_flight += 1
        try:
            try:
                response = await self._dispatch(exchange)
            except Exception as error:
                response = self._failed(error, exchange)
            now = self._clock.monotonic()
            response = self._finish(response, exchange, now)
            self._ended(exchange, response.status, len(response.body), now)
            return response
        except asyncio.CancelledError:
            self._ended(exchange, CLIENT_GONE, 0, self._clock.monotonic())
            raise
        finally:
            self.in_flight -= 1

    def admit(self, request: Request) -> Response | None:
        exchange = self._begin(request)
        try:
            exchange.charge(self._limits.address(request.address, 1.0, exchange.began))
            if exchange.path != REALTIME:
                raise Refused("not_found", what="address")
            exchange.route = REALTIME
            if "origin" in exchange.names:
                self._origins.check(request)
            if self._draining:
                raise Unavailable("draining")
        except ChironError as error:
            response = self._finish(self._problem(error, exchange.context.request_id), exchange, exchange.began)
            self._ended(exchange, response.status, len(response.body), exchange.began)
            return response
        self._ended(exchange, 200 if request.method == "CONNECT" else 101, 0, exchange.began)
        return None

    def refuse(self, error: ChironError, *, address: str) -> Response:
        context = self._contexts.new()
        headers: Sequence[tuple[str, str]] = getattr(error, "headers", ())
        answer = self._problem(error, context.request_id, headers)
        response = self._complete(answer, [("x-request-id", context.request_id)], self._clock.monotonic())
        self._log.refused(code=error.code, status=response.status, address=address, context=context)
        return response

    # --- one request -------------------------------------------------------------------------------------------------

    def _begin(self, request: Request) -> _Exchange:
        names = dict(reversed(request.headers))
        path = request.target.partition("?")[0]
        return _Exchange(request, names, path, self._contexts.of(request, names), self._clock.monotonic())

    def _failed(self, error: Exception, exchange: _Exchange) -> Response:
        request_id = exchange.context.request_id
        try:
            if isinstance(error, ChironError):
                return self._problem(error, request_id)
        except Exception as worse:
            error = worse
        incident = secrets.token_hex(8)
        self._log.failed(
            incident=incident,
            method=exchange.request.method,
            route=exchange.route,
            error=error,
            context=exchange.context,
        )
        return self._problem(Unavailable("internal", incident=incident), request_id)

    async def _dispatch(self, exchange: _Exchange) -> Response:
        request = exchange.request
        match = self._admissible.get((request.method, exchange.path))
        principal = self._admit(exchange, match.route) if match is not None else None
        if match is None or principal is None:
            found = self._match(exchange)
            if isinstance(found, Response):
                return found
            match = found
            principal = self._identify(exchange, match.route)
        route = match.route
        body = query = once = None
        if not match.plain or "idempotency-key" in exchange.names:
            once = await self._check(request, match, principal, exchange.names)
            body = decode_body(request, route.body) if route.body is not None else None
            query = decode_query(request.target, route.query) if route.query is not None else None
        result = await route.handler(Call(principal, match.params, body, query, request, once))
        if once is None and type(result) is Response:
            return result
        return _encode(route, result, (idempotency.REPLAYED,) if _is_replay(once) else ())

    async def _check(
        self, request: Request, match: Match, principal: Principal | None, names: Mapping[str, str]
    ) -> Once | None:
        """Whether who asks may do it; and whether it was done before, where the client says how it is known again."""
        route = match.route
        once: Once | None = None
        if "idempotency-key" in names:
            once = idempotency.once(request, route, principal, match.params)
        if principal is not None:
            if route.rule.verified and not principal.verified:
                raise Refused("unverified")
            if route.method != "GET":
                self._verifier.require_fresh()
            if once is not None and self._replays is not None:
                await self._replays.find(once)
            if route.rule.check is not None and not _is_replay(once):
                await route.rule.check(principal, match.params)
        return once

    def _admit(self, exchange: _Exchange, route: Route) -> Principal | None:
        """The short way to `_match` and `_identify`; None: the long one has to be gone."""
        names = exchange.names
        authorization = names.get("authorization")
        if authorization is None or self._admission is None or "origin" in names:
            return None
        admitted = self._admission.admit(authorization, exchange.request.address, route.cost, exchange.began)
        if admitted is None:
            return None
        exchange.route = route.path
        principal, exchange.limits = admitted
        exchange.person = principal.person
        return principal

    def _match(self, exchange: _Exchange) -> Match | Response:
        """The route, or the answer to what has none."""
        request, path = exchange.request, exchange.path
        if path not in self._free:
            exchange.charge(self._limits.address(request.address, 1.0, exchange.began))
        if request.method == "OPTIONS":
            return self._options(exchange)
        match = self._router.literal.get((request.method, path))
        if match is None:
            try:
                match = self._look(request, lambda router: router.match(request.method, path))
            except Refused:
                page = self._page(exchange)
                if page is None:
                    raise
                return page
        exchange.route = match.route.path
        if "origin" in exchange.names:
            self._origins.check(request)
        return match

    def _look(self, request: Request, look: Callable[[Router], T]) -> T:
        """Among the routes that there are for everybody, then among those that there are for this request.

        Raises Refused: not_found, method.
        """
        try:
            return look(self._router)
        except Refused as refusal:
            if refusal.code == "not_found":
                for shown_to, router in self._hidden:
                    if shown_to(request):
                        return look(router)
            raise

    def _page(self, exchange: _Exchange) -> Response | None:
        """What is no route: a file of the page, or the WebSocket's address asked without an upgrade."""
        request = exchange.request
        if request.method not in ("GET", "HEAD"):
            return None
        if exchange.path == REALTIME:
            raise Refused("upgrade_required")
        page = self._pages.respond(request) if self._pages is not None else None
        if page is not None:
            exchange.route = "page"
        return page

    def _options(self, exchange: _Exchange) -> Response:
        """What may be done at an address (RFC 9110 §9.3.7), and whether a foreign page may do it (Fetch §3.3.2)."""
        request = exchange.request
        path = exchange.path
        methods: Sequence[str]
        if path == "*":
            exchange.route, methods = "*", METHODS
        elif path == REALTIME:
            exchange.route, methods = REALTIME, ("GET", "OPTIONS")
        elif self._pages is not None and self._pages.has(path):
            exchange.route, methods = "page", ("GET", "HEAD", "OPTIONS")
        else:
            exchange.route, methods = self._look(request, lambda router: router.options(path))
        if "origin" in exchange.names:
            self._origins.check(request)
        return Response(204, b"", [("allow", ", ".join(methods)), *self._origins.preflight(request, methods)])

    def _identify(self, exchange: _Exchange, route: Route) -> Principal | None:
        """Who asks; takes the route's cost from the person, or from the address where anybody may ask."""
        request, now = exchange.request, exchange.began
        principal: Principal | None = None
        if not route.rule.signed_in:
            if route.cost > 1.0:
                exchange.standings.clear()  # the address is charged again
                exchange.charge(self._limits.address(request.address, route.cost - 1.0, now))
        else:
            scheme, _, token = exchange.names.get("authorization", "").partition(" ")
            token = token.strip()
            if scheme.lower() != "bearer" or not token:
                raise Refused("unauthenticated")
            principal = self._verifier.verify(token)
            exchange.person = principal.person
            # Others may share it: their business. Where another route of the path is free it was not counted.
            exchange.standings.clear()
            exchange.charge(self._limits.person(principal.person, route.cost, now))
        if route.limit is not None:
            who = request.address if principal is None else principal.person
            exchange.charge(self._limits.endpoint(f"{route.method} {route.path}", who, route.limit, now))
        return principal

    def _problem(self, error: ChironError, request_id: str, headers: Sequence[tuple[str, str]] = ()) -> Response:
        self.refused[error.code] += 1
        return problem(error, request_id, headers)

    # --- every answer ------------------------------------------------------------------------------------------------

    def _finish(self, response: Response, exchange: _Exchange, now: float) -> Response:
        """Add what every answer carries, and what those of the API do."""
        more = [("x-request-id", exchange.context.request_id), *self._alternatives(exchange.request)]
        if exchange.route != "page":
            if exchange.standings:
                more += limits.headers(exchange.standings)
            else:
                more += exchange.limits
            if self._origins.foreign:
                more += self._origins.headers(exchange.request)
                return self._complete(response, more, now)
        if response.headers and not _OURS.isdisjoint([name for name, _ in response.headers]):
            return self._complete(response, more, now)
        fields = [*response.headers, *more, *_EVERY_ANSWER, self._http_date(now)]
        return Response(response.status, response.body, fields)

    def _complete(self, response: Response, more: Iterable[tuple[str, str]], now: float) -> Response:
        """What the handler said itself stays; to Vary everybody adds (RFC 9110 §12.5.5)."""
        own = response.headers
        given = {name for name, _ in own}
        added = [field for field in more if field[0] not in given or field[0] == "vary"]
        given.update(name for name, _ in added)
        usual: Iterable[tuple[str, str]] = _EVERY_ANSWER
        if not _EVERY_NAME.isdisjoint(given):
            usual = [(name, value) for name, value in _EVERY_ANSWER if name not in given]
        fields = [*own, *added, *usual, self._http_date(now)]
        return Response(response.status, response.body, fields)

    def _http_date(self, now: float) -> tuple[str, str]:
        """`Date` (RFC 9110 §6.6.1) at a monotonic time, made once a second."""
        if now >= self._date_until:
            moment = self._clock.now()
            self._date = ("date", format_datetime(moment, usegmt=True))
            self._date_until = now + 1.0 - moment.microsecond / 1e6
        return self._date

    def _ended(self, exchange: _Exchange, status: int, size: int, now: float) -> None:
        request, seconds = exchange.request, now - exchange.began
        log = self._log
        if log.tells_requests():
            log.request(
                method=request.method,
                route=exchange.route,
                status=status,
                seconds=seconds,
                size=size,
                address=request.address,
                person=exchange.person,
                context=exchange.context,
            )
        if self._observers:
            finished = Finished(request.method, exchange.route, status, seconds, size)
            for observe in self._observers:
                observe(finished)


def _is_replay(once: Once | None) -> bool:
    return once is not None and once.outcome is not None


def _encode(route: Route, result: Any, more: Sequence[tuple[str, str]]) -> Response:
    if isinstance(result, Response):
        return Response(result.status, result.body, [*result.headers, *more]) if more else result
    if result is None:
        return Response(204, b"", more)
    return Response(route.status, msgspec.json.encode(result), [("content-type", "application/json"), *more])
