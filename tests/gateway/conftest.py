"""A gateway with a clock that stands still and people whose tokens are their names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest

from chiron.errors import Refused, Unavailable
from chiron.server.gateway import AccessLog, Commands, Finished, Gateway, Limits, Pages, Rates
from chiron.server.gateway.limits import Limiter
from chiron.server.gateway.origins import Origins
from chiron.server.ports import Command, Once, Principal, Request, Response, Route

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

    fresh = True

    def verify(self, token: str) -> Principal:
        if token == "ada":
            return ADA
        raise Refused("token_expired" if token == "old" else "unauthenticated")

    def require_fresh(self) -> None:
        if not self.fresh:
            raise Unavailable("unavailable", retry_after=0.5)


class Buckets:
    """`limits.Limiter` with whole budgets that never refill."""

    def __init__(self) -> None:
        self.taken: dict[str, float] = {}

    def take(self, key: str, cost: float, rate: float, burst: float, now: float) -> tuple[float, float, float]:
        granted = self.taken.get(key, 0.0) + cost <= burst
        if granted:
            self.taken[key] = self.taken.get(key, 0.0) + cost
        taken = self.taken.get(key, 0.0)
        return 0.0 if granted else 1.5, burst - taken, taken / rate


class Memory:
    """`ports.Replays` over what handlers of a test have done: outcome and body hash by person, route and key."""

    def __init__(self) -> None:
        self.kept: dict[tuple[UUID, str, str], tuple[bytes, bytes]] = {}

    async def find(self, once: Once) -> None:
        outcome, body_hash = self.kept.get((once.person, once.route, once.key), (None, once.body_hash))
        if body_hash != once.body_hash:
            raise Refused("idempotency_key_reused")
        once.outcome = outcome

    def keep(self, once: Once, outcome: bytes) -> None:
        self.kept[once.person, once.route, once.key] = (outcome, once.body_hash)


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
    limits: Limits
    buckets: Buckets
    memory: Memory
    log: Lines
    finished: list[Finished]
    names: Names

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
        self.fields = list(response.headers)
        self.headers: dict[str, str] = {}
        for name, value in response.headers:
            assert name not in self.headers or name == "vary", f"{name} is there twice"
            self.headers[name] = f"{self.headers[name]}, {value}" if name in self.headers else value

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
        alternatives: Callable[[Request], list[tuple[str, str]]] = lambda _: [],
        pages: Pages | None = None,
        rates: Rates | None = None,
        limiter: Limiter | None = None,
    ) -> House:
        clock, buckets, memory, log = StandingClock(), Buckets(), Memory(), Lines()
        finished: list[Finished] = []
        names = Names()
        limits = Limits(buckets if limiter is None else limiter, rates or Rates())
        gateway = Gateway(
            routes,
            verifier=names,
            limits=limits,
            clock=clock,
            origins=Origins(origins),
            alternatives=alternatives,
            pages=pages,
            replays=memory,
            access_log=AccessLog(log),
            observers=[finished.append],
        )
        limited = Commands(commands, verifier=names, limits=limits, clock=clock)
        return House(gateway, limited, clock, limits, buckets, memory, log, finished, names)

    return build
