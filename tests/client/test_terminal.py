"""The terminal as the person at it sees it: lines typed, lines shown."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from scripted import DEADLINE, Asked, Rest

from chiron.client import Api, Delivered, Forgotten, Happened, Left, Link, NotReachable, ServerRefused, SignedOut
from chiron.client import terminal as module
from chiron.client.terminal import Terminal, sign_in
from chiron.protocols.wire import frames

ADA, BOB = "ada", "bob"


def conversation(id: str, *, title: str | None = None, peer: str | None = None, **members: Any) -> dict[str, Any]:
    return {
        "id": id,
        "title": title,
        "peer": {"person": BOB, "name": peer} if peer else None,
        "head": 0,
        "unread": 0,
    } | members


def text(author: str, body: str, offset: int = 1) -> dict[str, Any]:
    return {"offset": offset, "time": 0, "author": author, "kind": "text", "body": {"text": body}}


class Server:
    """Stands for `Api` and `Link`: conversations as they are given, and what was done to them."""

    def __init__(self) -> None:
        self.person = {"person": ADA, "name": "Ada"}
        self.direct_with: dict[str, dict[str, Any]] = {}
        self.pages: list[dict[str, Any]] = [{"items": []}]
        self.people: list[dict[str, Any]] = []
        self.logs: dict[str, list[dict[str, Any]]] = {}
        self.failure: Exception | None = None
        """What the next request raises."""
        self.done: list[tuple[Any, ...]] = []
        self.sent: list[tuple[str, str, asyncio.Future[Any]]] = []
        self.left: asyncio.Event | None = None
        self.personal = f"person:{ADA}"
        self._events: dict[str, asyncio.Queue[Any]] = {}

    def _ask(self, *what: Any) -> None:
        self.done.append(what)
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure

    async def conversations(self, *, cursor: str | None = None) -> dict[str, Any]:
        self._ask("list", cursor)
        return self.pages[int(cursor or 0)]

    async def conversation(self, id: str) -> dict[str, Any]:
        self._ask("open", id)
        return next(c for page in self.pages for c in page["items"] if c["id"] == id)

    async def direct(self, who: str) -> dict[str, Any]:
        self._ask("direct", who)
        return self.direct_with[who]

    async def group(self, title: str, people: list[str]) -> dict[str, Any]:
        self._ask("group", title, people)
        return conversation("g", title=title)

    async def members(self, id: str, *, cursor: str | None = None) -> dict[str, Any]:
        self._ask("members", id)
        at = int(cursor or 0)
        return {"items": self.people[at : at + 2]} | ({"next": str(at + 2)} if self.people[at + 2 :] else {})

    async def add(self, id: str, who: str) -> None:
        self._ask("add", id, who)

    async def leave(self, id: str) -> None:
        self._ask("leave", id)
        if self.left is not None:
            self.happen(f"conv:{id}", Left(f"conv:{id}", "removed"))
            await self.left.wait()

    async def history(self, id: str, *, before: int, limit: int) -> dict[str, Any]:
        self._ask("history", id, before)
        return {"items": self.logs.get(id, [])[-limit:]}

    # The link.

    def post(self, channel: str, kind: str, body: dict[str, Any]) -> asyncio.Future[Any]:
        self._ask("post", channel)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.sent.append((channel, body["text"], future))
        return future

    def attach(self, channel: str, after: int) -> None:
        self.done.append(("attach", channel, after))

    def detach(self, channel: str) -> None:
        self.done.append(("detach", channel))

    def mark(self, channel: str, *, received: int, read: int) -> None:
        self.done.append(("mark", channel, read))

    async def online(self) -> Any:
        return SimpleNamespace(time=1_000)

    def happen(self, channel: str, event: Any) -> None:
        self._events.setdefault(channel, asyncio.Queue()).put_nowait(event)

    async def listen(self, channel: str) -> AsyncIterator[Any]:
        queue = self._events.setdefault(channel, asyncio.Queue())
        while True:
            event = await queue.get()
            if isinstance(event, Exception):
                raise event
            yield event


class Screen:
    """What was shown, and a way to wait for it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._more = asyncio.Event()

    def __call__(self, shown: str) -> None:
        self.lines += shown.split("\n")
        self._more.set()

    async def until(self, condition: Callable[[list[str]], object]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not condition(self.lines):
                self._more.clear()
                await self._more.wait()

    def take(self) -> list[str]:
        """What is on the screen, which is then empty; times as hh:mm."""
        lines = [re.sub(r"^\d\d:\d\d ", "hh:mm ", line) for line in self.lines]
        self.lines.clear()
        return lines


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def screen() -> Screen:
    return Screen()


@pytest.fixture
async def terminal(server: Server, screen: Screen) -> AsyncIterator[Terminal]:
    made = Terminal(cast(Api, server), cast(Link, server), screen, notify=True)
    yield made
    for *_, future in server.sent:
        future.cancel()
    await made.finish()


@pytest.fixture
async def with_bob(terminal: Terminal, server: Server, screen: Screen) -> Terminal:
    """In a conversation with Bob."""
    server.direct_with["bob@example.org"] = conversation("b", peer="Bob")
    await terminal.start("bob@example.org")
    screen.take()
    return terminal


def record(offset: int, author: str, body: dict[str, Any], kind: str = "text", verdict: str | None = None) -> Delivered:
    return Delivered(
        "conv:b",
        frames.Delivery(
            number=9,
            offset=offset,
            message="m",
            ordinal=offset,
            time=0,
            author=author,
            kind=kind,
            body=body,
            verdict=verdict,
        ),
    )


# --- where it begins --------------------------------------------------------------------------------------------------


async def test_it_begins_with_the_list(terminal: Terminal, server: Server, screen: Screen) -> None:
    server.pages = [{"items": [conversation("b", peer="Bob", unread=2), conversation("g", title="Weavers")]}]
    await terminal.start(None)
    assert screen.take() == ["  1  Bob  (2 new)", "  2  Weavers"]
    assert terminal.prompt == "> "


async def test_an_empty_list_says_how_to_begin(terminal: Terminal, screen: Screen) -> None:
    await terminal.start(None)
    assert screen.take() == ["No conversations yet. /direct EMAIL begins one; /help lists what there is."]
    await terminal.line("/open 1")
    assert screen.take() == ["No conversations yet. /direct EMAIL begins one; /help lists what there is."]


async def test_it_begins_with_a_person(terminal: Terminal, server: Server, screen: Screen) -> None:
    server.direct_with["bob@example.org"] = conversation("b", peer="Bob", head=2)
    server.logs["b"] = [text(BOB, "Hello"), text(ADA, "Hi", 2)]
    await terminal.start("bob@example.org")
    assert screen.take() == ["── Bob ──", "hh:mm Bob: Hello", "hh:mm Ada: Hi"]
    assert terminal.prompt == "[Bob] "
    assert server.done[-2:] == [("mark", "conv:b", 2), ("attach", "conv:b", 2)]


async def test_long_lists_are_shown_in_pages(terminal: Terminal, server: Server, screen: Screen) -> None:
    server.pages = [
        {"items": [conversation("a", title="A")], "next": "1"},
        {"items": [conversation("b", title="B")]},
    ]
    await terminal.start(None)
    assert screen.take() == ["  1  A", "     … /list more shows older ones."]
    await terminal.line("/list more")
    assert screen.take() == ["  2  B"]
    await terminal.line("/list more")
    assert screen.take() == ["There are no more."]
    await terminal.line("/open 2")
    assert screen.take() == ["── B ──"]


# --- talking ----------------------------------------------------------------------------------------------------------


async def test_a_line_is_sent_and_shown_once_it_is_delivered(
    with_bob: Terminal, server: Server, screen: Screen
) -> None:
    assert await with_bob.line("Hello\n")
    [(channel, sent, future)] = server.sent
    assert (channel, sent, with_bob.unsent) == ("conv:b", "Hello", 1)
    server.happen("conv:b", record(1, ADA, {"text": "Hello"}))
    await screen.until(bool)
    assert screen.take() == ["hh:mm Ada: Hello"]
    assert server.done[-1] == ("mark", "conv:b", 1)
    future.set_result(None)
    assert await with_bob.finish() == 0
    assert with_bob.unsent == 0


@pytest.mark.parametrize(("typed", "sent"), [("//slash", "/slash"), ("///", "//"), (" /indented", " /indented")])
async def test_two_slashes_begin_a_message_with_one(with_bob: Terminal, server: Server, typed: str, sent: str) -> None:
    await with_bob.line(typed)
    assert server.sent[0][1] == sent


@pytest.mark.parametrize("typed", ["", "   ", "\n", "\r\n"])
async def test_nothing_is_not_sent(with_bob: Terminal, server: Server, typed: str) -> None:
    assert await with_bob.line(typed)
    assert server.sent == []


async def test_bytes_that_are_no_text_are_replaced(with_bob: Terminal, server: Server) -> None:
    await with_bob.line(b"caf\xe9".decode(errors="surrogateescape"))
    assert server.sent[0][1] == "caf?"


async def test_what_was_not_sent_is_named_and_counted(with_bob: Terminal, server: Server, screen: Screen) -> None:
    await with_bob.line("Hello")
    server.sent[0][2].set_exception(ServerRefused("forbidden"))
    await screen.until(bool)
    assert screen.take() == ["! not sent: Hello: You may not do that."]
    assert await with_bob.finish() == 1


async def test_a_line_without_a_conversation_is_not_lost_in_silence(terminal: Terminal, screen: Screen) -> None:
    await terminal.line("Hello?")
    assert screen.take() == ["Open a conversation first: /list, /open N or /direct EMAIL."]
    assert await terminal.finish() == 1


async def test_finish_waits_for_the_acks(with_bob: Terminal, server: Server) -> None:
    await with_bob.line("Hello")
    finishing = asyncio.create_task(with_bob.finish())
    await asyncio.sleep(0)
    assert not finishing.done()
    server.sent[0][2].set_result(None)
    async with asyncio.timeout(DEADLINE):
        assert await finishing == 0


# --- what others write ------------------------------------------------------------------------------------------------


async def test_nobodys_message_acts_on_the_terminal(with_bob: Terminal, server: Server, screen: Screen) -> None:
    server.happen("conv:b", record(1, BOB, {"text": "\x1b[2J\x9b2Jclear\rover\n12:00 Ada: I owe Bob money"}))
    await screen.until(lambda lines: len(lines) > 1)
    assert screen.take() == ["hh:mm Bob: �[2J�2Jclear�over", "      12:00 Ada: I owe Bob money"]


async def test_nobodys_name_or_title_acts_on_the_terminal(terminal: Terminal, server: Server, screen: Screen) -> None:
    evil = "Mal\x1b[31m\nlory"
    server.pages = [{"items": [conversation("g", title=evil)]}]
    server.people = [{"person": BOB, "name": evil, "role": "owner"}]
    server.logs["g"] = [
        text(BOB, "hello"),
        text(BOB, "", 2) | {"kind": "member.added", "body": {"person": "x", "name": evil, "by": BOB}},
    ]
    await terminal.start(None)
    await terminal.line("/open 1")
    await terminal.line("/members")
    await terminal.line("/\x1b[31mred")
    assert terminal.prompt == "[Mal�[31m lory] "
    shown = screen.take()
    assert len(shown) == 6
    assert all(line.isprintable() for line in shown)


async def test_records_of_membership_are_sentences(with_bob: Terminal, server: Server, screen: Screen) -> None:
    records: list[tuple[str, dict[str, Any]]] = [
        ("member.added", {"person": "cy", "name": "Cy", "by": BOB}),
        ("member.removed", {"person": "cy", "by": ADA}),
        ("member.left", {"person": BOB}),
        ("sticker", {"picture": 1}),
        ("member.left", {"person": "stranger"}),
    ]
    for offset, (kind, body) in enumerate(records, 1):
        server.happen("conv:b", record(offset, BOB, body, kind))
    await screen.until(lambda lines: len(lines) >= 4)
    assert screen.take() == [
        "hh:mm — Cy was added by Bob",
        "hh:mm — Cy was removed by Ada",
        "hh:mm — Bob left",
        "hh:mm — somebody left",
    ]


async def test_what_is_held_is_shown_to_its_author_alone_until_it_is_released(
    with_bob: Terminal, server: Server, screen: Screen
) -> None:
    decided = {"message": "m", "offset": 1, "verdict": "allow", "body": {"text": "At last\x1b[2J"}}
    refused = {"message": "n", "offset": 2, "verdict": "block"}
    for offset, author, body, kind, verdict in (
        (1, BOB, {}, "text", "hold"),
        (2, BOB, {}, "text", "hold"),
        (3, ADA, {"text": "Mine"}, "text", "hold"),
        (4, BOB, decided, "message.decided", None),
        (5, BOB, refused, "message.decided", None),
        (6, ADA, refused | {"offset": 3}, "message.decided", None),
        (7, ADA, decided | {"offset": 3}, "message.decided", None),
        (8, BOB, {}, "text", "block"),
        (9, ADA, {"text": "Mine"}, "text", "block"),
        (10, BOB, {"text": "Noted"}, "text", "flag"),
    ):
        server.happen("conv:b", record(offset, author, body, kind, verdict))
    await screen.until(lambda lines: len(lines) >= 10)
    assert screen.take() == [
        "hh:mm — a message of Bob is being reviewed",
        "hh:mm — a message of Bob is being reviewed",
        "hh:mm Ada: Mine  (waiting for review)",
        "hh:mm Bob: At last�[2J",
        "hh:mm — a message of Bob was withheld",
        "hh:mm — your message was withheld",
        "hh:mm — your message was released",
        "hh:mm — a message of Bob was withheld",
        "hh:mm Ada: Mine  (withheld)",
        "hh:mm Bob: Noted",
    ]


async def test_what_was_decided_is_shown_once_in_what_was_said_before(
    terminal: Terminal, server: Server, screen: Screen
) -> None:
    def decided(offset: int, author: str, of: int, body: str | None = None) -> dict[str, Any]:
        said = {"verdict": "block"} if body is None else {"verdict": "allow", "body": {"text": body}}
        decision = {"message": "m", "offset": of} | said
        return {"offset": offset, "time": 0, "author": author, "kind": "message.decided", "body": decision}

    server.pages = [{"items": [conversation("b", peer="Bob", head=15)]}]
    server.logs["b"] = [
        text(BOB, "Released", 8),
        text(BOB, "", 9) | {"body": {}, "verdict": "block"},
        text(ADA, "Mine", 10),
        decided(11, BOB, 8, "Released"),
        decided(12, BOB, 9),
        decided(13, ADA, 10, "Mine"),
        decided(14, BOB, 7, "Of before"),
        text(BOB, "", 15) | {"body": {}, "verdict": "hold"},
    ]
    await terminal.line("/open 1")
    server.happen("conv:b", record(16, BOB, decided(16, BOB, 15, "At last")["body"], "message.decided"))
    await screen.until(lambda lines: any("At last" in line for line in lines))
    assert [re.sub(r"^..:..", "hh:mm", line) for line in screen.take()[-7:]] == [
        "hh:mm Bob: Released",
        "hh:mm — a message of Bob was withheld",
        "hh:mm Ada: Mine",
        "hh:mm — your message was released",
        "hh:mm Bob: Of before",
        "hh:mm — a message of Bob is being reviewed",
        "hh:mm Bob: At last",
    ]


async def test_why_a_message_was_not_sent_is_said_in_words(with_bob: Terminal, server: Server, screen: Screen) -> None:
    for reasons in (["threat", "abuse", "spam"], ["brand_new"]):
        await with_bob.line("Hello")
        server.sent[-1][2].set_exception(ServerRefused("blocked", {"reasons": reasons}))
    await screen.until(lambda lines: len(lines) == 2)
    assert screen.take() == [
        "! not sent: Hello: it looks like a threat or an insult",
        "! not sent: Hello: That message was not sent: it looks like something that is not allowed here.",
    ]


async def test_names_of_large_groups_are_known(terminal: Terminal, server: Server, screen: Screen) -> None:
    server.pages = [{"items": [conversation("g", title="G")]}]
    server.people = [{"person": f"p{n}", "name": f"Person {n}", "role": "member"} for n in range(5)]
    server.logs["g"] = [text("p4", "Hello")]
    await terminal.line("/open 1")
    assert screen.take()[-1] == "hh:mm Person 4: Hello"


def head(conversation: str, offset: int, author: str, said: str, time: int = 2_000) -> Happened:
    last = {"offset": offset, "author": author, "kind": "text", "time": time, "text": said}
    return Happened("person:ada", "head", {"conversation": conversation, "last": last})


async def test_what_is_said_elsewhere_is_mentioned_once(with_bob: Terminal, server: Server, screen: Screen) -> None:
    server.pages = [{"items": [conversation("g", title="Weavers"), conversation("d", peer="Bob")]}]
    mine = f"person:{ADA}"
    for event in (
        head("b", 1, BOB, "in the open conversation"),
        head("g", 4, "cy", "old news", time=500),
        head("g", 5, ADA, "my own"),
        head("g", 6, "cy", "x" * 100),
        head("g", 6, "cy", "x" * 100),
        Happened(mine, "head", {"conversation": "g", "last": None}),
        head("d", 7, BOB, "two\nlines"),
    ):
        server.happen(mine, event)
    await screen.until(lambda lines: len(lines) >= 2)
    assert screen.take() == [f"  (Weavers: {'x' * 60}…)", "  (Bob: two lines)"]


# --- commands ---------------------------------------------------------------------------------------------------------


async def test_help_names_every_command(terminal: Terminal, screen: Screen) -> None:
    await terminal.line("/help")
    shown = "\n".join(screen.take())
    for name in ("list", "open", "direct", "group", "add", "leave", "members", "quit"):
        assert f"/{name}" in shown


async def test_commands_do_what_they_say(terminal: Terminal, server: Server, screen: Screen) -> None:
    server.people = [
        {"person": ADA, "name": "Ada", "role": "owner"},
        {"person": BOB, "name": "Bob", "role": "member"},
    ]
    await terminal.line("/group  Weavers of Lyon ")
    assert ("group", "Weavers of Lyon", []) in server.done
    assert terminal.prompt == "[Weavers of Lyon] "
    await terminal.line("/add bob@example.org")
    assert ("add", "g", "bob@example.org") in server.done
    screen.take()
    await terminal.line("/members")
    assert screen.take() == ["     Ada  (owner)", "     Bob"]
    await terminal.line("/leave")
    assert screen.take() == ["You left Weavers of Lyon."]
    assert terminal.prompt == "> "
    assert server.done[-1] == ("detach", "conv:g")


async def test_going_elsewhere_leaves_the_conversation_behind(
    with_bob: Terminal, server: Server, screen: Screen
) -> None:
    server.direct_with["cy@example.org"] = conversation("c", peer="Cy")
    await with_bob.line("/direct cy@example.org")
    assert ("detach", "conv:b") in server.done
    server.happen("conv:b", record(1, BOB, {"text": "to nobody"}))
    await with_bob.line("Hello Cy")
    assert server.sent[0][0] == "conv:c"
    assert screen.take() == ["── Cy ──"]


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("/fly", "There is no /fly; /help lists what there is."),
        ("/", "There is no /; /help lists what there is."),
        ("/open", "Write /open and a number from 1 to 1."),
        ("/open 2", "Write /open and a number from 1 to 1."),
        ("/open x", "Write /open and a number from 1 to 1."),
        ("/open ²", "Write /open and a number from 1 to 1."),
        ("/direct", "Write /direct and an e-mail address."),
        ("/group  ", "Write /group and a title."),
        ("/add bob@example.org", "Open a group first."),
        ("/leave", "Open a group first."),
        ("/members", "Open a conversation first."),
    ],
)
async def test_what_cannot_be_done_says_why(
    terminal: Terminal, server: Server, screen: Screen, typed: str, shown: str
) -> None:
    server.pages = [{"items": [conversation("b", peer="Bob")]}]
    await terminal.line("/list")
    screen.take()
    assert await terminal.line(typed)
    assert screen.take() == [shown]
    assert await terminal.finish() == 1


