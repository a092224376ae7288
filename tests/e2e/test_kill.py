"""Nothing acknowledged is lost, doubled or reordered, whatever is killed, whenever.

People talk in several conversations, from a browser, from programs and from the terminal, over WebTransport and over
WebSocket on HTTP/3 and on TCP, and others register, verify, refresh, change passwords and sign out, while worker,
supervisor and PostgreSQL are killed with SIGKILL: at random, and at every labelled point of the server in turn.
Afterwards the log in the database, the accounts there and the mails are compared with what each of them was told.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import lives
import pytest
import talk
import trail
from havoc import LABELS, Havoc, labels_of_the_server
from lives import Lives
from postbox import Postbox
from serving import Server, until
from talk import Browser, Progress, Sent

from chiron.client import Api, Link
from chiron.client.patience import patiently
from chiron.protocols.wire import frames

MESSAGES = 5_000
KILLS = 16
"""Besides those at labelled points."""
FROM_TERMINAL, FROM_BROWSER = 150, 60
ACCOUNTS = 50
"""Lives of accounts that begin while there is talk, spread over all of it."""
AT_ONCE = 6

DRAINED = 100.0
"""Seconds in which the last mail is sent: what a killed worker was sending waits for the end of its lease, a minute."""

pytestmark = pytest.mark.e2e


@pytest.fixture
async def server(new_server: Callable[[], Server]) -> Server:
    made = new_server()
    made.settings["CHIRON_IDENTITY_VERIFICATION"] = "required"
    # All people here have one address.
    made.settings["CHIRON_LIMITS_ENDPOINT_FACTOR"] = "1000"
    made.settings["CHIRON_LIMITS_ADDRESS_BURST"] = "100000"
    made.settings["CHIRON_LIMITS_ADDRESS_PER_SECOND"] = "10000"
    await made.start()
    return made


async def sign_up(server: Server, name: str, postbox: Postbox, posted: set[str]) -> Api:
    api = Api(server.secure_address, ca=server.authority)
    email = f"{name.lower()}@example.org"
    await api.register(email, talk.PASSWORD, name)
    token = await postbox.token(email, "verify", but=set(), seconds=30.0)
    assert token is not None
    posted.add(token)
    await api.verify(token)
    return api


@asynccontextmanager
async def running(*works: Any) -> AsyncIterator[None]:
    """Tasks that end with the body."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
        assert not [task for task in tasks if task.done() and task.exception()]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.timeout(900)
