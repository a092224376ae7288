"""`chiron chat`: conversations in a terminal.

On a terminal it is a prompt with messages above it; with standard input redirected it sends each line and prints each
message, for scripts: it ends at the end of input once everything is acknowledged.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from datetime import datetime
from typing import Any

from chiron.client.api import Api
from chiron.client.errors import ClientError, NotReachable, ServerRefused, SignedOut
from chiron.client.link import Link
from chiron.client.model import Conversation, Member, Record
from chiron.client.patience import patiently
from chiron.client.text import one_line, printable
from chiron.client.transports import Choice, Name
from chiron.protocols.wire import events, frames

PATIENCE = 30.0
"""Seconds to wait at the start for a server that is restarting."""
POLL = 2.0
"""Seconds between two questions whether the address is verified."""
HISTORY = 20
PREVIEW = 60
"""Characters that are shown of what is said in other conversations."""
INDENT = " " * 6
TRANSPORTS: dict[Name, str] = {
    "webtransport": "WebTransport",
    "websocket": "WebSocket",
    "websocket-h3": "WebSocket over HTTP/3",
}
HELP = """\
/list            conversations (/list more: older ones)
/open N          go to conversation N of the list
/direct EMAIL    talk to somebody
/group TITLE     make a group
/add EMAIL       add somebody to this group
/members         who is here
/leave           leave this group
/quit            end (Ctrl-D too)
Anything else is sent. A line that should begin with / is written with two."""

REVIEWS = {"hold": "  (waiting for review)", "block": "  (withheld)"}
"""Behind one's own messages that nobody else can read, by verdict."""
REASONS = {
    "abuse": "an insult",
    "hate": "hatred of a group of people",
    "sexual": "sexual content",
    "threat": "a threat",
    "spam": "advertising",
    "term": "a word that is not used here",
    "contact": "contact details",
    "payment": "payment details",
    "disguise": "a disguised word",
}
"""What a message was taken for that was not sent."""

Print = Callable[[str], None]


