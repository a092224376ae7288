"""A link against a server that the test plays by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast

import pytest
from scripted import DEADLINE, Pauses, Peer, Realtime, SignedIn

from chiron.client import Api, Caught, Delivered, Link, LinkLost, NotReachable, ServerRefused, SignedOut
from chiron.protocols.wire import frames

CHANNEL = "conv:c"
T = TypeVar("T")


@pytest.fixture(autouse=True)
def longest_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jitter that always draws its bound: so it is told from what the server asked for."""
    monkeypatch.setattr("random.uniform", lambda _, bound: bound)


async def soon(work: Awaitable[T]) -> T:
    async with asyncio.timeout(DEADLINE):
        return await work


def linked(api: Api, **options: Any) -> Link:
    return Link(api, transport=cast(SignedIn, api).transport, **options)


@asynccontextmanager
async def opened(api: Api, realtime: Realtime, pauses: Pauses, **members: Any) -> AsyncIterator[tuple[Link, Peer]]:
    async with linked(api, device="test", sleep=pauses) as link:
        peer = await realtime.link()
        await peer.welcome(**members)
        await soon(link.online())
        yield link, peer


def texts(publishes: list[dict[str, Any]]) -> list[str]:
    return [publish["body"]["text"] for publish in publishes]


# --- opening and opening again ----------------------------------------------------------------------------------------


async def test_a_link_shows_its_token_and_says_who_it_is(api: Api, realtime: Realtime, pauses: Pauses) -> None:
    async with linked(api, device="test", sleep=pauses) as link:
        assert link.personal is None
        connect = await (await realtime.link()).welcome()
        assert (connect["token"], connect["device"], connect.get("resume")) == ("token 1", "test", None)
        assert (await soon(link.online())).person == "ada"
        assert link.personal == "person:ada"
        assert link.transport == cast(SignedIn, api).transport
    assert pauses.taken == []
    assert link.transport is None


async def test_the_next_link_resumes(api: Api, realtime: Realtime, pauses: Pauses) -> None:
    async with opened(api, realtime, pauses, head=7) as (_, peer):
        await peer.drop()
        connect = await (await realtime.link()).welcome()
        assert connect["resume"] == {"epoch": "e", "offset": 7}


async def test_pauses_double_up_to_half_a_minute_and_begin_anew_after_a_welcome(
    api: Api, realtime: Realtime, pauses: Pauses
) -> None:
    async with opened(api, realtime, pauses) as (link, peer):
        await realtime.close()
        await peer.until_left()
        await pauses.reach(10)
        assert pauses.taken[:10] == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
        await realtime.open()
        peer = await realtime.link()
        await peer.welcome()
        await soon(link.online())
        before = len(pauses.taken)
        await peer.drop()
        await pauses.reach(before + 1)
        assert pauses.taken[before] == 0.25


async def test_the_server_says_when_to_come_back_and_that_counts_once(
    api: Api, realtime: Realtime, pauses: Pauses
) -> None:
    async with opened(api, realtime, pauses) as (_, peer):
        pauses.goes_on.clear()
        await peer.close(1001, reconnect_in_ms=700)
        assert await pauses.reach(1) == [0.7]
        await realtime.close()
        pauses.goes_on.set()
        assert (await pauses.reach(2))[1] == 0.5


async def test_a_refused_handshake_says_when_to_come_back(api: Api, realtime: Realtime, pauses: Pauses) -> None:
    realtime.refusals = [(503, {"Retry-After": "7"}), (503, {})]
    async with opened(api, realtime, pauses):
        assert pauses.taken == [7.0, 0.5]


async def test_a_server_without_realtime_is_given_up(api: Api, realtime: Realtime, pauses: Pauses) -> None:
    realtime.refusals = [(404, {})]
    async with linked(api, sleep=pauses) as link:
        with pytest.raises(NotReachable, match="has no realtime here"):
            await soon(link.online())
        with pytest.raises(NotReachable):
            link.post(CHANNEL, "text", {"text": "Hello"})


async def test_silence_ends_a_link(api: Api, realtime: Realtime, pauses: Pauses) -> None:
    words: list[str] = []
    async with linked(api, status=words.append, sleep=pauses) as link:
        silent = await realtime.link()
        await silent.welcome(ping_ms=20)
        await silent.until_left()
        await (await realtime.link()).welcome()
        await soon(link.online())
        assert words == ["online", "offline", "online"]
    assert words == ["online", "offline", "online"], "whoever leaves knows"