async def test_kill_9_of_everything_loses_nothing(server: Server, tmp_path: Path) -> None:
    assert labels_of_the_server() == LABELS.keys()
    seed = int(os.environ.get("CHIRON_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"seed {seed}")
    rng = random.Random(seed)
    await trail.install(server.data)
    postbox = Postbox(server.data / "mail")
    async with running(postbox.watch()):
        await kill(server, rng, postbox, tmp_path)
    assert await server.stop() == 0, server.tail()


async def kill(server: Server, rng: random.Random, postbox: Postbox, screenshots: Path) -> None:
    posted: set[str] = set()
    ada, bob, cy, dee = [await sign_up(server, name, postbox, posted) for name in ("Ada", "Bob", "Cy", "Dee")]
    people = {api.person["name"]: api.person["person"] for api in (ada, bob, cy, dee)}
    direct = (await ada.direct("bob@example.org"))["id"]
    terminal = (await cy.direct("bob@example.org"))["id"]
    group = (await dee.group("Everybody", [people["Ada"], people["Bob"], people["Cy"]]))["id"]
    conversations = [direct, terminal, group]
    progress = Progress()
    seen: dict[tuple[str, str], list[frames.Delivery]] = defaultdict(list)

    async with (
        Link(bob, transport="webtransport") as bob_link,
        Link(dee, transport="websocket-h3") as dee_link,
        Browser(server, "ada@example.org", screenshots) as browser,
    ):
        hearing = []
        for link, name, mine in ((bob_link, "Bob", conversations), (dee_link, "Dee", [group])):
            for conversation in mine:
                link.attach(f"conv:{conversation}", 0)
                hearing.append(talk.listen(link, conversation, seen[name, conversation]))
        plan = [
            (bob_link, Sent(people["Bob"], direct), 1_300),
            (bob_link, Sent(people["Bob"], group), 1_100),
            (bob_link, Sent(people["Bob"], terminal), 190),
            (dee_link, Sent(people["Dee"], group), 2_200),
        ]
        total = sum(count for *_, count in plan)
        assert total + FROM_TERMINAL + FROM_BROWSER == MESSAGES
        havoc = Havoc(server, progress, total, rng, KILLS)
        accounts = Lives(server, postbox, rng, lambda number: progress.reach(total * min(number, ACCOUNTS) // ACCOUNTS))
        accounts.posted = posted
        began = asyncio.get_running_loop().time()

        async def wreak() -> None:
            try:
                await havoc.wreak()
            finally:
                accounts.enough()

        async with running(*hearing):
            await browser.open_conversation("Bob")
            cy_at_terminal = await talk.start_terminal(server, "cy@example.org", "bob@example.org", "websocket")
            async with asyncio.TaskGroup() as work:
                for link, sent, count in plan:
                    work.create_task(talk.write(link, sent, count, progress))
                lines = work.create_task(talk.talk_in_terminal(cy_at_terminal, FROM_TERMINAL))
                work.create_task(browser.write(FROM_BROWSER))
                work.create_task(wreak())
                for _ in range(AT_ONCE):
                    work.create_task(accounts.live())
            print(f"{asyncio.get_running_loop().time() - began:.0f} s of havoc")
            print(f"kills {dict(havoc.done)}\nreached {dict(havoc.reached())}")
            print(f"accounts {dict(accounts.done)}\nrefused {dict(accounts.refused)}")
            assert sum(havoc.done.values()) == KILLS
            assert havoc.reached().keys() == LABELS.keys()
            # The one that lives now has a label armed.
            await server.stop()
            await server.start()
            status, printed = lines.result()
            assert status == 0, printed
            heads = {}
            for conversation in conversations:
                look = partial(bob.conversation, conversation)
                heads[conversation] = (await patiently(look, seconds=60, report=lambda _: None))["head"]

            def all_shown() -> bool:
                return all(records and records[-1].offset == heads[c] for (_, c), records in seen.items())

            await until(all_shown, lambda: f"not everything arrived: {heads}")
            await browser.until_shown(heads[direct])
            shown_in_browser = await browser.shown()

    connection = await trail.connected(server.data)
    rows = await talk.log_of(connection)
    talk.check_log(rows, heads)
    for _, sent, count in plan:
        talk.check_sender(rows[sent.conversation], sent, count)
    for (_, conversation), records in seen.items():
        talk.check_listener(rows[conversation], records)
    from_terminal = [row["text"] for row in rows[terminal] if str(row["sender"]) == people["Cy"]]
    assert from_terminal == [f"line {place}" for place in range(FROM_TERMINAL)]
    from_browser = [row["text"] for row in rows[direct] if str(row["sender"]) == people["Ada"]]
    assert from_browser == [f"typed {place}" for place in range(FROM_BROWSER)]
    in_log = [(row["offset"], row["text"]) for row in rows[direct] if row["kind"] == "text"]
    assert shown_in_browser == in_log[-len(shown_in_browser) :]
    assert len(shown_in_browser) >= FROM_BROWSER
    for api in (ada, bob, cy, dee):
        await talk.check_unread(connection, api, conversations)
        await api.close()

    assert accounts.done.keys() >= {"verified", "refreshed", "links refreshed", "passwords changed", "logged out"}
    assert accounts.done["late"] * 5 <= accounts.done["lives"], accounts.done
    assert "internal" not in accounts.refused
    await lives.check_accounts(connection, accounts)
    await lives.check_logins(connection, accounts)
    await lives.check_passwords(server, accounts)

    async def drained() -> bool:
        return not await connection.fetch("SELECT FROM outbox_mail")

    await until(drained, lambda: f"mails wait for ever\n{server.tail()}", seconds=DRAINED)
    postbox.look()
    units = await trail.units(connection)
    lives.check_units(units)
    await lives.check_mails(units, postbox, accounts, server.data / "keys.json")
    await connection.close()
