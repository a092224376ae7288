"""Which transport `auto` takes: on virtual time, with transports that the test makes open or fail."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any, cast

import pytest
from virtual_time import run_at_once

from chiron.client import Api, NotReachable, ServerRefused
from chiron.client.transports import Name, Opener
from chiron.client.transports.choice import AVOID_FIRST, AVOID_MOST, HEAD_START

OFFER = {"url": "https://127.0.0.1:8443/v1/realtime", "hashes": []}


class Opened:
    def __init__(self, name: Name) -> None:
        self.name = name
        self.closed = False

    async def close(self) -> None:
        self.closed = True


class World(Opener):
    """Each transport takes so many seconds to open; None: it never does."""

    def __init__(self) -> None:
        super().__init__(cast(Api, self), "auto")
        self.origin = "http://127.0.0.1"
        self.offers: Any = {"webtransport": OFFER}
        self.questions = 0
        self.webtransport: float | Exception | None = 0.1
        self.websocket: float | Exception | None = 0.1
        self.tried: list[Name] = []
        self.made: list[Opened] = []

    async def transports(self) -> Any:
        self.questions += 1
        if isinstance(self.offers, Exception):
            raise self.offers
        if self.offers is None:
            await asyncio.Event().wait()
        return self.offers

    async def _webtransport(self, offer: Any) -> Any:
        assert offer == OFFER
        return await self._open("webtransport", self.webtransport)

    async def _websocket(self) -> Any:
        return await self._open("websocket", self.websocket)

    async def _open(self, name: Name, how: float | Exception | None) -> Opened:
        self.tried.append(name)
        if isinstance(how, Exception):
            raise how
        await asyncio.sleep(10 if how is None else how)
        if how is None:
            raise NotReachable("nothing answers")
        self.made.append(Opened(name))
        return self.made[-1]

    async def taken(self) -> Name:
        return (await self.open()).name


def test_webtransport_is_preferred() -> None:
    async def work(world: World) -> None:
        assert await world.taken() == "webtransport"
        assert world.tried == ["webtransport"]

    run_at_once(work(World()))


def test_where_udp_is_swallowed_websocket_is_open_within_a_second() -> None:
    async def work(world: World) -> None:
        world.webtransport = None
        assert await world.taken() == "websocket"
        assert asyncio.get_running_loop().time() == pytest.approx(HEAD_START + 0.1)

    run_at_once(work(World()))


def test_what_fails_at_once_costs_nothing() -> None:
    async def work(world: World) -> None:
        world.webtransport = NotReachable("nothing listens")
        assert await world.taken() == "websocket"
        assert asyncio.get_running_loop().time() == pytest.approx(0.1)

    run_at_once(work(World()))


def test_a_slow_network_has_webtransport_when_that_is_first() -> None:
    async def work(world: World) -> None:
        world.webtransport, world.websocket = 0.8, 0.6
        assert await world.taken() == "webtransport"
        assert world.tried == ["webtransport", "websocket"]

    run_at_once(work(World()))


def test_who_loses_is_closed() -> None:
    async def work(world: World) -> None:
        world.webtransport, world.websocket = 0.75, 0.25
        taken = await world.open()
        assert [made.name for made in world.made if not made.closed] == [taken.name]

    run_at_once(work(World()))


def test_what_did_not_work_is_left_alone_for_longer_each_time() -> None:
    async def work(world: World) -> None:
        loop = asyncio.get_running_loop()
        world.webtransport = NotReachable("nothing listens")
        moments: list[float] = []
        while loop.time() < 10 * AVOID_MOST:
            before = world.tried.count("webtransport")
            assert await world.taken() == "websocket"
            if world.tried.count("webtransport") > before:
                moments.append(loop.time())
            await asyncio.sleep(1)
        pauses = [later - earlier for earlier, later in pairwise(moments)]
        assert pauses[0] == pytest.approx(AVOID_FIRST, abs=2)
        assert pauses[1] == pytest.approx(2 * AVOID_FIRST, abs=2)
        assert pauses[-1] == pytest.approx(AVOID_MOST, abs=2)

    run_at_once(work(World()))


def test_what_works_again_is_taken_again() -> None:
    async def work(world: World) -> None:
        world.webtransport = NotReachable("nothing listens")
        await world.taken()
        world.webtransport = 0.1
        await asyncio.sleep(AVOID_FIRST)
        assert await world.taken() == "webtransport"
        assert await world.taken() == "webtransport"
        assert world.questions == 2, "where it works the server is not asked each time"

    run_at_once(work(World()))


@pytest.mark.parametrize(
    "offers",
    [{"webtransport": None}, {"webtransport": {"url": 7}}, {}, ServerRefused("not_found"), NotReachable("away"), None],
)
def test_a_server_that_offers_nothing_has_websocket(offers: Any) -> None:
    async def work(world: World) -> None:
        world.offers = offers
        for _ in range(3):
            assert await world.taken() == "websocket"
        assert world.questions == 1
        assert "webtransport" not in world.tried

    run_at_once(work(World()))


def test_when_nothing_works_the_error_is_websockets() -> None:
    async def work(world: World) -> None:
        world.webtransport, world.websocket = NotReachable("no UDP"), NotReachable("no TCP")
        with pytest.raises(NotReachable, match="no TCP"):
            await world.open()

    run_at_once(work(World()))
