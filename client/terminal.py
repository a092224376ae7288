"""`chiron chat`: conversations in a terminal.

On a terminal it is a prompt with messages above it; with standard input redirected it sends each line and prints each
message, for scripts: it ends at the end of input once everything is acknowledged.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import Any

from chiron.client.api import Api
from chiron.client.errors import ClientError, ServerRefused
from chiron.client.link import Link
from chiron.protocols.wire import events, frames

HISTORY = 20
HELP = """\
/list            conversations
/open N          go to conversation N of the list
/direct EMAIL    talk to somebody
/group TITLE     make a group
/add EMAIL       add somebody to this group
/leave           leave this group
/members         who is here
/quit            leave (Ctrl-D too)
Anything else is sent. A line that should begin with / is written with two."""

Print = Callable[[str], None]


class Terminal:
    """One person's chat; `show` prints a line."""

    def __init__(self, api: Api, link: Link, show: Print) -> None:
        self._api = api
        self._link = link
        self._show = show
        self._listed: list[dict[str, Any]] = []
        self._names: dict[str, str] = {}
        self._open: dict[str, Any] | None = None
        self._listener: asyncio.Task[None] | None = None
        self._sending: set[asyncio.Future[frames.Ack]] = set()
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
        return f"{_title(self._open)}> " if self._open else "> "

    async def start(self, who: str | None) -> None:
        """Show where to begin: the conversation with `who`, or the list."""
        if who:
            await self._direct(who)
        else:
            await self._list("")

    async def line(self, text: str) -> bool:
        """Carry out one line; False at `/quit`."""
        text = text.rstrip("\r\n")
        if not text.strip():
            return True
        if text.startswith("/") and not text.startswith("//"):
            name, _, rest = text[1:].partition(" ")
            if name in ("quit", "q"):
                return False
            action = self._commands.get(name)
            if action is None:
                self._show(f"There is no /{name}; /help lists what there is.")
                return True
            try:
                await action(rest.strip())
            except ClientError as error:
                self._show(f"! {error}")
            return True
        self._send(text.removeprefix("/") if text.startswith("//") else text)
        return True

    async def finish(self) -> int:
        """Wait for the acks of what was sent; how many were refused."""
        results = await asyncio.gather(*self._sending, return_exceptions=True)
        if self._listener:
            self._listener.cancel()
        return sum(isinstance(result, BaseException) for result in results)

    def _send(self, text: str) -> None:
        if self._open is None:
            self._show("Open a conversation first: /list, /open N or /direct EMAIL.")
            return
        future = self._link.post(f"conv:{self._open['id']}", "text", {"text": text})
        self._sending.add(future)
        future.add_done_callback(self._sent)

    def _sent(self, future: asyncio.Future[frames.Ack]) -> None:
        error = None if future.cancelled() else future.exception()
        if error is not None:
            self._show(f"! not sent: {error}")
        else:
            self._sending.discard(future)

    async def _help(self, _rest: str) -> None:
        self._show(HELP)

    async def _list(self, _rest: str) -> None:
        self._listed = (await self._api.conversations())["items"]
        if not self._listed:
            self._show("No conversations yet. /direct EMAIL begins one; /help lists what there is.")
        for number, conversation in enumerate(self._listed, 1):
            unread = f"  ({conversation['unread']} new)" if conversation["unread"] else ""
            self._show(f"{number:3}  {_title(conversation)}{unread}")

    async def _open_listed(self, rest: str) -> None:
        if not self._listed:
            await self._list("")
        if not rest.isdecimal() or not 1 <= int(rest) <= len(self._listed):
            self._show(f"Write /open and a number from 1 to {len(self._listed)}.")
            return
        await self._enter(self._listed[int(rest) - 1])

    async def _direct(self, rest: str) -> None:
        await self._enter(await self._api.direct(rest))

    async def _group(self, rest: str) -> None:
        await self._enter(await self._api.group(rest, []))

    async def _add(self, rest: str) -> None:
        if self._open:
            await self._api.add(self._open["id"], rest)

    async def _leave(self, _rest: str) -> None:
        if self._open:
            await self._api.leave(self._open["id"])

    async def _members(self, _rest: str) -> None:
        if self._open is None:
            return
        cursor = None
        while True:
            page = await self._api.members(self._open["id"], cursor=cursor)
            for member in page["items"]:
                self._names[member["person"]] = member["name"]
                self._show(f"     {member['name']}{'  (owner)' if member['role'] == 'owner' else ''}")
            cursor = page.get("next")
            if not cursor:
                return

    async def _enter(self, conversation: dict[str, Any]) -> None:
        if self._listener:
            self._listener.cancel()
        if self._open:
            self._link.detach(f"conv:{self._open['id']}")
        self._open = conversation
        self._names[self._api.person["person"]] = self._api.person["name"]
        if peer := conversation.get("peer"):
            self._names[peer["person"]] = peer["name"]
        else:
            for member in (await self._api.members(conversation["id"]))["items"]:
                self._names[member["person"]] = member["name"]
        self._show(f"── {_title(conversation)} ──")
        channel = f"conv:{conversation['id']}"
        page = await self._api.history(conversation["id"], before=conversation["head"] + 1, limit=HISTORY)
        after = conversation["head"]
        for item in page["items"]:
            self._record(item)
        if after:
            self._link.mark(channel, received=after, read=after)
        self._link.attach(channel, after)
        self._listener = asyncio.create_task(self._listen(channel))

    async def _listen(self, channel: str) -> None:
        try:
            async for event in self._link.listen(channel):
                match event:
                    case events.Delivered(_, record):
                        self._record(_plain(record))
                        self._link.mark(channel, received=record.offset, read=record.offset)
                    case events.Left(_, reason):
                        self._show("You were removed." if reason == "removed" else "This conversation is gone.")
                        self._open = None
                        return
                    case events.Forgotten(_, _, restored=True):
                        self._show("The server's database was restored; open the conversation again.")
        except ClientError as error:
            self._show(f"! {error}")

    def _record(self, item: dict[str, Any]) -> None:
        time = datetime.fromtimestamp(item["time"] / 1000).strftime("%H:%M")
        body, author = item["body"], self._name(item["author"])
        match item["kind"]:
            case "text":
                self._show(f"{time} {author}: {_printable(body['text'])}")
            case "member.added":
                self._names[body["person"]] = body["name"]
                self._show(f"{time} — {body['name']} was added by {self._name(body['by'])}")
            case "member.removed":
                self._show(f"{time} — {self._name(body['person'])} was removed by {self._name(body['by'])}")
            case "member.left":
                self._show(f"{time} — {self._name(body['person'])} left")

    def _name(self, person: str) -> str:
        return self._names.get(person, "somebody")


