"""People who talk in conversations, whatever happens to the server: from programs, at a terminal and at the page.

Each remembers what they sent and what they were told, and the log in the database is held against that.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
from playwright.async_api import Page, async_playwright
from serving import Server

from chiron.client import Api, Delivered, Link, ulid
from chiron.protocols.wire import frames

PASSWORD = "correct horse battery"
WINDOW = 12
"""Messages that one writer has under way."""


@dataclass
class Sent:
    """What one writer sent to one conversation, in order, and what it was told."""

    person: str
    conversation: str
    client_ids: list[str] = field(default_factory=list)
    acks: dict[str, frames.Ack] = field(default_factory=dict)


@dataclass
class Progress:
    acknowledged: int = 0
    moved: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def add(self) -> None:
        async with self.moved:
            self.acknowledged += 1
            self.moved.notify_all()

    async def reach(self, count: int) -> None:
        async with self.moved:
            await self.moved.wait_for(lambda: self.acknowledged >= count)


async def write(link: Link, sent: Sent, count: int, progress: Progress) -> None:
    """Send `count` messages in order, some at a time."""
    window = asyncio.Semaphore(WINDOW)

    async def settle(client_id: str, future: asyncio.Future[frames.Ack]) -> None:
        sent.acks[client_id] = await future
        window.release()
        await progress.add()

    async with asyncio.TaskGroup() as group:
        for place in range(count):
            await window.acquire()
            client_id = ulid.new()
            sent.client_ids.append(client_id)
            body = {"text": f"{sent.person[-4:]} {place}"}
            future = link.post(f"conv:{sent.conversation}", "text", body, client_id=client_id)
            group.create_task(settle(client_id, future))


async def listen(link: Link, conversation: str, seen: list[frames.Delivery]) -> None:
    async for event in link.listen(f"conv:{conversation}"):
        if isinstance(event, Delivered):
            seen.append(event.record)
            link.mark(event.channel, received=event.record.offset, read=event.record.offset)


# --- what must be true ------------------------------------------------------------------------------------------------


async def log_of(connection: asyncpg.Connection[Any]) -> dict[str, list[asyncpg.Record]]:
    """The log of each conversation."""
    rows = await connection.fetch(
        """SELECT conversation, "offset", id, ordinal, sender, client_id, kind, body->>'text' AS text, verdict
           FROM message ORDER BY conversation, "offset" """
    )
    logs: dict[str, list[asyncpg.Record]] = defaultdict(list)
    for row in rows:
        logs[str(row["conversation"])].append(row)
    return logs


def check_log(rows: dict[str, list[asyncpg.Record]], heads: dict[str, int]) -> None:
    for conversation, head in heads.items():
        log = rows[conversation]
        assert [row["offset"] for row in log] == list(range(1, head + 1)), "offsets are gapless"
        assert max(Counter((row["sender"], row["client_id"]) for row in log).values()) == 1, "nothing is doubled"
        counted = 0
        for row in log:
            counted += row["kind"] == "text" and row["verdict"] != "hold"
            assert row["ordinal"] == counted


def check_sender(log: list[asyncpg.Record], sent: Sent, count: int) -> None:
    assert len(sent.client_ids) == count
    mine = [row for row in log if str(row["sender"]) == sent.person and row["kind"] == "text"]
    assert [row["client_id"] for row in mine] == sent.client_ids, "everything is there once, in the order of sending"
    by_client_id = {row["client_id"]: row for row in mine}
    assert sent.acks.keys() == by_client_id.keys()
    for client_id, ack in sent.acks.items():
        row = by_client_id[client_id]
        assert (ack.message, ack.offset, ack.ordinal) == (str(row["id"]), row["offset"], row["ordinal"])


def check_listener(log: list[asyncpg.Record], records: list[frames.Delivery]) -> None:
    assert [record.offset for record in records] == list(range(1, len(log) + 1)), "each once, in order"
    for record, row in zip(records, log, strict=True):
        assert (record.message, record.author, record.kind) == (str(row["id"]), str(row["sender"]), row["kind"])


async def check_unread(connection: asyncpg.Connection[Any], api: Api, conversations: list[str]) -> None:
    for conversation in (await api.conversations())["items"]:
        recount = await connection.fetchval(
            """SELECT count(*) FROM message m JOIN member r USING (conversation)
               WHERE m.conversation = $1 AND r.person = $2 AND m."offset" > r.read AND m.kind = 'text'
               AND m.verdict <> 'hold'""",
            conversation["id"],
            api.person["person"],
        )
        assert conversation["unread"] == recount, conversation
        assert conversation["id"] in conversations


# --- the people -------------------------------------------------------------------------------------------------------


async def start_terminal(server: Server, email: str, who: str, transport: str) -> asyncio.subprocess.Process:
    """`chiron chat` in a conversation with somebody, ready for lines."""
    environment = os.environ | {"CHIRON_PASSWORD": PASSWORD, "CHIRON_SERVER": server.address}
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("chiron")),
        *("chat", who, "--email", email, "--transport", transport),
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    while not (line := await process.stdout.readline()).startswith("──".encode()):
        assert line, "the terminal client ended"
    return process


async def talk_in_terminal(process: asyncio.subprocess.Process, lines: int) -> tuple[int, str]:
    """Exit status and output of `chiron chat`, given lines to send."""
    output, _ = await process.communicate("".join(f"line {place}\n" for place in range(lines)).encode())
    assert process.returncode is not None
    return process.returncode, output.decode()


class Browser:
    """Ada, at a page in Chromium."""

    def __init__(self, server: Server, email: str, screenshots: Path) -> None:
        self._server = server
        self._email = email
        self._screenshots = screenshots
        self.page: Page

    async def __aenter__(self) -> Browser:
        self._playwright = await async_playwright().start()
        self._chromium = await self._playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"),
            args=["--no-sandbox", "--disable-background-networking", "--disable-sync"],
        )
        self.page = await self._chromium.new_page()
        await self.page.goto(self._server.address)
        await self.page.get_by_role("textbox", name="E-mail").fill(self._email)
        await self.page.get_by_role("textbox", name="Password").fill(PASSWORD)
        await self.page.get_by_role("button", name="Sign in").click()
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            await self.page.screenshot(path=self._screenshots / "page.png")
        await self._chromium.close()
        await self._playwright.stop()

    async def open_conversation(self, name: str) -> None:
        await self.page.get_by_role("list", name="Conversations").get_by_text(name, exact=True).first.click()
        await self.page.get_by_role("textbox", name="Message").wait_for()

    async def write(self, count: int) -> None:
        box = self.page.get_by_role("textbox", name="Message")
        for place in range(count):
            await box.fill(f"typed {place}")
            await box.press("Enter")
            # Not faster than it shows them; whether they were acknowledged yet does not matter.
            await self.page.get_by_text(f"typed {place}", exact=True).first.wait_for()

    async def until_shown(self, offset: int) -> None:
        await self.page.locator(f"article[data-offset='{offset}']").wait_for(timeout=60_000)

    async def shown(self) -> list[tuple[int, str]]:
        """(offset, text) of the messages in the page, from top to bottom."""
        found: list[list[Any]] = await self.page.locator("article[data-offset]").evaluate_all(
            "all => all.map(a => [Number(a.dataset.offset), a.querySelector('.text')?.textContent ?? ''])"
        )
        return [(offset, text) for offset, text in found]