async def test_what_is_no_frame_ends_a_link(api: Api, realtime: Realtime, pauses: Pauses) -> None:
    async with opened(api, realtime, pauses) as (link, peer):
        await peer.send("ack", id="not a number")
        await peer.until_left()
        await (await realtime.link()).welcome()
        await soon(link.online())


async def test_a_link_that_was_never_welcomed_says_nothing(api: Api, realtime: Realtime, pauses: Pauses) -> None:
    words: list[str] = []
    async with linked(api, status=words.append, sleep=pauses):
        peer = await realtime.link()
        await peer.receive("connect")
        await peer.close(1001)
        await pauses.reach(1)
        assert words == []


async def test_waiting_for_a_lost_link_lets_others_work(api: Api, realtime: Realtime, pauses: Pauses) -> None:
    async with opened(api, realtime, pauses) as (link, peer):
        pauses.goes_on.clear()
        listening = [asyncio.ensure_future(anext(link.listen(f"conv:{place}"))) for place in range(5)]
        await peer.drop()
        await pauses.reach(1)
        waiting = [asyncio.create_task(link.online()) for _ in range(5)]
        pauses.goes_on.set()
        await (await realtime.link()).welcome()
        await soon(asyncio.gather(*waiting))
        for task in listening:
            task.cancel()
        await asyncio.gather(*listening, return_exceptions=True)


# --- tokens -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [4001, 4003])
async def test_a_token_that_was_refused_is_exchanged_first(
    api: Api, realtime: Realtime, pauses: Pauses, code: int
) -> None:
    async with opened(api, realtime, pauses) as (_, peer):
        await peer.close(code)
        assert (await (await realtime.link()).welcome())["token"] == "token 2"


async def test_after_another_loss_the_token_is_kept(api: Api, realtime: Realtime, pauses: Pauses) -> None:
    async with opened(api, realtime, pauses) as (_, peer):
        await peer.close(1011)
        assert (await (await realtime.link()).welcome())["token"] == "token 1"


async def test_a_token_that_expires_is_replaced_on_the_open_link(api: Api, realtime: Realtime, pauses: Pauses) -> None:
    async with opened(api, realtime, pauses) as (_, peer):
        for number in (2, 3):
            await peer.send("token_expiring", expires_in_ms=60_000)
            refresh = await peer.receive("refresh")
            assert (refresh["token"], refresh["gen"]) == (f"token {number}", number - 1)
            await peer.send("ok", id=refresh["id"])


async def test_a_login_that_ended_ends_everything(api: Api, realtime: Realtime, pauses: Pauses) -> None:
    async with opened(api, realtime, pauses) as (link, peer):
        sent = link.post(CHANNEL, "text", {"text": "Hello"})
        listening = asyncio.ensure_future(anext(link.listen(CHANNEL)))
        await peer.receive("publish")
        await peer.close(4004, resumable=False)
        for work in (sent, listening, link.online(), link.send(CHANNEL, "Hello")):
            with pytest.raises(SignedOut):
                await soon(work)
    assert pauses.taken == []


async def test_a_login_that_cannot_be_renewed_ends_everything(
    api: Api, tokens: SignedIn, realtime: Realtime, pauses: Pauses
) -> None:
    async with opened(api, realtime, pauses) as (link, peer):
        tokens.failures = [SignedOut("the login has ended; sign in again")]
        await peer.drop()
        with pytest.raises(SignedOut):
            await soon(link.send(CHANNEL, "Hello"))


async def test_a_server_that_is_away_when_a_token_is_wanted_is_tried_again(
    api: Api, tokens: SignedIn, realtime: Realtime, pauses: Pauses
) -> None:
    tokens.failures = [NotReachable("away"), ServerRefused("unavailable", retry_after=3.0)]
    async with opened(api, realtime, pauses):
        assert pauses.taken == [0.25, 3.0]


async def test_a_refusal_for_good_of_a_token_is_given_up(
    api: Api, tokens: SignedIn, realtime: Realtime, pauses: Pauses
) -> None:
    tokens.failures = [ServerRefused("forbidden")]
    async with linked(api, sleep=pauses) as link:
        with pytest.raises(ServerRefused):
            await soon(link.online())


@pytest.mark.parametrize("code", [1002, 1003, 1007, 1009])
async def test_a_link_that_broke_the_protocol_is_not_repeated(
    api: Api, realtime: Realtime, pauses: Pauses, code: int
) -> None:
    async with opened(api, realtime, pauses) as (link, peer):
        await peer.close(code, resumable=False)
        with pytest.raises(LinkLost, match=f"code {code}"):
            await soon(link.send(CHANNEL, "Hello"))
    assert pauses.taken == []


