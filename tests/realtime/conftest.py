"""A world without sockets: pull links of the hub, an authority in memory, a loop whose clock is virtual."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid5

import pytest
from structlog.testing import capture_logs
from virtual_time import VirtualLoop

from chiron._core import Broken, Hub, Limiter, PeerClosed, Wheel
from chiron.errors import Refused, Unavailable
from chiron.server.platform.timers import TICK, Timers
from chiron.server.ports import Ack, ChannelView, Draft, Page, Principal, Record
from chiron.server.realtime.link import LinkLimits
from chiron.server.realtime.links import Links
from chiron.server.realtime.publisher import Publisher

EPOCH = "e1"
START = datetime(2026, 11, 24, 12, tzinfo=UTC)
T = TypeVar("T")
NAMES = UUID("0b5f2a52-7c5b-4c39-9a0d-5f5f6b0f6f10")


class VirtualClock:
    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def now(self) -> datetime:
        return START + timedelta(seconds=self._loop.moment - 1000)

    def monotonic(self) -> float:
        return self._loop.moment


class Numbers:
    """`ports.Ids` that count."""

    def __init__(self) -> None:
        self._count = itertools.count(1)

    def new(self) -> UUID:
        return UUID(int=next(self._count))


def person(name: str) -> UUID:
    return uuid5(NAMES, name)


# --- the authority ----------------------------------------------------------------------------------------------------


@dataclass
class Room:
    number: int
    target: UUID
    members: dict[UUID, int] = field(default_factory=dict)
    """What each sees begins above this offset."""
    records: list[Record] = field(default_factory=list)
    ordinals: int = 0

    @property
    def head(self) -> int:
        return len(self.records)


@dataclass
class Weather:
    """How the database behaves."""

    rng: random.Random = field(default_factory=lambda: random.Random(0))
    latency: float = 0.0
    failing: float = 0.0
    """Probability that a batch or a read fails."""
    down: bool = False

    async def pass_through(self) -> None:
        await asyncio.sleep(self.rng.uniform(0, self.latency))

    def strike(self) -> None:
        if self.down or self.rng.random() < self.failing:
            raise Unavailable("unavailable")


class MemoryAuthority:
    """Channels of one kind in memory, with the promises of a real one: a read has one snapshot, what is committed is
    published in the same step, there is one message per (author, client id), and runs fail together."""

    def __init__(self, kind: str, world: World, first_number: int) -> None:
        self.kind = kind
        self.rooms: dict[UUID, Room] = {}
        self.watermarks: dict[tuple[UUID, UUID], tuple[int, int]] = {}
        self.reads = 0
        self.most_reads = 0
        self.behind_snapshot: list[Callable[[], None]] = []
        """What happens between the snapshot of each of the next reads and its return."""
        self._world = world
        self._numbers = itertools.count(first_number)
        self._queue: list[tuple[Draft, asyncio.Future[Ack]]] = []
        self._committer: asyncio.Task[None] | None = None

    def room(self, name: str, *people: UUID) -> Room:
        room = Room(next(self._numbers), uuid5(NAMES, name), dict.fromkeys(people, 0))
        self.rooms[room.target] = room
        return room

    async def view(self, principal: Principal, target: UUID) -> ChannelView:
        return await self._reading(lambda: self._view(principal, target))

    async def read(
        self, principal: Principal, target: UUID, *, after: int | None, before: int | None, limit: int
    ) -> Page:
        def snapshot() -> Page:
            view = self._view(principal, target)
            readable = self.rooms[target].records[view.floor :]
            if after is not None:
                found = [record for record in readable if record.offset > after]
                return Page(view, found[:limit], len(found) > limit)
            assert before is not None
            found = [record for record in readable if record.offset < before]
            return Page(view, found[-limit:], len(found) > limit)

        return await self._reading(snapshot)

    async def publish(self, draft: Draft) -> Ack:
        if draft.kind == "forbidden":
            raise Refused("forbidden")
        if draft.kind == "broken":
            raise ZeroDivisionError
        decided: asyncio.Future[Ack] = asyncio.get_running_loop().create_future()
        self._queue.append((draft, decided))
        if self._committer is None:
            self._committer = asyncio.get_running_loop().create_task(self._commit())
        return await decided

    async def watermark(self, principal: Principal, target: UUID, *, received: int | None, read: int | None) -> None:
        await self._world.weather.pass_through()
        self._world.weather.strike()
        self._view(principal, target)
        key = (target, principal.person)
        old = self.watermarks.get(key, (0, 0))
        self.watermarks[key] = (max(old[0], received or 0), max(old[1], read or 0))

    def append(
        self, room: Room, author: UUID, body: bytes = b"{}", *, link: int = 0, kind: str = "text", client_id: str = ""
    ) -> Record:
        """Commit a record and publish it."""
        room.ordinals += kind == "text"
        clock, ids = self._world.clock, self._world.ids
        record = Record(
            room.number,
            room.head + 1,
            ids.new(),
            room.ordinals,
            clock.now(),
            author,
            kind,
            body,
            client_id=client_id or None,
        )
        room.records.append(record)
        self._world.publisher.publish(record, link=link)
        return record

    def remove(self, room: Room, who: UUID) -> None:
        del room.members[who]
        self._world.publisher.revoke(room.number, who)
        self.append(room, who, kind="member.left")

    def _view(self, principal: Principal, target: UUID) -> ChannelView:
        room = self.rooms.get(target)
        if room is None or principal.person not in room.members:
            raise Refused("not_found", what="conversation")
        return ChannelView(room.number, room.head, room.members[principal.person])

    async def _reading(self, snapshot: Callable[[], T]) -> T:
        self.reads += 1
        self.most_reads = max(self.most_reads, self.reads)
        try:
            await self._world.weather.pass_through()
            self._world.weather.strike()
            found = snapshot()
            if self.behind_snapshot:
                self.behind_snapshot.pop(0)()
            await self._world.weather.pass_through()
            return found
        finally:
            self.reads -= 1

    async def _commit(self) -> None:
        while self._queue:
            batch, self._queue = self._queue[:16], self._queue[16:]
            await self._world.weather.pass_through()
            try:
                self._world.weather.strike()
            except Unavailable as error:
                for draft, decided in batch:
                    if draft.run is not None:
                        draft.run.failed = True
                    decided.set_exception(Unavailable(error.code))
                continue
            for draft, decided in batch:
                try:
                    decided.set_result(self._decide(draft))
                except (Refused, Unavailable) as error:
                    decided.set_exception(error)
        self._committer = None

    def _decide(self, draft: Draft) -> Ack:
        if draft.run is not None and draft.run.failed:
            raise Unavailable("after_failed")
        self._view(draft.principal, draft.target)
        room, author = self.rooms[draft.target], draft.principal.person
        for record in room.records:
            if (record.author, record.client_id) == (author, draft.client_id):
                if record.body != draft.body:
                    raise Refused("client_id_reused")
                return Ack(record.message, record.offset, record.ordinal, record.time, duplicate=True)
        record = self.append(room, author, draft.body, link=draft.link, kind=draft.kind, client_id=draft.client_id)
        return Ack(record.message, record.offset, record.ordinal, record.time)


class Tokens:
    """`ports.TokenVerifier` over a dictionary."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._issued: dict[str, Principal] = {}
        self.ended: set[UUID] = set()
        self.fresh = True

    def issue(self, who: UUID, *, lifetime: float = 600, login: str = "") -> str:
        token = f"token-{len(self._issued)}"
        expires_at = self._clock.now().timestamp() + lifetime
        self._issued[token] = Principal(who, uuid5(NAMES, login or f"login of {who}"), expires_at)
        return token

    def verify(self, token: str) -> Principal:
        principal = self._issued.get(token)
        if principal is None:
            raise Refused("unauthenticated")
        if principal.expires_at <= self._clock.now().timestamp():
            raise Refused("token_expired")
        if principal.login in self.ended:
            raise Refused("login_ended")
        return principal

    def require_fresh(self) -> None:
        if not self.fresh:
            raise Unavailable("unavailable", retry_after=0.5)


