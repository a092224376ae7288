from __future__ import annotations

import asyncio
import json
import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chiron.errors import CODES
from chiron.server.platform.timers import TICK
from chiron.server.realtime.link import TABLE, Close, LinkLimits, State
from chiron.server.realtime.links import TOGETHER

if TYPE_CHECKING:
    from tests.realtime.conftest import Peer, Simulation, World


def conv(room: Any) -> str:
    return f"conv:{room.target}"


def ulid(number: int) -> str:
    return f"{number:026d}"


# --- the table --------------------------------------------------------------------------------------------------------


def test_every_way_to_close_is_reached_and_nothing_leaves_the_end() -> None:
    targets = [target for row in TABLE.values() for target in row.values()]
    assert {target for target in targets if isinstance(target, Close)} == set(Close)
    assert set(TABLE) == set(State)
    assert not TABLE[State.ENDED]


def test_closing_is_as_documented(request: pytest.FixtureRequest) -> None:
    page = (request.config.rootpath / "docs" / "protocol.md").read_text()
    section = page.split("## Closing")[1]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("|")]
    documented = {int(row[0]): row[2] == "yes" for row in rows if row[0].isdigit()}
    for close in Close:
        assert documented[close.code] == close.resumable
        assert close.refusal is None or close.refusal in CODES


# --- connect ----------------------------------------------------------------------------------------------------------


