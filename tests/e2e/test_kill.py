"""Nothing acknowledged is lost, doubled or reordered, whatever is killed, whenever.

People talk in several conversations, from a browser, from programs and from the terminal, while worker, supervisor and
PostgreSQL are killed with SIGKILL: at random, and at labelled points of the committer. Afterwards the log in the
database is compared with what each of them was told.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
from playwright.async_api import Page, async_playwright

from chiron.client import Api, Delivered, Link, NotReachable, ServerRefused, ulid
from chiron.db.embedded import running_dsn
from chiron.protocols.wire import frames

PASSWORD = "correct horse battery"
MESSAGES = 5_000
KILLS = 20
FROM_TERMINAL, FROM_BROWSER = 150, 60
WINDOW = 12
"""Messages that one writer has under way."""

CRASH_POINTS = [
    "committer.before_commit",
    "committer.after_commit",
    "committer.before_ack",
    "committer.during_delivery",
]


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


async def wreak(server: Any, progress: Progress, total: int, rng: random.Random, wait_until: Any) -> Counter[str]:
    """Kill something each time that another part of the messages is acknowledged."""
    done: Counter[str] = Counter()
    for number in range(KILLS):
        await progress.reach(total * (number + 1) // (KILLS + 2))
        match rng.choice(["worker", "worker", "postgres", "supervisor", "supervisor", "everything"]):
            case "worker":
                await wait_until(server.kill_worker, lambda: f"no worker to kill\n{server.tail()}")
                done["worker"] += 1
            case "postgres":
                await wait_until(server.kill_postgres, lambda: f"no PostgreSQL to kill\n{server.tail()}")
                done["postgres"] += 1
            case "supervisor":
                await server.kill_supervisor()
                done["supervisor"] += 1
                await server.start(crash_at=crash_point(rng), wait=False)
            case "everything":
                await server.kill_supervisor()
                server.kill_everything()
                done["everything"] += 1
                await server.start(crash_at=crash_point(rng), wait=False)
    return done


def crash_point(rng: random.Random) -> str:
    """Somewhere in the life of the next workers."""
    return f"{rng.choice(CRASH_POINTS)}:{rng.randint(60, 400)}"


async def patiently(call: Callable[[], Any]) -> Any:
    """Repeat what fails because something was just killed."""
    deadline = asyncio.get_running_loop().time() + 90
    while True:
        try:
            return await call()
        except (NotReachable, ServerRefused) as error:
            if isinstance(error, ServerRefused) and not error.temporary:
                raise
            if asyncio.get_running_loop().time() > deadline:
                raise
        await asyncio.sleep(0.1)


async def sign_up(server: Any, name: str) -> Api:
    api = Api(server.secure_address, ca=server.authority)
    await api.register(f"{name.lower()}@example.org", PASSWORD, name)
    return api


async def test_kill_9_of_everything_loses_nothing(server: Any, wait_until: Any, tmp_path: Path) -> None:
    seed = int(os.environ.get("CHIRON_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"seed {seed}")
    rng = random.Random(seed)
    ada, bob, cy, dee = [await sign_up(server, name) for name in ("Ada", "Bob", "Cy", "Dee")]
    people = {api.person["name"]: api.person["person"] for api in (ada, bob, cy, dee)}
    direct = (await ada.direct("bob@example.org"))["id"]
    terminal = (await cy.direct("bob@example.org"))["id"]
    group = (await dee.group("Everybody", [people["Ada"], people["Bob"], people["Cy"]]))["id"]
    conversations = [direct, terminal, group]
    progress = Progress()
    seen: dict[tuple[str, str], list[frames.Delivery]] = defaultdict(list)

    async with (
        Link(bob) as bob_link,
        Link(dee) as dee_link,
        Browser(server, "ada@example.org", tmp_path) as browser,
    ):
        listeners = []
        for link, name, mine in ((bob_link, "Bob", conversations), (dee_link, "Dee", [group])):
            for conversation in mine:
                link.attach(f"conv:{conversation}", 0)
                listeners.append(asyncio.create_task(listen(link, conversation, seen[name, conversation])))
        plan = [
            (bob_link, Sent(people["Bob"], direct), 1_300),
            (bob_link, Sent(people["Bob"], group), 1_100),
            (bob_link, Sent(people["Bob"], terminal), 190),
            (dee_link, Sent(people["Dee"], group), 2_200),
        ]
        total = sum(count for *_, count in plan)
        assert total + FROM_TERMINAL + FROM_BROWSER == MESSAGES
        await browser.open_conversation("Bob")
        cy_at_terminal = await start_terminal(server, "cy@example.org", "bob@example.org")
        async with asyncio.TaskGroup() as work:
            for link, sent, count in plan:
                work.create_task(write(link, sent, count, progress))
            lines = work.create_task(talk_in_terminal(cy_at_terminal, FROM_TERMINAL))
            work.create_task(browser.write(FROM_BROWSER))
            chaos = work.create_task(wreak(server, progress, total, rng, wait_until))
        assert sum(chaos.result().values()) == KILLS
        status, printed = lines.result()
        assert status == 0, printed
        heads = {}
        for conversation in conversations:
            heads[conversation] = (await patiently(partial(bob.conversation, conversation)))["head"]

        def all_shown() -> bool:
            return all(records and records[-1].offset == heads[c] for (_, c), records in seen.items())

        await wait_until(all_shown, lambda: f"not everything arrived: {heads}")
        await browser.until_shown(heads[direct])
        shown_in_browser = await browser.shown()
        for listener in listeners:
            listener.cancel()

    rows = await log_of(server)
    check_log(rows, heads)
    for _, sent, count in plan:
        check_sender(rows[sent.conversation], sent, count)
    for (_, conversation), records in seen.items():
        check_listener(rows[conversation], records)
    from_terminal = [row["text"] for row in rows[terminal] if str(row["sender"]) == people["Cy"]]
    assert from_terminal == [f"line {place}" for place in range(FROM_TERMINAL)]
    from_browser = [row["text"] for row in rows[direct] if str(row["sender"]) == people["Ada"]]
    assert from_browser == [f"typed {place}" for place in range(FROM_BROWSER)]
    in_log = [(row["offset"], row["text"]) for row in rows[direct] if row["kind"] == "text"]
    assert shown_in_browser == in_log[-len(shown_in_browser) :]
    assert len(shown_in_browser) >= FROM_BROWSER
    for api in (ada, bob, cy, dee):
        await check_unread(server, api, conversations)
        await api.close()
    assert await server.stop() == 0, server.tail()


# --- what must be true ------------------------------------------------------------------------------------------------


async def log_of(server: Any) -> dict[str, list[asyncpg.Record]]:
    connection = await connect(server)
    rows = await connection.fetch(
        """SELECT conversation, "offset", id, ordinal, sender, client_id, kind, body->>'text' AS text
           FROM message ORDER BY conversation, "offset" """
    )
    await connection.close()
    logs: dict[str, list[asyncpg.Record]] = defaultdict(list)
    for row in rows:
        logs[str(row["conversation"])].append(row)
    return logs


async def connect(server: Any) -> Any:
    dsn = running_dsn(server.folder / "data")
    assert dsn is not None
    return await asyncpg.connect(dsn)


def check_log(rows: dict[str, list[asyncpg.Record]], heads: dict[str, int]) -> None:
    for conversation, head in heads.items():
        log = rows[conversation]
        assert [row["offset"] for row in log] == list(range(1, head + 1)), "offsets are gapless"
        assert max(Counter((row["sender"], row["client_id"]) for row in log).values()) == 1, "nothing is doubled"
        counted = 0
        for row in log:
            counted += row["kind"] == "text"
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


async def check_unread(server: Any, api: Api, conversations: list[str]) -> None:
    connection = await connect(server)
    for conversation in (await api.conversations())["items"]:
        recount = await connection.fetchval(
            """SELECT count(*) FROM message m JOIN member r USING (conversation)
               WHERE m.conversation = $1 AND r.person = $2 AND m."offset" > r.read AND m.kind = 'text'""",
            conversation["id"],
            api.person["person"],
        )
        assert conversation["unread"] == recount, conversation
        assert conversation["id"] in conversations
    await connection.close()


# --- the people -------------------------------------------------------------------------------------------------------


async def start_terminal(server: Any, email: str, who: str) -> asyncio.subprocess.Process:
    """`chiron chat` in a conversation with somebody, ready for lines."""
    environment = os.environ | {"CHIRON_PASSWORD": PASSWORD, "CHIRON_SERVER": server.address}
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("chiron")),
        *("chat", who, "--email", email),
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

    def __init__(self, server: Any, email: str, screenshots: Path) -> None:
        self._server = server
        self._email = email
        self._screenshots = screenshots
        self.page: Page

    async def __aenter__(self) -> Browser:
        self._playwright = await async_playwright().start()
        self._chromium = await self._playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"),
            args=["--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-sync"],
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