class SomeCommands:
    """`ports.Commands`: a few that do what their names say."""

    def __init__(self, weather: Weather) -> None:
        self._weather = weather
        self.finished = 0

    async def run(self, name: str, principal: Principal, params: bytes) -> bytes | None:
        await self._weather.pass_through()
        match name:
            case "echo":
                return params
            case "nothing":
                return None
            case "refuse":
                raise Refused("forbidden")
            case "break":
                raise KeyError(name)
            case "strike":
                self._weather.strike()
                return b"{}"
            case "give up":
                raise asyncio.CancelledError
            case "hour":
                await asyncio.sleep(3600)
                self.finished += 1
                return b"{}"
        raise Refused("unknown_command", name=name)


# --- clients ----------------------------------------------------------------------------------------------------------


def varint(length: int) -> bytes:
    """RFC 9000 §16."""
    if length < 1 << 6:
        return bytes([length])
    if length < 1 << 14:
        return (length | 1 << 14).to_bytes(2, "big")
    return (length | 2 << 30).to_bytes(4, "big")


def records(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        size = 1 << (data[at] >> 6)
        length = int.from_bytes(data[at : at + size], "big") & ((1 << 8 * size - 2) - 1)
        at += size
        yield data[at : at + length]
        at += length
    assert at == len(data), "flush gives whole records"


class Peer:
    """A client's end of a link. It reads whatever comes unless `reading` is false."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.link = world.hub.open_link(world.clock.monotonic())
        self._reading = True
        self.gone = False
        self.frames: list[dict[str, Any]] = []
        self.heard = asyncio.Event()
        self.answering = True
        """Pings."""
        self.chop: random.Random | None = None
        """Cuts what is sent anywhere."""
        self._ids = itertools.count(1)
        world.peers[self.link] = self
        world.links.opened(self.link, address="192.0.2.1")

    def feed(self, data: bytes) -> None:
        world = self.world
        while data and not self.gone:
            size = len(data) if self.chop is None else self.chop.randint(1, len(data))
            piece, data = data[:size], data[size:]
            world.links.received(self.link, world.hub.feed_link(self.link, piece, world.clock.monotonic()))

    def send(self, op: str, **members: Any) -> int:
        """The id of the command."""
        id = next(self._ids)
        message = json.dumps({"op": op, "id": id} | members).encode()
        self.feed(varint(len(message)) + message)
        return id

    @property
    def reading(self) -> bool:
        return self._reading

    @reading.setter
    def reading(self, reading: bool) -> None:
        """Whether the transport takes anything for it."""
        self._reading = reading
        if reading:
            self.world.hub.resume(self.link)
        else:
            self.world.hub.pause(self.link)

    def write(self, data: bytes) -> None:
        for record in records(data):
            frame = json.loads(record)
            self.frames.append(frame)
            if frame["op"] == "ping" and self.answering:
                self.send_pong()
        self.heard.set()

    def send_pong(self) -> None:
        message = b'{"op":"pong"}'
        self.feed(varint(len(message)) + message)

    async def until(self, found: Callable[[dict[str, Any]], bool], *, within: float = 3600) -> dict[str, Any]:
        async with asyncio.timeout(within):
            while True:
                for frame in self.frames:
                    if found(frame):
                        return frame
                self.heard.clear()
                await self.heard.wait()

    async def ask(self, op: str, **members: Any) -> dict[str, Any]:
        """Send a command and wait for its answer."""
        id = self.send(op, **members)
        return await self.until(lambda frame: frame.get("id") == id)

    async def connect(self, who: UUID, **members: Any) -> dict[str, Any]:
        return await self.ask("connect", token=self.world.tokens.issue(who), **members)

    def answers(self) -> Counter[int]:
        return Counter(frame["id"] for frame in self.frames if frame.get("id") is not None)

    def of(self, op: str) -> list[dict[str, Any]]:
        return [frame for frame in self.frames if frame["op"] == op]

    def offsets(self, number: int) -> list[int]:
        return [frame["offset"] for frame in self.of("delivery") if frame["number"] == number]

    def cut(self) -> None:
        """The transport goes away without a word."""
        if not self.gone:
            self.gone = True
            self.world.hub.close(self.link)
            self.world.links.closed(self.link)


class Transport:
    """`ports.LinkTransport`: what the edge does, on links without a connection."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._scheduled = False
        self.ended: dict[int, tuple[int, str]] = {}

    def received(self, link: int, events: Sequence[Any]) -> None:
        self._world.links.received(link, events)
        for event in events:
            if isinstance(event, Broken | PeerClosed):
                self.end(link, event.code, event.reason)

    def wake(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self.flush)

    def end(self, link: int, code: int, reason: str) -> None:
        assert link not in self.ended, "a link ends once"
        assert len(reason.encode()) <= 123
        self.ended[link] = (code, reason)
        self._world.hub.finish(link, code, reason)
        asyncio.get_running_loop().call_soon(self._gone, link)

    def flush(self) -> None:
        self._scheduled = False
        hub = self._world.hub
        while hub.dirty:
            for link, data, _ in hub.flush(64, 0.0):
                self._world.peers[link].write(data)

    def _gone(self, link: int) -> None:
        peer = self._world.peers[link]
        if not peer.gone:
            self.flush()
            peer.cut()


class World:
    """Everything that realtime is given, in memory."""

    def __init__(self, loop: VirtualLoop, limits: LinkLimits | None, weather: Weather | None, **hub: Any) -> None:
        self.loop = loop
        self.clock = VirtualClock(loop)
        self.ids = Numbers()
        self.weather = weather or Weather()
        self.hub = Hub(bytearray(1 << 16), limiter=Limiter(1000), **hub)
        self.timers = Timers(Wheel(loop.time(), tick=TICK), loop)
        self.publisher = Publisher(self.hub, self.timers, self.clock)
        self.conv = MemoryAuthority("conv", self, 1)
        self.people = MemoryAuthority("person", self, 1_000_000)
        self.tokens = Tokens(self.clock)
        self.commands = SomeCommands(self.weather)
        self.transport = Transport(self)
        self.peers: dict[int, Peer] = {}
        self.links = Links(
            self.hub,
            publisher=self.publisher,
            authorities={"conv": self.conv, "person": self.people},
            commands=self.commands,
            tokens=self.tokens,
            transport=self.transport,
            timers=self.timers,
            clock=self.clock,
            ids=self.ids,
            epoch=EPOCH,
            rng=random.Random(1),
            limits=limits or LinkLimits(),
        )

    def person(self, name: str) -> UUID:
        """Somebody with a channel of their own."""
        who = person(name)
        if who not in self.people.rooms:
            self.people.rooms[who] = Room(1_000_000 + len(self.people.rooms), who, {who: 0})
        return who

    def peer(self) -> Peer:
        return Peer(self)

    async def joined(self, name: str, **members: Any) -> Peer:
        """A peer behind its welcome."""
        peer = self.peer()
        welcome = await peer.connect(self.person(name), **members)
        assert welcome["op"] == "welcome", welcome
        return peer

    def ended(self, peer: Peer) -> int | None:
        """The close code."""
        code, _ = self.transport.ended.get(peer.link, (None, ""))
        return code

    async def settle(self) -> None:
        """Until nothing happens any more that does not wait for a clock."""
        for _ in range(50):
            await asyncio.sleep(0)


Scenario = Callable[[World], Awaitable[None]]


class Simulation:
    """Runs a scenario in a world of its own, and looks after what it leaves behind."""

    def weather(self, seed: int = 0, *, latency: float = 0.0, failing: float = 0.0) -> Weather:
        return Weather(random.Random(seed), latency, failing)

    def __call__(
        self,
        scenario: Scenario,
        *,
        limits: LinkLimits | None = None,
        weather: Weather | None = None,
        **hub: int,
    ) -> None:
        loop = VirtualLoop(1000.0)
        failures: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _loop, context: failures.append(context))

        async def main() -> None:
            world = World(loop, limits, weather, **hub)
            await scenario(world)
            await world.links.stop()
            await world.settle()
            for peer in world.peers.values():
                peer.cut()
            # Nothing is remembered of a link that is gone.
            links, channels, publisher = world.links, world.links._channels, world.publisher
            assert len(links) == len(world.timers) == 0
            for left in (links._by_login, links._tasks, channels._held, publisher._listeners, publisher._people):
                assert not left
            stats = world.hub.stats()
            assert (stats["links"], stats["attachments"], stats["queued_bytes"]) == (0, 0, 0)

        try:
            with capture_logs():
                loop.run_until_complete(main())
            left = [task for task in asyncio.all_tasks(loop) if "_commit" not in repr(task)]
            assert not left, left
        finally:
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()
        assert not failures, failures


@pytest.fixture(scope="session")
def simulate() -> Simulation:
    return Simulation()