# --- publishing -------------------------------------------------------------------------------------------------------


async def test_what_has_no_ack_is_sent_again_in_its_order(api: Api, realtime: Realtime, pauses: Pauses) -> None:
    async with opened(api, realtime, pauses) as (link, peer):
        futures = [link.post(CHANNEL, "text", {"text": text}) for text in ("one", "two", "three")]
        first = [await peer.receive("publish") for _ in range(3)]
        assert texts(first) == ["one", "two", "three"]
        await peer.ack(first[0], 1)
        assert (await soon(futures[0])).offset == 1
        pauses.goes_on.clear()
        await peer.drop()
        await pauses.reach(1)
        futures.append(link.post(CHANNEL, "text", {"text": "four"}))
        pauses.goes_on.set()

        peer = await realtime.link()
        await peer.welcome()
        again = [await peer.receive("publish") for _ in range(3)]
        assert texts(again) == ["two", "three", "four"]
        assert [publish["client_id"] for publish in again[:2]] == [publish["client_id"] for publish in first[1:]]
        assert [publish["n"] for publish in again] == [1, 2, 3]
        for offset, publish in enumerate(again, 2):
            await peer.ack(publish, offset)
        assert [(await soon(future)).offset for future in futures] == [1, 2, 3, 4]


async def test_what_was_posted_before_the_first_link_waits_for_it(api: Api, realtime: Realtime, pauses: Pauses) -> None:
    async with linked(api, sleep=pauses) as link:
        future = link.post(CHANNEL, "text", {"text": "early"}, client_id="01ARZ3NDEKTSV4RRFFQ69G5FAV")
        with pytest.raises(ValueError, match="is being sent"):
            link.post(CHANNEL, "text", {"text": "early"}, client_id="01ARZ3NDEKTSV4RRFFQ69G5FAV")
        peer = await realtime.link()
        await peer.welcome()
        await peer.ack(await peer.receive("publish"), 1)
        assert (await soon(future)).offset == 1


async def test_a_refusal_is_the_publishs_own(api: Api, realtime: Realtime, pauses: Pauses) -> None:
    async with opened(api, realtime, pauses) as (link, peer):
        refused, accepted = (link.post(CHANNEL, "text", {"text": text}) for text in ("no", "yes"))
        publish = await peer.receive("publish")
        members = {"params": {"what": "conversation"}, "temporary": False, "scope": "command", "action": "stop"}
        await peer.send("error", id=publish["id"], code="not_found", **members)
        await peer.ack(await peer.receive("publish"), 1)
        with pytest.raises(ServerRefused, match="There is no such conversation"):
            await soon(refused)
        assert (await soon(accepted)).offset == 1


async def test_leaving_fails_what_was_not_acknowledged(api: Api, realtime: Realtime, pauses: Pauses) -> None:
    async with opened(api, realtime, pauses) as (link, peer):
        future = link.post(CHANNEL, "text", {"text": "late"})
        await peer.receive("publish")
    with pytest.raises(LinkLost):
        await soon(future)
    with pytest.raises(LinkLost):
        link.post(CHANNEL, "text", {"text": "later"})


async def test_a_message_that_would_end_the_link_is_refused_here(api: Api, realtime: Realtime, pauses: Pauses) -> None:
    async with opened(api, realtime, pauses) as (link, peer):
        with pytest.raises(ServerRefused) as refusal:
            link.post(CHANNEL, "text", {"text": "x" * 65_100})
        assert refusal.value.code == "too_large"
        with pytest.raises(ServerRefused, match="not a text in Unicode"):
            link.post(CHANNEL, "text", {"text": "\udcff"})
        future = link.post(CHANNEL, "text", {"text": "x" * 60_000})
        await peer.ack(await peer.receive("publish"), 1)
        await soon(future)


# --- asking -----------------------------------------------------------------------------------------------------------


async def test_a_command_is_answered(api: Api, realtime: Realtime, pauses: Pauses) -> None:
    async with opened(api, realtime, pauses) as (link, peer):
        asked = asyncio.create_task(link.command("conversation.open", {"conversation": "c"}))
        command = await peer.receive("command")
        assert (command["name"], command["params"]) == ("conversation.open", {"conversation": "c"})
        await peer.send("ok", id=command["id"], result={"title": "T"})
        assert await soon(asked) == {"title": "T"}