async def test_add_needs_somebody(with_bob: Terminal, screen: Screen) -> None:
    await with_bob.line("/add")
    assert screen.take() == ["Write /add and an e-mail address."]


@pytest.mark.parametrize("typed", ["/quit", "/q", "/quit now"])
async def test_quit_is_the_last_line(terminal: Terminal, typed: str) -> None:
    assert not await terminal.line(typed)


@pytest.mark.parametrize("typed", ["/list", "/open 1", "/direct a@b.c", "/group T", "/add a@b.c", "/members", "/leave"])
@pytest.mark.parametrize("error", [NotReachable("http://localhost does not answer"), ServerRefused("unavailable")])
async def test_a_command_that_fails_is_said_and_life_goes_on(
    with_bob: Terminal, server: Server, screen: Screen, typed: str, error: Exception
) -> None:
    server.pages = [{"items": [conversation("b", peer="Bob")]}]
    await with_bob.line("/list")
    screen.take()
    server.failure = error
    assert await with_bob.line(typed)
    assert screen.take() == [f"! {error}"]
    assert with_bob.prompt == "[Bob] "
    await with_bob.line("still here")
    assert server.sent[-1][0] == "conv:b"


async def test_a_conversation_that_cannot_be_read_is_not_entered(
    with_bob: Terminal, server: Server, screen: Screen
) -> None:
    server.pages = [{"items": [conversation("g", title="G")]}]
    await with_bob.line("/list")
    before = server.history

    async def away(*_: Any, **__: Any) -> dict[str, Any]:
        raise NotReachable("away")

    server.history = away  # type: ignore[method-assign]
    await with_bob.line("/open 1")
    assert screen.take()[-1] == "! away"
    assert with_bob.prompt == "[Bob] "
    server.history = before  # type: ignore[method-assign]
    assert ("detach", "conv:b") not in server.done


