"""A gateway with a clock that stands still and people whose tokens are their names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest

from chiron.errors import Refused
from chiron.server.gateway import AccessLog, Commands, Gateway, Limits, Pages, Rates
from chiron.server.ports import Command, Principal, Request, Response, Route

ADA = Principal(person=UUID(int=1), login=UUID(int=11), expires_at=2e9)


class StandingClock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> datetime:
        return datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.seconds


class Names:
    """`ports.TokenVerifier`: the one token is `ada`."""

    def verify(self, token: str) -> Principal:
        if token == "ada":
            return ADA
        raise Refused("token_expired" if token == "old" else "unauthenticated")


class Buckets:
    """`limits.Limiter` with whole budgets that never refill."""

    def __init__(self) -> None:
        self.taken: dict[str, float] = {}

    def check(self, key: str, cost: float, rate: float, burst: float, now: float) -> float:
        if self.taken.get(key, 0.0) + cost > burst:
            return 1.5
        self.taken[key] = self.taken.get(key, 0.0) + cost
        return 0.0


@dataclass
class Lines:
    """A structlog logger that keeps its lines."""

    lines: list[dict[str, Any]] = field(default_factory=list)

    def info(self, event: str, **fields: Any) -> None:
        self.lines.append({"event": event, **fields})

    error = info


@dataclass
class House:
    """A gateway and what it was built from."""

    gateway: Gateway
    commands: Commands
    clock: StandingClock
    buckets: Buckets
    log: Lines

    async def ask(
        self,
        method: str,
        target: str,
        *,
        token: str | None = None,
        json: Any = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        address: str = "192.0.2.1",
    ) -> Answer:
        fields = {"host": "chiron.test", **(headers or {})}
        if token is not None:
            fields["authorization"] = f"Bearer {token}"
        if json is not None:
            body = msgspec.json.encode(json)
            fields.setdefault("content-type", "application/json")
        request = Request(method, target, list(fields.items()), body or b"", address)
        return Answer(await self.gateway.respond(request))


class Answer:
    def __init__(self, response: Response) -> None:
        self.status = response.status
        self.body = response.body
        self.headers = dict(response.headers)
        assert len(self.headers) == len(list(response.headers)), "a header is there twice"

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def code(self) -> str:
        assert self.headers["content-type"] == "application/problem+json"
        code = self.json["code"]
        assert isinstance(code, str)
        return code


Build = Callable[..., House]


@pytest.fixture
def house() -> Build:
    def build(
        routes: Iterable[Route] = (),
        *,
        commands: Iterable[Command] = (),
        origins: Iterable[str] = (),
        pages: Pages | None = None,
        rates: Rates | None = None,
    ) -> House:
        clock, buckets, log = StandingClock(), Buckets(), Lines()
        limits = Limits(buckets, rates or Rates())
        gateway = Gateway(
            routes,
            verifier=Names(),
            limits=limits,
            clock=clock,
            origins=origins,
            pages=pages,
            access_log=AccessLog(log),
        )
        return House(gateway, Commands(commands, limits=limits, clock=clock), clock, buckets, log)

    return build
