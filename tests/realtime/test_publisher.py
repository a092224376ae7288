from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.realtime.conftest import Simulation, World


def test_what_a_person_is_told_is_conflated_by_key_at_most_once_a_second(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        ada = world.person("ada")
        phone, tab, other = await world.joined("ada"), await world.joined("ada"), await world.joined("bob")
        began = world.clock.monotonic()
        for number in range(1, 101):
            world.publisher.tell(ada, "head", f"room {number % 2}", b'{"head":%d}' % number)
            await asyncio.sleep(0.025)
        await asyncio.sleep(2)
        heads = [event["body"]["head"] for event in phone.of("event")]
        assert heads[0] == 1, "the first at once"
        assert {heads[-1], heads[-2]} == {99, 100}, "the newest of each in the end"
        assert len(heads) <= 1 + 2 * 3
        assert heads == [event["body"]["head"] for event in tab.of("event")]
        assert other.of("event") == []
        assert world.clock.monotonic() - began < 5

    simulate(scenario)


def test_nobody_is_told_who_is_not_here(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        ada = world.person("ada")
        world.publisher.tell(ada, "head", "r", b'{"head":1}')
        peer = await world.joined("ada")
        world.publisher.tell(ada, "head", "r", b'{"head":2}')
        world.publisher.tell(ada, "head", "r", b'{"head":3}')
        peer.cut()
        world.publisher.tell(ada, "head", "r", b'{"head":4}')
        again = await world.joined("ada")
        await asyncio.sleep(3)
        assert again.of("event") == []

    simulate(scenario)


def test_events_are_conflated_while_they_wait_and_spare_their_sender(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        room = world.conv.room("r", world.person("ada"), world.person("bob"))
        sender, reader = await world.joined("ada"), await world.joined("bob")
        for peer in (sender, reader):
            await peer.ask("attach", channel=f"conv:{room.target}", gen=1)
        reader.reading = False
        for read in (1, 2, 3):
            world.publisher.event(room.number, "watermark", "ada", b'{"read":%d}' % read, link=sender.link)
        world.publisher.event(room.number, "watermark", "cyd", b'{"read":9}')
        reader.reading = True
        await world.settle()
        assert sorted(event["body"]["read"] for event in reader.of("event")) == [3, 9]
        assert [event["body"]["read"] for event in sender.of("event")] == [9]
        assert reader.of("event")[0] == {
            "op": "event",
            "number": room.number,
            "kind": "watermark",
            "body": {"read": 3},
        }

    simulate(scenario)


def test_a_publisher_without_links_has_nobody_to_reach(simulate: Simulation) -> None:
    async def scenario(world: World) -> None:
        from chiron.server.realtime.publisher import Publisher

        alone = Publisher(world.hub, world.timers, world.clock)
        alone.event(1, "watermark", "ada", b"{}")
        alone.revoke(1, world.person("ada"))
        alone.end_login(world.person("ada"))

    simulate(scenario)