async def test_who_is_signed_out_cannot_go_on(with_bob: Terminal, server: Server) -> None:
    server.failure = SignedOut("the login has ended; sign in again")
    with pytest.raises(SignedOut):
        await with_bob.line("Hello")


# --- ends -------------------------------------------------------------------------------------------------------------


async def test_who_is_removed_is_told_and_out(with_bob: Terminal, server: Server, screen: Screen) -> None:
    server.happen("conv:b", Left("conv:b", "removed"))
    await screen.until(bool)
    assert screen.take() == ["You were removed."]
    assert with_bob.prompt == "> "


async def test_who_leaves_is_not_told_of_being_removed(with_bob: Terminal, server: Server, screen: Screen) -> None:
    server.left = asyncio.Event()
    leaving = asyncio.create_task(with_bob.line("/leave"))
    while with_bob.prompt != "> ":
        await asyncio.sleep(0)
    server.left.set()
    await leaving
    assert screen.take() == ["You left Bob."]


async def test_a_restored_database_is_said(with_bob: Terminal, server: Server, screen: Screen) -> None:
    server.happen("conv:b", Forgotten("conv:b", 1, restored=True))
    await screen.until(bool)
    assert screen.take() == ["The server's database was restored; open the conversation again."]


async def test_a_link_that_cannot_go_on_is_said(with_bob: Terminal, server: Server, screen: Screen) -> None:
    server.happen("conv:b", SignedOut("the login has ended; sign in again"))
    await screen.until(bool)
    assert screen.take() == ["! the login has ended; sign in again"]


