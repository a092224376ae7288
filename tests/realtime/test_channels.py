from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chiron.server.realtime.channels import MISSED, PAGE_BYTES
from chiron.server.realtime.link import LinkLimits

if TYPE_CHECKING:
    from uuid import UUID

    from tests.realtime.conftest import Peer, Room, Simulation, World


def conv(room: Any) -> str:
    return f"conv:{room.target}"


def grow(world: World, room: Room, count: int, body: bytes = b"{}") -> None:
    for _ in range(count):
        world.conv.append(room, world.person("ada"), body)


def shared(world: World, *names: str) -> Room:
    return world.conv.room("r", *(world.person(name) for name in ("ada", *names)))


# --- attach -----------------------------------------------------------------------------------------------------------


def test_attach_outcomes(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        room = shared(world, "bob")
        grow(world, room, 300)
        room.members[world.person("bob")] = 20
        peer = await world.joined("bob")

        async def attach(gen: int, **members: Any) -> dict[str, Any]:
            return await peer.ask("attach", channel=conv(room), gen=gen, **members)

        assert await attach(1, epoch="e1", after=298) == {
            "op": "attached",
            "id": 2,
            "channel": conv(room),
            "number": room.number,
            "gen": 1,
            "outcome": "complete",
            "epoch": "e1",
            "head": 300,
        }
        await world.settle()
        assert peer.offsets(room.number) == [299, 300]
        assert (await attach(2))["outcome"] == "complete"
        grow(world, room, 1)
        await world.settle()
        assert peer.offsets(room.number) == [299, 300, 301]
        more = await attach(3, epoch="e1", after=301 - MISSED - 1)
        assert (more["outcome"], more["head"]) == ("more", 301)
        truncated = await attach(4, epoch="e1", after=19)
        assert (truncated["outcome"], truncated["from"]) == ("truncated", 21)
        assert (await attach(5, epoch="e1", after=302))["outcome"] == "epoch_changed"
        assert (await attach(6, epoch="e0", after=301))["outcome"] == "epoch_changed"
        assert (await attach(7, after=301))["outcome"] == "epoch_changed", "an offset needs its epoch"
        grow(world, room, 1)
        await world.settle()
        assert peer.offsets(room.number) == [299, 300, 301], "not attached any more"

    simulate(scenario)


def test_what_a_person_may_not_see_is_denied_like_what_is_not_there(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        room = shared(world)
        peer = await world.joined("bob")
        answers = [
            await peer.ask("attach", channel=channel, gen=1)
            for channel in (
                conv(room),
                f"conv:{world.person('nothing')}",
                f"person:{world.person('ada')}",
                f"doc:{room.target}",
            )
        ]
        assert {(answer["outcome"], answer["number"], answer["head"]) for answer in answers} == {("denied", 0, 0)}
        grow(world, room, 1)
        await world.settle()
        assert peer.of("delivery") == []

    simulate(scenario)


def test_a_late_detach_cannot_remove_a_newer_attach(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        room = shared(world, "bob")
        peer = await world.joined("bob")
        assert (await peer.ask("attach", channel=conv(room), gen=2))["outcome"] == "complete"
        assert (await peer.ask("detach", channel=conv(room), gen=1))["op"] == "ok"
        stale = await peer.ask("attach", channel=conv(room), gen=2)
        assert (stale["code"], stale["params"]["field"]) == ("invalid", "gen")
        grow(world, room, 1)
        await world.settle()
        assert peer.offsets(room.number) == [1]
        assert (await peer.ask("detach", channel=conv(room), gen=2))["op"] == "ok"
        assert (await peer.ask("detach", channel=conv(room), gen=2))["op"] == "ok"
        grow(world, room, 1)
        await world.settle()
        assert peer.offsets(room.number) == [1]

    simulate(scenario)


def test_the_newest_attach_wins_while_an_older_one_is_read(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        room = shared(world, "bob")
        grow(world, room, 5)
        peer = await world.joined("bob")
        world.weather.latency = 1
        ids = [
            peer.send("attach", channel=conv(room), gen=gen, epoch="e1", after=after) for gen, after in ((1, 0), (2, 3))
        ]
        grow(world, room, 1)
        await asyncio.sleep(10)
        old, new = [await peer.until(lambda frame, id=id: frame.get("id") == id) for id in ids]  # type: ignore[misc]
        assert (old["op"], old["code"]) == ("error", "invalid")
        assert new["outcome"] == "complete"
        assert peer.offsets(room.number) == [4, 5, 6]

        gone, detaching = (peer.send(op, channel=conv(room), gen=3) for op in ("attach", "detach"))
        assert (await peer.until(lambda frame: frame.get("id") == detaching))["op"] == "ok"
        assert (await peer.until(lambda frame: frame.get("id") == gone))["op"] == "error"
        grow(world, room, 1)
        await asyncio.sleep(10)
        assert peer.offsets(room.number) == [4, 5, 6]

    simulate(scenario)


def test_an_attach_that_cannot_be_read_is_refused_for_now(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        room = shared(world, "bob")
        peer = await world.joined("bob")
        world.weather.down = True
        refused = await peer.ask("attach", channel=conv(room), gen=1)
        assert (refused["code"], refused["temporary"], refused["action"]) == ("unavailable", True, "retry")
        world.weather.down = False
        assert (await peer.ask("attach", channel=conv(room), gen=1))["outcome"] == "complete"

    simulate(scenario)


def test_a_gap_that_cannot_be_read_becomes_lag(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        room = shared(world, "bob")
        peer = await world.joined("bob")
        assert (await peer.ask("attach", channel=conv(room), gen=1))["outcome"] == "complete"
        unseen(world, room)
        world.weather.down = True
        grow(world, room, 1)
        lag = await peer.until(lambda frame: frame["op"] == "lag")
        assert lag["number"] == room.number
        assert peer.of("delivery") == []
        world.weather.down = False
        page = await peer.ask("sync", channel=conv(room), after=0)
        assert [item["offset"] for item in page["items"]] == [1, 2]
        assert (await peer.ask("attach", channel=conv(room), gen=2, epoch="e1", after=2))["outcome"] == "complete"

    simulate(scenario)


def unseen(world: World, room: Room, count: int = 1) -> None:
    """Records that another process wrote: nobody publishes them here."""
    published, world.publisher.publish = world.publisher.publish, lambda *_args, **_named: None  # type: ignore[method-assign]
    try:
        grow(world, room, count)
    finally:
        world.publisher.publish = published  # type: ignore[method-assign]


def test_what_is_written_while_an_attach_reads_comes_once_and_in_order(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        room = shared(world, "bob")
        grow(world, room, 3)
        peer = await world.joined("bob")
        world.conv.behind_snapshot = [lambda: grow(world, room, 2), lambda: grow(world, room, 2)]
        attached = await peer.ask("attach", channel=conv(room), gen=1, epoch="e1", after=1)
        await world.settle()
        assert (attached["outcome"], attached["head"]) == ("complete", 5)
        assert peer.offsets(room.number) == [2, 3, 4, 5, 6, 7]

    simulate(scenario)


def test_what_is_written_while_a_person_joins_comes_once_and_in_order(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        ada = world.person("ada")
        own = world.people.rooms[ada]

        def notice(count: int) -> None:
            for _ in range(count):
                world.people.append(own, ada, kind="membership.added")

        notice(2)
        world.people.behind_snapshot = [lambda: notice(2 * MISSED), lambda: None]
        peer = await world.joined("ada", resume={"epoch": "e1", "offset": 1})
        await world.settle()
        assert peer.offsets(own.number) == list(range(2, 2 * MISSED + 3))

    simulate(scenario)


def test_more_than_an_attach_catches_up_with_may_come_while_it_reads(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        room = shared(world, "bob")
        peer = await world.joined("bob")
        world.conv.behind_snapshot = [lambda: None, lambda: grow(world, room, 2 * MISSED + 5)]
        assert (await peer.ask("attach", channel=conv(room), gen=1))["outcome"] == "complete"
        await world.settle()
        assert peer.offsets(room.number) == list(range(1, 2 * MISSED + 6))
        world.conv.behind_snapshot = [lambda: grow(world, room, MISSED + 1)]
        assert (await peer.ask("attach", channel=conv(room), gen=2))["outcome"] == "more"

    simulate(scenario)


@pytest.mark.parametrize("reads_before", [0, 1])
def test_an_attach_that_is_replaced_or_ended_while_it_reads_says_so(simulate: Simulation, reads_before: int) -> None:
    async def scenario(world: World) -> None:
        room = shared(world, "bob")
        grow(world, room, 3)
        peer = await world.joined("bob")
        newer: list[int] = []

        def attach_again() -> None:
            newer.append(peer.send("attach", channel=conv(room), gen=2, epoch="e1", after=2))

        world.conv.behind_snapshot = [lambda: None] * reads_before + [attach_again]
        older = await peer.ask("attach", channel=conv(room), gen=1, epoch="e1", after=0)
        assert (older["op"], older["code"]) == ("error", "invalid")
        await world.settle()
        assert peer.of("attached")[0]["id"] == newer[0]
        assert peer.offsets(room.number) == [3]

        world.conv.behind_snapshot = [lambda: None] * reads_before + [
            lambda: world.conv.remove(room, world.person("bob"))
        ]
        removed = await peer.ask("attach", channel=conv(room), gen=3, epoch="e1", after=0)
        assert removed["outcome"] == "denied"
        await world.settle()
        assert peer.offsets(room.number) == [3]

    simulate(scenario)


# --- sync -------------------------------------------------------------------------------------------------------------


def test_sync_pages_both_ways(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        room = shared(world, "bob")
        grow(world, room, 7)
        room.members[world.person("bob")] = 1
        peer = await world.joined("bob")

        async def page(**members: Any) -> tuple[list[int], bool]:
            answer = await peer.ask("sync", channel=conv(room), **members)
            assert (answer["head"], answer["floor"], answer["epoch"]) == (7, 1, "e1")
            assert (answer["channel"], answer["number"]) == (conv(room), room.number)
            return [item["offset"] for item in answer["items"]], answer["more"]

        assert await page(after=0, limit=3) == ([2, 3, 4], True)
        assert await page(after=4, limit=3) == ([5, 6, 7], False)
        assert await page(before=8, limit=3) == ([5, 6, 7], True)
        assert await page(before=5, limit=3) == ([2, 3, 4], False)
        assert await page(after=7) == ([], False)
        for nonsense in ({}, {"after": 1, "before": 2}):
            assert (await peer.ask("sync", channel=conv(room), **nonsense))["op"] == "error"

    simulate(scenario)


@pytest.mark.parametrize("members", [{"after": 0}, {"before": 21}])
def test_a_page_is_bounded_in_bytes(simulate: Simulation, members: dict[str, int]) -> None:
    async def scenario(world: World) -> None:
        room = shared(world, "bob")
        grow(world, room, 20, b'{"text":"' + b"x" * 16_000 + b'"}')
        peer = await world.joined("bob")
        answer = await peer.ask("sync", channel=conv(room), **members)
        found = [item["offset"] for item in answer["items"]]
        assert answer["more"]
        assert found == ([1, 2, 3, 4] if "after" in members else [17, 18, 19, 20])

    simulate(scenario)


def test_who_does_not_take_pages_is_given_no_more(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        room = shared(world, "bob")
        grow(world, room, 4, b'{"text":"' + b"x" * 16_000 + b'"}')
        peer = await world.joined("bob")
        peer.reading = False
        for _ in range(10):
            peer.send("sync", channel=conv(room), after=0)
        await asyncio.sleep(1)
        assert world.hub.queued(peer.link) < 5 * PAGE_BYTES
        peer.reading = True
        world.transport.flush()
        assert {frame.get("code", frame["op"]) for frame in peer.frames[1:]} == {"page", "busy"}
        assert (await peer.ask("sync", channel=conv(room), after=0))["op"] == "page"

    simulate(scenario)


# --- bounds -----------------------------------------------------------------------------------------------------------


def test_a_storm_of_reconnects_reads_a_few_at_a_time(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        room = shared(world, *(f"p{i}" for i in range(60)))
        grow(world, room, 10)
        world.weather.latency = 0.01

        async def come_back(name: str) -> None:
            peer = await world.joined(name)
            assert (await peer.ask("attach", channel=conv(room), gen=1, epoch="e1", after=3))["outcome"] == "complete"
            await peer.until(lambda frame: frame.get("offset") == 10)
            assert peer.offsets(room.number) == [4, 5, 6, 7, 8, 9, 10]

        async with asyncio.TaskGroup() as group:
            for i in range(60):
                group.create_task(come_back(f"p{i}"))
        assert world.conv.most_reads + world.people.most_reads <= 16
        assert world.conv.most_reads <= 8

    simulate(scenario)


def test_answers_that_are_not_read_close_the_link_resumably(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        peer, other = await world.joined("ada"), await world.joined("bob")
        peer.reading = False
        for _ in range(40):
            peer.send("command", name="echo", params={"text": "x" * 1000})
            await world.settle()
        assert world.ended(peer) == 4002
        assert (await other.ask("command", name="nothing"))["op"] == "ok"

    simulate(scenario, control_bytes=16_384)


# --- removal ----------------------------------------------------------------------------------------------------------


def test_removal_ends_delivery_with_the_commit(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        room = shared(world, "bob")
        removed, stays = await world.joined("bob"), await world.joined("ada")
        for peer in (removed, stays):
            await peer.ask("attach", channel=conv(room), gen=1)
        grow(world, room, 2)
        await world.settle()
        removed.reading = False
        grow(world, room, 2)
        world.conv.remove(room, world.person("bob"))
        grow(world, room, 1)
        world.publisher.event(room.number, "watermark", "ada", b'{"read":1}')
        await world.settle()
        removed.reading = True
        world.transport.flush()
        assert removed.offsets(room.number) == [1, 2], "not even what was queued before"
        assert removed.of("detached") == [{"op": "detached", "number": room.number, "reason": "removed"}]
        assert removed.of("event") == []
        assert stays.offsets(room.number) == [1, 2, 3, 4, 5, 6]
        assert len(stays.of("event")) == 1
        assert (await removed.ask("attach", channel=conv(room), gen=2))["outcome"] == "denied"
        assert (await removed.ask("sync", channel=conv(room), after=0))["code"] == "not_found"

    simulate(scenario)


@given(st.integers(0, 2**32))
@settings(max_examples=80, deadline=None)
def test_no_removal_races_with_an_attach(simulate: Simulation, seed: int) -> None:
    rng = random.Random(seed)

    async def scenario(world: World) -> None:
        room = shared(world, "bob")
        grow(world, room, rng.randrange(5))
        peer = await world.joined("bob")
        world.weather.latency = 1
        peer.send("attach", channel=conv(room), gen=1, epoch="e1", after=0)
        for _ in range(rng.randrange(4)):
            await asyncio.sleep(rng.uniform(0, 0.7))
            grow(world, room, 1)
        await asyncio.sleep(rng.uniform(0, 2.5))
        world.conv.remove(room, world.person("bob"))
        seen = len(peer.of("delivery"))
        grow(world, room, 2)
        await asyncio.sleep(10)
        assert len(peer.of("delivery")) == seen
        (answer,) = peer.of("attached")
        assert answer["outcome"] == "denied" or peer.of("detached")
        assert world.hub.attached(peer.link, room.number) is None

    simulate(scenario)


# --- resume -----------------------------------------------------------------------------------------------------------


class Reader:
    """A client that keeps the newest offset it has seen, and goes on behind it on whatever link it has.

    It is strict: behind `attached` every delivery must be the next one.
    """

    def __init__(self, world: World, room: Room, name: str, rng: random.Random) -> None:
        self.world = world
        self.room = room
        self.name = name
        self.rng = rng
        self.last = 0
        self.seen: list[UUID] = []
        self.lags = 0
        self.generation = 0
        self.peer: Peer | None = None

    async def live(self, seconds: float) -> None:
        """One link for a while, then a cut at whatever point it has reached."""
        try:
            async with asyncio.timeout(seconds):
                await self.follow(lambda: False)
        except TimeoutError:
            pass
        finally:
            if self.peer is not None:
                self.peer.cut()

    async def catch_up(self, offset: int) -> None:
        await self.follow(lambda: self.last >= offset)

    async def follow(self, done: Any) -> None:
        peer = self.peer = self.world.peer()
        peer.chop = self.rng
        welcome = await peer.connect(self.world.person(self.name))
        if welcome["op"] != "welcome":
            await asyncio.sleep(0.1)
            return await self.follow(done)
        while True:
            self.generation += 1
            position = len(peer.frames)
            id = peer.send("attach", channel=conv(self.room), gen=self.generation, epoch="e1", after=self.last)
            answer = await peer.until(lambda frame, id=id: frame.get("id") == id)  # type: ignore[misc]
            if answer["op"] == "error":
                assert answer["temporary"], answer
                await asyncio.sleep(answer["retry_after_ms"] / 1000)
                continue
            # What an older attachment had in the lane may come before the answer, and is known by now.
            position = peer.frames.index(answer, position)
            assert answer["outcome"] in ("complete", "more"), answer
            if answer["outcome"] == "complete" and await self.take(peer, position, done):
                return None
            await self.sync(peer)

    async def take(self, peer: Peer, position: int, done: Any) -> bool:
        while not done():
            for frame in peer.frames[position:]:
                position += 1
                if frame["op"] == "lag":
                    self.lags += 1
                    return False
                if frame["op"] == "delivery" and frame["number"] == self.room.number:
                    assert frame["offset"] == self.last + 1, (frame["offset"], self.last)
                    self.accept(frame)
            if done():
                break
            peer.heard.clear()
            await peer.heard.wait()
        return True

    async def sync(self, peer: Peer) -> None:
        while True:
            page = await peer.ask("sync", channel=conv(self.room), after=self.last, limit=self.rng.randint(1, 500))
            if page["op"] == "error":
                await asyncio.sleep(page["retry_after_ms"] / 1000)
                continue
            for item in page["items"]:
                assert item["offset"] == self.last + 1
                self.accept(item)
            if not page["more"]:
                return

    def accept(self, frame: dict[str, Any]) -> None:
        self.last = frame["offset"]
        self.seen.append(frame["message"])


@given(st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_resume_is_a_full_read_whatever_is_cut(simulate: Simulation, seed: int) -> None:
    rng = random.Random(seed)
    weather = simulate.weather(seed, latency=rng.choice([0, 0.05, 0.5]))

    async def scenario(world: World) -> None:
        room = shared(world, "bob", "cyd")
        readers = [Reader(world, room, name, rng) for name in ("bob", "cyd")]
        grow(world, room, rng.choice([0, 3, 255, 256, 257, 600]))

        async def write() -> None:
            for _ in range(rng.randrange(1, 120)):
                await asyncio.sleep(rng.choice([0, 0, rng.expovariate(10)]))
                if rng.random() < 0.05:
                    unseen(world, room, rng.choice([1, 1, 300]))
                else:
                    grow(world, room, rng.choice([1, 1, 1, 2, 30]), b'{"text":"%s"}' % (b"x" * rng.randrange(300)))
            # Nothing comes behind it that could show who missed something.
            grow(world, room, 1)

        async def read(reader: Reader) -> None:
            for _ in range(rng.randrange(4)):
                await reader.live(rng.expovariate(0.5))
            await reader.follow(lambda: writing.done() and reader.last == room.head)

        weather.failing = rng.choice([0, 0, 0.1])
        writing = asyncio.create_task(write())
        await asyncio.gather(*(read(reader) for reader in readers))
        for reader in readers:
            assert reader.seen == [str(record.message) for record in room.records]

    simulate(
        scenario,
        weather=weather,
        limits=LinkLimits(rate=10_000, burst=10_000),
        durable_bytes=rng.choice([3_000, 262_144]),
    )


def test_a_slow_reader_lags_harms_nobody_and_loses_nothing(simulate: Simulation) -> None:
    rng = random.Random(0)

    async def scenario(world: World) -> None:
        room = shared(world, "slow", "swift")
        slow, swift = Reader(world, room, "slow", rng), Reader(world, room, "swift", rng)
        following = [asyncio.create_task(reader.catch_up(401)) for reader in (slow, swift)]
        await asyncio.sleep(1)
        assert slow.peer is not None
        slow.peer.reading = False
        for _ in range(200):
            grow(world, room, 2, b'{"text":"%s"}' % (b"x" * 200))
            await asyncio.sleep(0.01)
            assert world.hub.queued(slow.peer.link) <= 10_000, "memory is bounded by link, not by message"
        assert swift.last == 400
        assert world.hub.attached(slow.peer.link, room.number) == "lagging"
        slow.peer.reading = True
        world.transport.flush()
        await asyncio.sleep(1)
        assert slow.last == 400
        grow(world, room, 1)
        await asyncio.gather(*following)
        assert (slow.lags, swift.lags) == (1, 0)
        assert slow.seen == swift.seen

    simulate(scenario, durable_bytes=8_192)