def test_welcome_says_who_where_and_what_is_allowed(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        peer = world.peer()
        ada = world.person("ada")
        for _ in range(3):
            world.people.append(world.people.rooms[ada], ada, kind="membership.added")
        welcome = await peer.connect(ada, device="web")
        assert welcome | {"time": 0} == {
            "op": "welcome",
            "id": 1,
            "link": str(peer.link),
            "person": str(ada),
            "number": world.people.rooms[ada].number,
            "epoch": "e1",
            "head": 3,
            "outcome": "complete",
            "time": 0,
            "ping_ms": 25_000,
            "token_ms": 600_000,
            "limits": {"frame_bytes": 65_536, "text_bytes": 16_384, "in_flight": 64, "rate": 50.0, "burst": 200.0},
        }

    simulate(scenario)


def test_connect_resumes_the_personal_channel(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        ada = world.person("ada")
        room = world.people.rooms[ada]
        for _ in range(3):
            world.people.append(room, ada, kind="membership.added")
        peer = await world.joined("ada", resume={"epoch": "e1", "offset": 1})
        await world.settle()
        world.people.append(room, ada, kind="membership.removed")
        await world.settle()
        assert peer.offsets(room.number) == [2, 3, 4]
        assert peer.frames[0]["op"] == "welcome"

        for resume, outcome in (
            ({"epoch": "e0", "offset": 1}, "epoch_changed"),
            ({"epoch": "e1", "offset": 5}, "epoch_changed"),
        ):
            assert (await world.peer().connect(ada, resume=resume))["outcome"] == outcome
        for _ in range(300):
            world.people.append(room, ada, kind="membership.added")
        peer = world.peer()
        assert (await peer.connect(ada, resume={"epoch": "e1", "offset": 1}))["outcome"] == "more"
        world.people.append(room, ada, kind="membership.added")
        await world.settle()
        assert peer.offsets(room.number) == []
        attached = await peer.ask("attach", channel=f"person:{ada}", gen=1, epoch="e1", after=304)
        assert attached["outcome"] == "complete"
        await world.settle()
        assert peer.offsets(room.number) == [305]

    simulate(scenario)


def test_whoever_does_not_connect_within_five_seconds_is_closed(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        peer = world.peer()
        await asyncio.sleep(4.9)
        assert world.ended(peer) is None
        close = await peer.until(lambda frame: frame["op"] == "close", within=0.3)
        assert (close["code"], close["resumable"]) == (4000, True)
        assert world.ended(peer) == 4000

    simulate(scenario)


@pytest.mark.parametrize(
    ("spoil", "code", "closed"),
    [
        ("unknown", "unauthenticated", 4001),
        ("expired", "token_expired", 4001),
        ("ended", "login_ended", 4004),
        ("database", "unavailable", 1011),
        ("nobody", "not_found", 4001),
    ],
)
def test_connect_is_refused_with_an_error_and_a_close(simulate: Simulation, spoil: str, code: str, closed: int) -> None:
    async def scenario(world: World) -> None:
        peer = world.peer()
        ada = world.person("ada")
        token = world.tokens.issue(ada, lifetime=0 if spoil == "expired" else 600)
        match spoil:
            case "unknown":
                token = "forged"
            case "ended":
                world.tokens.ended.add(world.tokens.verify(token).login)
            case "database":
                world.weather.down = True
            case "nobody":
                del world.people.rooms[ada]
        error = await peer.ask("connect", token=token)
        assert (error["op"], error["code"], error["scope"]) == ("error", code, "link")
        assert error["temporary"] == CODES[code].temporary == ("retry_after_ms" in error)
        await world.settle()
        assert [frame["op"] for frame in peer.frames] == ["error", "close"]
        assert world.ended(peer) == closed

    simulate(scenario)


def in_one_go(*messages: Any) -> bytes:
    """Records of a pull link, in the bytes of one read."""
    encoded = [message if isinstance(message, bytes) else json.dumps(message).encode() for message in messages]
    return b"".join((len(record) | 1 << 14).to_bytes(2, "big") + record for record in encoded)


@pytest.mark.parametrize(("broken", "code"), [(b"\xff", 1007), (b"[]", 1002), (b"[" + b"{}," * 64 + b"{}]", 1002)])
def test_what_breaks_the_protocol_behind_connect_ends_the_link(simulate: Simulation, broken: bytes, code: int) -> None:
    async def scenario(world: World) -> None:
        peer = world.peer()
        connect = {"op": "connect", "id": 1, "token": world.tokens.issue(world.person("ada"))}
        peer.feed(in_one_go(connect, broken))
        await world.settle()
        assert world.ended(peer) == code
        assert len(world.links) == 0

    simulate(scenario)


def test_ones_own_channel_can_be_attached_right_behind_connect(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        peer, ada = world.peer(), world.person("ada")
        connect = {"op": "connect", "id": 1, "token": world.tokens.issue(ada)}
        attach = {"op": "attach", "id": 2, "channel": f"person:{ada}", "gen": 5}
        peer.feed(in_one_go(connect, attach))
        attached = await peer.until(lambda frame: frame.get("id") == 2)
        assert (attached["outcome"], attached["gen"]) == ("complete", 5)
        room = world.people.rooms[ada]
        world.people.append(room, ada, kind="membership.added")
        await world.settle()
        assert peer.offsets(room.number) == [1]

    simulate(scenario)


def test_a_second_connect_is_refused_and_the_link_goes_on(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        peer = await world.joined("ada")
        assert (await peer.connect(world.person("bob")))["code"] == "protocol"
        assert (await peer.ask("command", name="nothing"))["op"] == "ok"

    simulate(scenario)


# --- liveness ---------------------------------------------------------------------------------------------------------


def test_a_silent_link_is_pinged_and_closed_after_two_intervals(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        peer = await world.joined("ada")
        peer.answering = False
        began = world.clock.monotonic()
        await peer.until(lambda frame: frame["op"] == "ping")
        assert 12.4 <= world.clock.monotonic() - began <= 25.2 + TOGETHER, "jittered"
        await peer.until(lambda frame: frame["op"] == "close")
        assert 50 <= world.clock.monotonic() - began <= 50.2 + TOGETHER
        assert world.ended(peer) == 4005

    simulate(scenario)


def test_links_are_pinged_together(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        peers = []
        for name in ("ada", "bob", "cy", "dan", "eve"):
            peers.append(await world.joined(name))
            await asyncio.sleep(0.33)
        for peer in peers:
            await peer.until(lambda frame: frame["op"] == "ping")
            peer.frames.clear()
            await peer.until(lambda frame: frame["op"] == "ping")
            assert world.clock.monotonic() % TOGETHER < 2 * TICK

    simulate(scenario)


def test_any_traffic_keeps_a_link(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        answering, talking = await world.joined("ada"), await world.joined("bob")
        talking.answering = False
        for _ in range(60):
            await asyncio.sleep(10)
            assert (await talking.ask("command", name="nothing"))["op"] == "ok"
            for peer in (answering, talking):
                await peer.ask("refresh", token=world.tokens.issue(world.person("ada")), gen=0)
        assert len(talking.of("ping")) == 1, "whoever talks need not be asked"
        assert world.ended(answering) is world.ended(talking) is None

    simulate(scenario, limits=LinkLimits(rate=1000))


# --- tokens -----------------------------------------------------------------------------------------------------------


def test_expiry_is_announced_and_closes_after_a_grace(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        peer = await world.joined("ada")
        began = world.clock.monotonic()
        expiring = await peer.until(lambda frame: frame["op"] == "token_expiring")
        assert 540 <= world.clock.monotonic() - began <= 540.2
        assert 59_800 <= expiring["expires_in_ms"] <= 60_000
        await peer.until(lambda frame: frame["op"] == "close")
        assert 630 <= world.clock.monotonic() - began <= 630.2
        assert world.ended(peer) == 4003

    simulate(scenario)


def test_refresh_in_band(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        ada, bob = world.person("ada"), world.person("bob")
        peer = await world.joined("ada")
        await asyncio.sleep(550)
        assert (await peer.ask("refresh", token=world.tokens.issue(bob), gen=1))["code"] == "forbidden"
        assert (await peer.ask("refresh", token="forged", gen=1))["code"] == "unauthenticated"
        assert (await peer.ask("refresh", token=world.tokens.issue(ada), gen=2))["op"] == "ok"
        short = world.tokens.issue(ada, lifetime=10)
        assert (await peer.ask("refresh", token=short, gen=1))["op"] == "ok"
        assert (await peer.ask("refresh", token=short, gen=2))["op"] == "ok"
        await asyncio.sleep(500)
        assert world.ended(peer) is None
        assert len(peer.of("token_expiring")) == 1
        await asyncio.sleep(45)
        assert len(peer.of("token_expiring")) == 2

    simulate(scenario)


def test_the_end_of_a_login_closes_its_links_at_once(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        ada = world.person("ada")
        room = world.conv.room("r", ada)
        first, second = world.tokens.issue(ada, login="first"), world.tokens.issue(ada, login="second")
        phone, tab, other, joining = world.peer(), world.peer(), world.peer(), world.peer()
        await phone.ask("connect", token=first)
        await tab.ask("connect", token=first)
        await other.ask("connect", token=second)
        assert (await tab.ask("refresh", token=second, gen=1))["code"] == "forbidden", "a link is of one login"
        world.weather.latency = 10
        reading = phone.send("attach", channel=conv(room), gen=1)
        greeting = joining.send("connect", token=first)
        await asyncio.sleep(0.1)
        world.publisher.end_login(world.tokens.verify(first).login)
        phone.send("command", name="nothing")
        await world.settle()
        for peer in (phone, tab, joining):
            assert world.ended(peer) == 4004
            assert peer.frames[-1]["op"] == "close"
            assert not peer.frames[-1]["resumable"]
        for peer, id in ((phone, reading), (joining, greeting)):
            refusal = await peer.until(lambda frame, id=id: frame.get("id") == id and frame["op"] == "error")  # type: ignore[misc]
            assert refusal["code"] == "login_ended"
        assert world.ended(other) is None
        world.publisher.end_login(world.tokens.verify(first).login)

    simulate(scenario)


def test_a_refresh_with_a_token_of_an_ended_login_is_refused(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        peer = await world.joined("ada")
        token = world.tokens.issue(world.person("ada"))
        world.tokens.ended.add(world.tokens.verify(token).login)
        assert (await peer.ask("refresh", token=token, gen=1))["code"] == "login_ended"

    simulate(scenario)


async def spoken(peer: Peer, room: Any, n: int) -> dict[str, Any]:
    return await peer.ask("publish", channel=conv(room), client_id=ulid(n), n=n, kind="text", body={"text": "…"})


def test_while_nobody_knows_who_was_signed_out_links_read_and_do_not_write(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        ada = world.person("ada")
        room = world.conv.room("r", ada)
        peer = await world.joined("ada")
        await peer.ask("attach", channel=conv(room), gen=1)
        assert (await spoken(peer, room, 1))["op"] == "ack"
        world.tokens.fresh = False
        refused = await spoken(peer, room, 2)
        assert (refused["code"], refused["temporary"]) == ("unavailable", True)
        assert (await spoken(peer, room, 3))["code"] == "after_failed"
        assert (await peer.ask("watermark", channel=conv(room), read=1))["code"] == "unavailable"
        assert (await peer.ask("sync", channel=conv(room), after=0, limit=10))["op"] == "page"
        late = await world.joined("ada")
        assert (await late.ask("attach", channel=conv(room), gen=1))["op"] == "attached"
        world.tokens.fresh = True
        assert (await spoken(peer, room, 2))["op"] == "ack"
        assert (await spoken(peer, room, 3))["op"] == "ack"

    simulate(scenario)


# --- commands ---------------------------------------------------------------------------------------------------------


def test_commands_by_name(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        peer = await world.joined("ada")
        assert (await peer.ask("command", name="echo", params={"a": ["ü"]}))["result"] == {"a": ["ü"]}
        assert "result" not in await peer.ask("command", name="nothing")
        assert (await peer.ask("command", name="refuse"))["code"] == "forbidden"
        assert (await peer.ask("command", name="other"))["params"] == {"name": "other"}
        broken = await peer.ask("command", name="break")
        assert (broken["code"], broken["temporary"]) == ("internal", True)
        assert broken["params"]["incident"]
        assert (await peer.ask("command", name="give up"))["code"] == "draining"
        world.weather.down = True
        unavailable = await peer.ask("command", name="strike")
        assert (unavailable["code"], unavailable["action"]) == ("unavailable", "retry")
        assert 500 <= unavailable["retry_after_ms"] <= 2000

    simulate(scenario)


def test_a_malformed_frame_is_answered_and_the_link_goes_on(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        peer = await world.joined("ada")
        error = await peer.ask("attach", channel=7, gen=1)
        assert error["op"] == "error"
        assert not error["temporary"]
        for op, channel in (("attach", "conv:7"), ("publish", "conv:7"), ("sync", "conv:7"), ("detach", "conv:7")):
            members: dict[str, Any] = {"client_id": ulid(1), "n": 1, "kind": "text", "body": {}, "gen": 1, "after": 0}
            assert (await peer.ask(op, channel=channel, **members))["op"] == "error"
        assert (await peer.ask("command", name="nothing"))["op"] == "ok"

    simulate(scenario)


def test_more_commands_in_flight_than_allowed_close_the_link(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        peer = await world.joined("ada")
        for _ in range(3):
            peer.send("command", name="hour")
        assert (await world.joined("bob")).link != peer.link
        assert world.ended(peer) is None
        peer.send("command", name="hour")
        await world.settle()
        assert world.ended(peer) == 4006
        await asyncio.sleep(3601)
        assert world.commands.finished == 3, "what was begun is not given up with the link"

    simulate(scenario, limits=LinkLimits(in_flight=3))


def test_the_limit_of_a_person_refuses_with_a_time(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        peer = await world.joined("ada")
        answers = [await peer.ask("command", name="nothing") for _ in range(4)]
        assert [answer["op"] for answer in answers] == ["ok", "ok", "error", "error"]
        assert answers[2]["code"] == "limited"
        await asyncio.sleep(answers[2]["retry_after_ms"] / 1000)
        assert (await peer.ask("command", name="nothing"))["op"] == "ok"

    simulate(scenario, limits=LinkLimits(rate=1, burst=2))


def test_other_limits_are_those_of_links_that_connect_from_then_on(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        before = await world.joined("ada")
        world.links.reload(LinkLimits(rate=1, burst=2))
        after = world.peer()
        welcome = await after.connect(world.person("bob"))
        assert (welcome["limits"]["rate"], welcome["limits"]["burst"]) == (1, 2)
        for peer, answers in ((before, ["ok", "ok", "ok"]), (after, ["ok", "ok", "error"])):
            assert [(await peer.ask("command", name="nothing"))["op"] for _ in range(3)] == answers

    simulate(scenario)


# --- publishes --------------------------------------------------------------------------------------------------------


def publish(peer: Peer, room: Any, n: int, *, kind: str = "text", client: int | None = None) -> int:
    number = n if client is None else client
    return peer.send("publish", channel=conv(room), client_id=ulid(number), n=n, kind=kind, body={"text": str(number)})


def test_publishes_are_pipelined_and_answered_in_order(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        room = world.conv.room("r", world.person("ada"))
        peer = await world.joined("ada")
        kinds = {5: "forbidden", 7: "broken"}
        ids = [publish(peer, room, n, kind=kinds.get(n, "text")) for n in range(1, 11)]
        await peer.until(lambda frame: frame.get("id") == ids[-1])
        answers = [frame for frame in peer.frames if frame.get("id") in ids]
        assert [answer["id"] for answer in answers] == ids
        assert [answer.get("code", "ack") for answer in answers] == [
            "ack", "ack", "ack", "ack", "forbidden", "ack", "internal", "after_failed", "after_failed", "after_failed",
        ]  # fmt: skip
        again = [publish(peer, room, n) for n in (7, 8, 9, 10)]
        await peer.until(lambda frame: frame.get("id") == again[-1])
        assert texts(room) == ["1", "2", "3", "4", "6", "7", "8", "9", "10"]
        repeat = publish(peer, room, 2)
        assert (await peer.until(lambda frame: frame.get("id") == repeat))["duplicate"]

    simulate(scenario, weather=simulate.weather(latency=0.1))


def texts(room: Any) -> list[str]:
    return [json.loads(record.body)["text"] for record in room.records]


def test_a_gap_in_n_is_refused(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        room = world.conv.room("r", world.person("ada"))
        peer = await world.joined("ada")
        id = publish(peer, room, 2)
        assert (await peer.until(lambda frame: frame.get("id") == id))["code"] == "protocol"

    simulate(scenario)


def test_a_link_has_so_many_channels_and_no_more(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        rooms = [world.conv.room(f"r{i}", world.person("ada")) for i in range(3)]
        peer = await world.joined("ada")
        assert (await peer.ask("attach", channel=conv(rooms[0]), gen=1))["op"] == "attached"
        refused = await peer.ask("attach", channel=conv(rooms[1]), gen=1)
        assert (refused["code"], refused["params"]["field"]) == ("invalid", "channel"), "with one's own it is two"
        await peer.ask("detach", channel=conv(rooms[0]), gen=1)
        assert (await peer.ask("attach", channel=conv(rooms[1]), gen=2))["op"] == "attached"
        ids = [publish(peer, room, 1) for room in rooms]
        answers = [await peer.until(lambda frame, id=id: frame.get("id") == id) for id in ids]  # type: ignore[misc]
        assert [answer.get("code", "ack") for answer in answers] == ["ack", "ack", "invalid"]

    simulate(scenario, limits=LinkLimits(channels=2))


def test_publishing_to_what_is_not_there_is_refused(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        room = world.conv.room("r", world.person("bob"))
        peer = await world.joined("ada")
        id = publish(peer, room, 1)
        assert (await peer.until(lambda frame: frame.get("id") == id))["code"] == "not_found"
        members: dict[str, Any] = {"client_id": ulid(1), "n": 1, "kind": "text", "body": {}}
        assert (await peer.ask("publish", channel=f"doc:{room.target}", **members))["code"] == "not_found"

    simulate(scenario)


def test_the_author_gets_the_ack_where_it_sent_and_the_delivery_elsewhere(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        room = world.conv.room("r", world.person("ada"), world.person("bob"))
        sending, tab, other = await world.joined("ada"), await world.joined("ada"), await world.joined("bob")
        for peer in (sending, tab, other):
            assert (await peer.ask("attach", channel=conv(room), gen=1))["outcome"] == "complete"
        id = publish(sending, room, 1)
        ack = await sending.until(lambda frame: frame.get("id") == id)
        await world.settle()
        assert ack["op"] == "ack"
        assert ack["offset"] == ack["ordinal"] == 1
        assert sending.of("delivery") == []
        for peer in (tab, other):
            (delivery,) = peer.of("delivery")
            assert delivery["message"] == ack["message"]
            assert delivery["body"] == {"text": "1"}
            assert delivery["time"] == ack["time"]

    simulate(scenario)


def test_watermarks_reach_the_authority(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        ada = world.person("ada")
        room = world.conv.room("r", ada)
        peer = await world.joined("ada")
        assert (await peer.ask("watermark", channel=conv(room), received=3, read=2))["op"] == "ok"
        assert world.conv.watermarks[room.target, ada] == (3, 2)
        other = world.conv.room("s", world.person("bob"))
        assert (await peer.ask("watermark", channel=conv(other), received=3))["code"] == "not_found"

    simulate(scenario)


# --- everything is answered once --------------------------------------------------------------------------------------


@given(st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_every_command_is_answered_exactly_once(simulate: Simulation, seed: int) -> None:
    rng = random.Random(seed)

    async def scenario(world: World) -> None:
        rooms = [world.conv.room(f"r{i}", world.person("ada"), world.person("bob")) for i in range(2)]
        rooms.append(world.conv.room("closed", world.person("bob")))
        peer = await world.joined("ada")
        world.weather.failing = 0.2
        positions = dict.fromkeys(range(len(rooms)), 0)
        sent = []
        for _ in range(rng.randrange(1, 120)):
            which = rng.randrange(len(rooms))
            channel = conv(rooms[which])
            match rng.choice(["publish", "attach", "detach", "sync", "watermark", "command", "refresh", "wait"]):
                case "publish":
                    positions[which] = max(1, positions[which] + rng.choice([1, 1, 1, 1, 0, 2, -1]))
                    kind = rng.choice(["text", "text", "text", "forbidden", "broken"])
                    sent.append(publish(peer, rooms[which], positions[which], kind=kind, client=rng.randrange(50)))
                case "attach":
                    after = rng.choice([None, 0, 1, 5, 1000])
                    epoch = rng.choice(["e1", "e1", "e0"])
                    sent.append(peer.send("attach", channel=channel, gen=rng.randrange(20), epoch=epoch, after=after))
                case "detach":
                    sent.append(peer.send("detach", channel=channel, gen=rng.randrange(20)))
                case "sync":
                    where = rng.choice([{"after": 0}, {"before": 9}, {"after": 3}])
                    sent.append(peer.send("sync", channel=channel, limit=5, **where))
                case "watermark":
                    sent.append(peer.send("watermark", channel=channel, received=1, read=1))
                case "command":
                    name = rng.choice(["echo", "nothing", "refuse", "break", "strike", "give up", "?"])
                    sent.append(peer.send("command", name=name))
                case "refresh":
                    token = world.tokens.issue(world.person(rng.choice(["ada", "ada", "bob"])))
                    sent.append(peer.send("refresh", token=token, gen=rng.randrange(5)))
                case "wait":
                    await asyncio.sleep(rng.random())
            if rng.random() < 0.02:
                rooms[0].members.pop(world.person("ada"), None)
                world.publisher.revoke(rooms[0].number, world.person("ada"))
        await asyncio.sleep(120)
        answers = peer.answers()
        assert world.ended(peer) is None
        assert {id: answers[id] for id in sent} == dict.fromkeys(sent, 1)

    simulate(
        scenario,
        limits=LinkLimits(in_flight=1000, rate=30, burst=20),
        weather=simulate.weather(seed, latency=0.3),
    )


# --- the end ----------------------------------------------------------------------------------------------------------


def test_a_drain_gives_every_link_its_own_time(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        peers = [await world.joined(f"p{i}") for i in range(40)]
        peers.append(world.peer())
        await world.links.drain(window=8, grace=5)
        await world.settle()
        times = sorted(peer.frames[-1]["reconnect_in_ms"] for peer in peers)
        for position, time in enumerate(times):
            assert position * 8000 / 41 <= time + 1
            assert time <= (position + 1) * 8000 / 41 + 1
        assert {world.ended(peer) for peer in peers} == {1001}
        assert all(peer.frames[-1]["resumable"] for peer in peers)

    simulate(scenario)


def test_a_drain_finishes_what_is_in_flight_and_takes_nothing_more(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        room = world.conv.room("r", world.person("ada"))
        peer, waiting = await world.joined("ada"), await world.joined("bob")
        waiting.send("command", name="hour")
        world.weather.latency = 1
        ids = [publish(peer, room, n) for n in (1, 2)]
        draining = asyncio.create_task(world.links.drain(window=8, grace=5))
        await asyncio.sleep(0)
        ids.append(publish(peer, room, 3))
        ids.append(peer.send("command", name="nothing"))
        late = world.peer()
        refused = await late.connect(world.person("cyd"))
        assert refused["code"] == "draining"
        began = world.clock.monotonic()
        await draining
        assert world.clock.monotonic() - began == pytest.approx(5)
        await world.settle()
        codes = {frame["id"]: frame.get("code", frame["op"]) for frame in peer.frames if frame.get("id") in ids}
        assert [codes[id] for id in ids] == ["ack", "ack", "draining", "draining"]
        assert peer.frames[-1]["op"] == "close"
        assert [world.ended(each) for each in (peer, waiting, late)] == [1001, 1001, 1001]

    simulate(scenario)


def test_a_link_that_goes_away_leaves_nothing(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        room = world.conv.room("r", world.person("ada"))
        world.weather.latency = 1
        stages: list[Peer] = []
        for delay in (0, 0.5, 1, 1.5, 3):
            peer = world.peer()
            peer.send("connect", token=world.tokens.issue(world.person("ada")))
            stages.append(peer)
            await asyncio.sleep(delay)
            if peer.of("welcome"):
                peer.send("attach", channel=conv(room), gen=1)
                publish(peer, room, 1, client=len(stages))
            peer.cut()
            peer.cut()
        await asyncio.sleep(10)
        assert len(world.links) == 0
        assert room.head == len([peer for peer in stages if peer.of("welcome")]), "what was submitted is written"
        world.publisher.tell(world.person("ada"), "head", "r", b"{}")

    simulate(scenario)