def test_what_it_talks_over_is_said_each_time() -> None:
    said: list[str] = []
    status = module._Status(said.append)
    status("online")
    assert said == [], "nothing is said of a link that is not there"
    status.link = cast(Link, SimpleNamespace(transport="webtransport"))
    status("online")
    status("offline")
    status.link = cast(Link, SimpleNamespace(transport="websocket"))
    status("online")
    assert said == [
        "— connected over WebTransport —",
        "— connection lost; what you write is sent when it is back —",
        "— connected again, over WebSocket —",
    ]


# --- signing in -------------------------------------------------------------------------------------------------------

SESSION = {"access_token": "a", "refresh_token": "r", "expires_in": 600, "person": {"person": ADA, "name": "Ada"}}


def answers(*given: tuple[int, Any]) -> Callable[[Asked], Awaitable[tuple[int, Any, dict[str, str]]]]:
    left = list(given)

    async def answer(_: Asked) -> tuple[int, Any, dict[str, str]]:
        status, body = left.pop(0)
        return status, body, {}

    return answer


async def test_registering_again_after_an_answer_was_lost_signs_in(rest: Rest) -> None:
    rest.answer = answers((503, {"code": "unknown"}), (409, {"code": "email_taken"}), (201, SESSION))
    api = Api(rest.address)
    said: list[str] = []
    await sign_in(api, "ada@example.org", "secret", name="Ada", report=said.append)
    assert [asked.target for asked in rest.asked] == ["/v1/people", "/v1/people", "/v1/logins"]
    assert len(said) == 1
    await api.close()


async def test_registering_an_address_that_is_taken_is_refused(rest: Rest) -> None:
    rest.answer = answers((409, {"code": "email_taken"}))
    api = Api(rest.address)
    with pytest.raises(ServerRefused, match="already has an account"):
        await sign_in(api, "ada@example.org", "secret", name="Ada", report=lambda _: None)
    await api.close()


async def test_signing_in_waits_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.0)
    api = Api("http://127.0.0.1:9")
    with pytest.raises(NotReachable):
        await sign_in(api, "ada@example.org", "secret", report=lambda _: None)
    await api.close()