async def chat(api: Api, who: str | None) -> int:
    """Chat as the person that `api` is signed in as, until the end of input; the exit status."""
    if sys.stdin.isatty():
        return await _interactive(api, who)
    async with Link(api, device="chiron chat") as link:
        terminal = Terminal(api, link, lambda text: print(text, flush=True))
        await link.online()
        try:
            await terminal.start(who)
        except ServerRefused as error:
            print(f"! {error}", file=sys.stderr)
            return 1
        async for text in _lines():
            if not await terminal.line(text):
                break
        return 1 if await terminal.finish() else 0


async def _interactive(api: Api, who: str | None) -> int:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.patch_stdout import patch_stdout

    words = {"online": "— connected —", "offline": "— connection lost; what you write is sent when it is back —"}
    session: PromptSession[str] = PromptSession()
    with patch_stdout():
        async with Link(api, device="chiron chat", status=lambda word: print(words[word])) as link:
            await link.online()
            terminal = Terminal(api, link, print)
            try:
                await terminal.start(who)
            except ServerRefused as error:
                print(f"! {error}")
                return 1
            print("/help lists what you can do here.")
            with contextlib.suppress(EOFError, KeyboardInterrupt):
                while await terminal.line(await session.prompt_async(lambda: terminal.prompt)):
                    pass
            return 1 if await terminal.finish() else 0


async def _lines() -> AsyncIterator[str]:
    # In a thread, since standard input may be a file, which no event loop watches.
    while line := await asyncio.to_thread(sys.stdin.readline):
        yield line


def _title(conversation: dict[str, Any] | None) -> str:
    if conversation is None:
        return ""
    peer = conversation.get("peer")
    return _printable(peer["name"] if peer else conversation["title"])


def _printable(text: str) -> str:
    """Nobody's message moves the cursor or changes the terminal (ECMA-48)."""
    return "".join(c if c == "\n" or c.isprintable() else "�" for c in text)


def _plain(record: frames.Delivery) -> dict[str, Any]:
    return {"time": record.time, "author": record.author, "kind": record.kind, "body": record.body}