class Terminal:
    """One person's chat; `show` prints a line. With `notify`, also what is said in other conversations is shown."""

    def __init__(self, api: Api, link: Link, show: Print, *, notify: bool = False) -> None:
        self._api = api
        self._link = link
        self._show = show
        self._notify = notify
        self._listed: list[Conversation] = []
        self._older: str | None = None
        """Cursor of the conversations behind those listed."""
        self._titles: dict[str, str] = {}
        self._heads: dict[str, int] = {}
        """Offsets of the newest records that were shown or are not news."""
        self._names: dict[str, str] = {}
        self._open: Conversation | None = None
        self._first = 0
        """Offset of the oldest record that is shown of it."""
        self._reviewed: set[int] = set()
        """Offsets of others' messages that are shown as under review."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Task[None] | None = None
        self._sending: set[asyncio.Future[frames.Ack]] = set()
        self._failures = 0
        self._leaving = False
        self._commands: dict[str, Callable[[str], Awaitable[None]]] = {
            "list": self._list,
            "open": self._open_listed,
            "direct": self._direct,
            "group": self._group,
            "add": self._add,
            "leave": self._leave,
            "members": self._members,
            "help": self._help,
        }

    @property
    def prompt(self) -> str:
        return f"[{_title(self._open)}] " if self._open else "> "

    async def start(self, who: str | None) -> None:
        """Show where to begin: the conversation with `who`, or the list."""
        if who:
            await self._direct(who)
        else:
            await self._list("")
        if self._notify:
            self._spawn(self._listen_to_others())

    async def line(self, text: str) -> bool:
        """Carry out one line; False at `/quit`. What fails is shown. Raises SignedOut."""
        text = text.rstrip("\r\n")
        if not text.strip():
            return True
        try:
            if text.startswith("/") and not text.startswith("//"):
                name, _, rest = text[1:].partition(" ")
                if name in ("quit", "q"):
                    return False
                await self._command(name, rest.strip())
            else:
                self._send(text.removeprefix("/") if text.startswith("//") else text)
        except SignedOut:
            raise
        except ClientError as error:
            self._fail(f"! {error}")
        return True

    @property
    def unsent(self) -> int:
        """Messages that are not acknowledged yet."""
        return len(self._sending)

    async def finish(self) -> int:
        """Wait for the acks of what was sent; how many lines could not be carried out."""
        await asyncio.gather(*self._sending, return_exceptions=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        return self._failures

    # Commands.

    async def _command(self, name: str, rest: str) -> None:
        action = self._commands.get(name)
        if action is None:
            self._fail(f"There is no /{one_line(name)}; /help lists what there is.")
        else:
            await action(rest)

    def _fail(self, complaint: str) -> None:
        self._failures += 1
        self._show(complaint)

    def _send(self, text: str) -> None:
        if self._open is None:
            self._fail("Open a conversation first: /list, /open N or /direct EMAIL.")
            return
        # Bytes that were no UTF-8 are surrogates here, which no message may hold.
        text = text.encode(errors="replace").decode()
        future = self._link.post(f"conv:{self._open['id']}", "text", {"text": text})
        self._sending.add(future)
        future.add_done_callback(lambda done: self._sent(done, text))

    def _sent(self, future: asyncio.Future[frames.Ack], text: str) -> None:
        self._sending.discard(future)
        if future.cancelled():
            return
        if (error := future.exception()) is not None:
            self._fail(f"! not sent: {_preview(text)}: {_why(error)}")

    async def _help(self, _rest: str) -> None:
        self._show(HELP)

    async def _list(self, rest: str) -> None:
        if rest == "more" and self._older is None:
            self._fail("There are no more.")
            return
        page = await self._api.conversations(cursor=self._older if rest == "more" else None)
        if rest != "more":
            self._listed = []
        first = len(self._listed) + 1
        self._listed += page["items"]
        self._older = page.get("next")
        if not self._listed:
            self._show("No conversations yet. /direct EMAIL begins one; /help lists what there is.")
        for number, conversation in enumerate(page["items"], first):
            self._know(conversation)
            unread = f"  ({conversation['unread']} new)" if conversation["unread"] else ""
            self._show(f"{number:3}  {_title(conversation)}{unread}")
        if self._older:
            self._show("     … /list more shows older ones.")

    async def _open_listed(self, rest: str) -> None:
        if not self._listed:
            await self._list("")
        if not self._listed:
            return
        if not rest.isdecimal() or not 1 <= int(rest) <= len(self._listed):
            self._fail(f"Write /open and a number from 1 to {len(self._listed)}.")
            return
        # Listed a while ago: what it says of its head is old.
        await self._enter(await self._api.conversation(self._listed[int(rest) - 1]["id"]))

    async def _direct(self, rest: str) -> None:
        if not rest:
            self._fail("Write /direct and an e-mail address.")
            return
        await self._enter(await self._api.direct(rest))

    async def _group(self, rest: str) -> None:
        if not rest:
            self._fail("Write /group and a title.")
            return
        await self._enter(await self._api.group(rest, []))

    async def _add(self, rest: str) -> None:
        if self._open is None:
            self._fail("Open a group first.")
        elif not rest:
            self._fail("Write /add and an e-mail address.")
        else:
            await self._api.add(self._open["id"], rest)

    async def _leave(self, _rest: str) -> None:
        if self._open is None:
            self._fail("Open a group first.")
            return
        left, self._leaving = self._open, True
        try:
            await self._api.leave(left["id"])
        finally:
            self._leaving = False
        self._close()
        self._show(f"You left {_title(left)}.")

    async def _members(self, _rest: str) -> None:
        if self._open is None:
            self._fail("Open a conversation first.")
            return
        for member in await self._everybody(self._open):
            self._show(f"     {one_line(member['name'])}{'  (owner)' if member['role'] == 'owner' else ''}")

    # The open conversation.

    async def _enter(self, conversation: Conversation) -> None:
        self._know(conversation)
        if conversation.get("peer") is None:
            await self._everybody(conversation)
        head, channel = conversation["head"], f"conv:{conversation['id']}"
        page = await self._api.history(conversation["id"], before=head + 1, limit=HISTORY)
        self._close()
        self._open = conversation
        self._first = min((item["offset"] for item in page["items"]), default=head + 1)
        self._reviewed.clear()
        self._show(f"── {_title(conversation)} ──")
        for item in page["items"]:
            self._record(item)
        if head:
            self._link.mark(channel, received=head, read=head)
        self._link.attach(channel, head)
        self._listener = self._spawn(self._listen(channel))

    def _close(self) -> None:
        if self._open is None:
            return
        if self._listener:
            self._listener.cancel()
        self._link.detach(f"conv:{self._open['id']}")
        self._open = self._listener = None

    async def _listen(self, channel: str) -> None:
        try:
            async for event in self._link.listen(channel):
                match event:
                    case events.Delivered(_, record):
                        self._record(_plain(record))
                        self._link.mark(channel, received=record.offset, read=record.offset)
                    case events.Left(_, reason):
                        if not self._leaving:
                            self._show("You were removed." if reason == "removed" else "This conversation is gone.")
                        self._open = None
                        return
                    case events.Forgotten(restored=True):
                        self._show("The server's database was restored; open the conversation again.")
        except ClientError as error:
            self._show(f"! {error}")

    async def _everybody(self, conversation: Conversation) -> list[Member]:
        """The members, whose names are known from then on."""
        members: list[Member] = []
        cursor = None
        while True:
            page = await self._api.members(conversation["id"], cursor=cursor)
            members += page["items"]
            cursor = page.get("next")
            if not cursor:
                break
        self._names |= {member["person"]: member["name"] for member in members}
        return members

    def _record(self, item: Record) -> None:
        time = datetime.fromtimestamp(item["time"] / 1000).strftime("%H:%M")
        body, author = item["body"], self._name(item["author"])
        match item["kind"]:
            case "text" if "text" in body:
                review = REVIEWS.get(item.get("verdict", ""), "") if self._is_own(item) else ""
                self._show(f"{time} {author}: {printable(body['text'], INDENT)}{review}")
            case "text":
                what = "was withheld"
                if item.get("verdict") != "block":
                    what = "is being reviewed"
                    self._reviewed.add(item["offset"])
                self._show(f"{time} — a message of {author} {what}")
            case "message.decided" if self._is_own(item):
                self._show(f"{time} — your message was {'released' if body['verdict'] == 'allow' else 'withheld'}")
            case "message.decided" if self._first <= body["offset"] and body["offset"] not in self._reviewed:
                pass  # it is shown in its place as it was decided
            case "message.decided" if body["verdict"] == "allow":
                self._show(f"{time} {author}: {printable(body['body']['text'], INDENT)}")
            case "message.decided":
                self._show(f"{time} — a message of {author} was withheld")
            case "member.added":
                self._names[body["person"]] = body["name"]
                self._show(f"{time} — {one_line(body['name'])} was added by {self._name(body['by'])}")
            case "member.removed":
                self._show(f"{time} — {self._name(body['person'])} was removed by {self._name(body['by'])}")
            case "member.left":
                self._show(f"{time} — {self._name(body['person'])} left")

    def _is_own(self, item: Record) -> bool:
        return item["author"] == self._api.person["person"]

    # Other conversations.

    async def _listen_to_others(self) -> None:
        with contextlib.suppress(ClientError):  # the next line that is typed says so
            # What was unread before is in the list.
            since = (await self._link.online()).time
            personal = self._link.personal
            assert personal is not None
            async for event in self._link.listen(personal):
                if isinstance(event, events.Happened) and event.kind == "head":
                    await self._mention(event.body, since)

    async def _mention(self, head: dict[str, Any], since: int) -> None:
        id, last = head["conversation"], head["last"]
        if self._open is not None and self._open["id"] == id:
            return
        if not last or last["time"] < since or last["offset"] <= self._heads.get(id, 0):
            return
        # What is held or withheld has no words for others.
        if last["kind"] not in ("text", "message.decided") or not last["text"]:
            return
        self._heads[id] = last["offset"]
        if last["author"] == self._api.person["person"]:
            return
        if id not in self._titles:
            try:
                self._know(await self._api.conversation(id))
            except (NotReachable, ServerRefused):
                return
        author = self._names.get(last["author"])
        title = self._titles[id]
        place = f"{title}, {one_line(author)}" if author and one_line(author) != title else title
        self._show(f"  ({place}: {_preview(last['text'])})")

    # Names.

    def _know(self, conversation: Conversation) -> None:
        self._titles[conversation["id"]] = _title(conversation)
        self._heads[conversation["id"]] = max(conversation["head"], self._heads.get(conversation["id"], 0))
        self._names[self._api.person["person"]] = self._api.person["name"]
        if peer := conversation.get("peer"):
            self._names[peer["person"]] = peer["name"]

    def _name(self, person: str) -> str:
        return one_line(self._names.get(person, "somebody"))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def sign_in(api: Api, email: str, password: str, *, name: str | None = None, report: Print) -> None:
    """Sign in, or make an account under `name` first, which waits until its address is verified.

    Waits for a server that is restarting. Raises ClientError.
    """
    tried = False

    async def attempt() -> None:
        nonlocal tried
        again, tried = tried, True
        if name is None:
            await api.log_in(email, password, device="chiron chat")
            return
        try:
            await api.register(email, password, name, device="chiron chat")
        except ServerRefused as error:
            # The first attempt may have made it without our hearing of it.
            if not again or error.code != "email_taken":
                raise
            await api.log_in(email, password, device="chiron chat")

    await patiently(attempt, seconds=PATIENCE, report=report)
    if not api.person.get("verified", True):
        await _until_verified(api, email, report)


async def _until_verified(api: Api, email: str, report: Print) -> None:
    """Whether the mail was read only the server knows, so it is asked. Ctrl-C leaves; signing in later goes on."""
    report(f"A mail is on its way to {email}. Open the link in it to confirm that the address is yours")
    try:
        await api.kept_mail(email)
        report(f"(this server keeps its mail: read it at {api.origin}/mail)")
    except ServerRefused:
        pass  # it sends it
    report("Waiting for that; Ctrl-C leaves, and once it is confirmed you sign in without --register")
    while True:
        if (await patiently(api.me, seconds=PATIENCE, report=report))["verified"]:
            break
        await asyncio.sleep(POLL)
    await api.resume(api.refresh_token)
    report("Confirmed. Welcome!")


async def chat(api: Api, who: str | None, *, transport: Choice = "auto", report: Print) -> int:
    """Chat as the person that `api` is signed in as, until the end of input; the exit status.

    `report` is told of waiting. Raises NotReachable when the server does not come, and SignedOut.
    """
    return await (_interactive if sys.stdin.isatty() else _piped)(api, who, transport, report)


async def _piped(api: Api, who: str | None, transport: Choice, report: Print) -> int:
    status = _Status(report)
    async with Link(api, device="chiron chat", transport=transport, status=status) as link:
        status.link = link
        terminal = Terminal(api, link, lambda text: print(text, flush=True))
        try:
            await patiently(lambda: terminal.start(who), seconds=PATIENCE, report=report)
        except ServerRefused as error:
            print(f"! {error}", file=sys.stderr)
            return 1
        async for text in _lines():
            if not await terminal.line(text):
                break
        return 1 if await terminal.finish() else 0


async def _interactive(api: Api, who: str | None, transport: Choice, report: Print) -> int:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.patch_stdout import patch_stdout

    # A line that was entered gives way to the record that it becomes.
    session: PromptSession[str] = PromptSession(erase_when_done=True)
    with patch_stdout():
        status = _Status(print)
        async with Link(api, device="chiron chat", transport=transport, status=status) as link:
            status.link = link
            terminal = Terminal(api, link, print, notify=True)
            try:
                await patiently(lambda: terminal.start(who), seconds=PATIENCE, report=report)
            except ServerRefused as error:
                print(f"! {error}")
                return 1
            print("/help lists what you can do here.")
            with contextlib.suppress(EOFError, KeyboardInterrupt):
                while True:
                    text = await session.prompt_async(
                        lambda: terminal.prompt,
                        rprompt=lambda: f"{terminal.unsent} not sent yet" if terminal.unsent else "",
                    )
                    if text.startswith("/"):
                        print(f"{terminal.prompt}{one_line(text)}")
                    if not await terminal.line(text):
                        break
            if terminal.unsent:
                print(f"Waiting until {terminal.unsent} of your messages are sent; Ctrl-C gives them up.")
            await terminal.finish()
            return 0


class _Status:
    """Says what the connection runs over, and when it was lost and came back."""

    def __init__(self, show: Print) -> None:
        self._show = show
        self._lost = False
        self.link: Link | None = None

    def __call__(self, word: str) -> None:
        if word == "offline":
            self._lost = True
            self._show("— connection lost; what you write is sent when it is back —")
        elif self.link is not None and self.link.transport is not None:
            place = TRANSPORTS[self.link.transport]
            self._show(f"— connected again, over {place} —" if self._lost else f"— connected over {place} —")


async def _lines() -> AsyncIterator[str]:
    # In a thread, since standard input may be a file, which no event loop watches.
    while line := await asyncio.to_thread(sys.stdin.readline):
        yield line


def _title(conversation: Conversation | None) -> str:
    if conversation is None:
        return ""
    peer = conversation.get("peer")
    return one_line(peer["name"] if peer else conversation["title"])


def _why(error: BaseException) -> str:
    """As people say it."""
    if not isinstance(error, ServerRefused) or error.code != "blocked":
        return str(error)
    found = [REASONS[reason] for reason in error.params.get("reasons", []) if reason in REASONS]
    return f"it looks like {' or '.join(found[:2])}" if found else str(error)


def _preview(text: str) -> str:
    text = one_line(text)
    return f"{text[:PREVIEW]}{'…' if len(text) > PREVIEW else ''}"


def _plain(record: frames.Delivery) -> Record:
    plain: Record = {
        "offset": record.offset,
        "time": record.time,
        "author": record.author,
        "kind": record.kind,
        "body": record.body,
    }
    if record.verdict is not None:
        plain["verdict"] = record.verdict
    return plain