async def test_a_command_is_refused_with_the_time_to_wait(api: Api, realtime: Realtime, pauses: Pauses) -> None:
    async with opened(api, realtime, pauses) as (link, peer):
        asked = asyncio.create_task(link.command("conversation.list"))
        command = await peer.receive("command")
        members = {"temporary": True, "scope": "command", "action": "retry", "retry_after_ms": 1500}
        await peer.send("error", id=command["id"], code="limited", **members)
        with pytest.raises(ServerRefused) as refusal:
            await soon(asked)
        assert (refusal.value.temporary, refusal.value.retry_after) == (True, 1.5)


async def test_a_command_whose_link_ends_is_lost_and_not_repeated(api: Api, realtime: Realtime, pauses: Pauses) -> None:
    async with opened(api, realtime, pauses) as (link, peer):
        asked = asyncio.create_task(link.command("conversation.leave", {"conversation": "c"}))
        await peer.receive("command")
        await peer.drop()
        with pytest.raises(LinkLost):
            await soon(asked)
        await (await realtime.link()).welcome()


async def test_what_cannot_be_sent_is_the_callers_mistake(api: Api, realtime: Realtime, pauses: Pauses) -> None:
    async with opened(api, realtime, pauses) as (link, peer):
        with pytest.raises(TypeError):
            await link.command("conversation.open", {"conversation": object()})
        asked = asyncio.create_task(link.command("conversation.list"))
        await peer.send("ok", id=(await peer.receive("command"))["id"])
        assert await soon(asked) is None


async def test_history_is_a_page(api: Api, realtime: Realtime, pauses: Pauses) -> None:
    async with opened(api, realtime, pauses) as (link, peer):
        asked = asyncio.create_task(link.history(CHANNEL, limit=10))
        sync = await peer.receive("sync")
        assert (sync["channel"], sync["limit"]) == (CHANNEL, 10)
        await peer.send(
            "page", id=sync["id"], channel=CHANNEL, number=9, items=[], more=False, head=0, floor=0, epoch="e"
        )
        assert (await soon(asked)).head == 0


# --- listening --------------------------------------------------------------------------------------------------------


async def deliver(peer: Peer, *offsets: int) -> None:
    for offset in offsets:
        await peer.send(
            "delivery",
            number=9,
            offset=offset,
            message=f"m{offset}",
            ordinal=offset,
            time=0,
            author="bob",
            kind="text",
            body={"text": str(offset)},
        )


async def attach(peer: Peer, head: int) -> dict[str, Any]:
    asked = await peer.receive("attach")
    await peer.send(
        "attached",
        id=asked["id"],
        channel=CHANNEL,
        number=9,
        gen=asked["gen"],
        outcome="complete",
        epoch="e",
        head=head,
    )
    return asked


async def test_each_record_is_heard_once_over_any_number_of_links(api: Api, realtime: Realtime, pauses: Pauses) -> None:
    async with opened(api, realtime, pauses) as (link, peer):
        link.attach(CHANNEL, 0)
        heard = link.listen(CHANNEL)
        assert (await attach(peer, 0)).get("after") == 0
        assert isinstance(await soon(anext(heard)), Caught)
        await deliver(peer, 1, 2)
        assert [await record(heard), await record(heard)] == ["1", "2"]
        await peer.drop()
        peer = await realtime.link()
        await peer.welcome()
        assert (await attach(peer, 3))["after"] == 2
        await deliver(peer, 2, 3)
        assert isinstance(await soon(anext(heard)), Caught)
        assert await record(heard) == "3"


async def record(heard: AsyncIterator[Any]) -> str:
    event = await soon(anext(heard))
    assert isinstance(event, Delivered)
    assert isinstance(event.record, frames.Delivery)
    return str(event.record.body["text"])


async def test_what_was_read_is_said_again_on_the_next_link(api: Api, realtime: Realtime, pauses: Pauses) -> None:
    async with opened(api, realtime, pauses) as (link, peer):
        link.mark(CHANNEL, received=3, read=2)
        assert (await peer.receive("watermark"))["read"] == 2
        await peer.drop()
        peer = await realtime.link()
        await peer.welcome()
        assert (await peer.receive("watermark"))["received"] == 3


async def test_detaching_stops_the_deliveries(api: Api, realtime: Realtime, pauses: Pauses) -> None:
    async with opened(api, realtime, pauses) as (link, peer):
        link.attach(CHANNEL)
        generation = (await attach(peer, 4))["gen"]
        link.detach(CHANNEL)
        detach = await peer.receive("detach")
        assert (detach["channel"], detach["gen"]) == (CHANNEL, generation)
