"""`chiron moderation`: decide on held messages, as a moderator; and say who is one, as the operator."""

from __future__ import annotations

import asyncio
import getpass
import json
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from chiron.errors import SetupError
from chiron.server.cli.options import (
    DEFAULT_SERVER,
    Authority,
    Database,
    DataDir,
    Server,
    api_of,
    progress,
    with_server,
)
from chiron.server.cli.settings import Assignments, Config, told

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Literal
    from uuid import UUID

    from chiron.client import Api
    from chiron.client.model import Decision, Held
    from chiron.server.ports import Tx
    from chiron.server.settings.load import Told

app = typer.Typer(
    name="moderation",
    help="Decide on messages that are held, and say who may.",
    no_args_is_help=True,
)
T = TypeVar("T")

Email = Annotated[str, typer.Option(envvar="CHIRON_EMAIL", help="Your e-mail address.", prompt="E-mail")]
Message = Annotated[str, typer.Argument(help="Id of the message, as `held` shows it.")]
Person = Annotated[str, typer.Argument(metavar="EMAIL", help="Verified e-mail address of an account.")]


@app.command()
def held(
    email: Email = "",
    server: Server = DEFAULT_SERVER,
    ca: Authority = None,
    as_json: Annotated[bool, typer.Option("--json", help="One message a line, as the API gives it.")] = False,
) -> None:
    """Show what waits for a decision, the oldest first. The password is asked for, or taken from CHIRON_PASSWORD."""

    async def work(api: Api) -> None:
        count, cursor = 0, None
        while True:
            page = await api.held(cursor=cursor)
            for item in page["items"]:
                print(json.dumps(item, ensure_ascii=False) if as_json else _shown(item))
                count += 1
            cursor = page.get("next")
            if cursor is None:
                break
        if not count:
            progress("Nothing waits for a decision.")

    _as_moderator(work, email, server, ca)


@app.command()
def release(message: Message, email: Email = "", server: Server = DEFAULT_SERVER, ca: Authority = None) -> None:
    """Deliver a held message to everybody. The password is asked for, or taken from CHIRON_PASSWORD."""
    _as_moderator(_decide(message, "release"), email, server, ca)
    print(f"Released {message}.")


@app.command()
def refuse(message: Message, email: Email = "", server: Server = DEFAULT_SERVER, ca: Authority = None) -> None:
    """Keep a held message from everybody but its author. The password is asked for, or taken from CHIRON_PASSWORD."""
    _as_moderator(_decide(message, "refuse"), email, server, ca)
    print(f"Refused {message}.")


@app.command()
def grant(
    person: Person,
    data_dir: DataDir = None,
    database: Database = None,
    config: Config = None,
    assignments: Assignments = None,
) -> None:
    """Make somebody a moderator: they may read held messages, and decide on all but their own."""
    from chiron.server.moderation import store
    from chiron.server.platform.clock import SystemClock

    async def work(tx: Tx) -> bool:
        return await store.grant(tx, await _person(tx, person), SystemClock().now())

    granted = _in_database(work, told(data_dir=data_dir, database=database, config=config, assignments=assignments))
    print(f"{person} is a moderator{' now' if granted else ' already'}.")


@app.command()
def revoke(
    person: Person,
    data_dir: DataDir = None,
    database: Database = None,
    config: Config = None,
    assignments: Assignments = None,
) -> None:
    """Make somebody a moderator no longer, from their next request on."""
    from chiron.server.moderation import store

    async def work(tx: Tx) -> bool:
        return await store.revoke(tx, await _person(tx, person))

    revoked = _in_database(work, told(data_dir=data_dir, database=database, config=config, assignments=assignments))
    print(f"{person} is no moderator{' any more' if revoked else ''}.")


@app.command()
def moderators(
    data_dir: DataDir = None,
    database: Database = None,
    config: Config = None,
    assignments: Assignments = None,
) -> None:
    """List who is one, and since when."""
    from chiron.client.text import one_line
    from chiron.server.identity import store as identity
    from chiron.server.moderation import store

    async def work(tx: Tx) -> list[str]:
        found = await store.moderators(tx)
        people = await identity.addresses(tx, [person for person, _ in found])
        return [f"{granted_at:%Y-%m-%d}  {one_line(people.get(person, str(person)))}" for person, granted_at in found]

    lines = _in_database(work, told(data_dir=data_dir, database=database, config=config, assignments=assignments))
    for line in lines:
        print(line)
    if not lines:
        progress("There is no moderator; `chiron moderation grant EMAIL` makes one.")


def _shown(held: Held) -> str:
    from chiron.client.text import one_line, printable

    when = datetime.fromtimestamp(held["time"] / 1000, UTC).astimezone()
    reasons = ", ".join(held["reasons"])
    scores = ", ".join(f"{head} {score:.2f}" for head, score in held["scores"].items())
    return (
        f"{held['message']}  {when:%Y-%m-%d %H:%M}  {held['kind']}  {one_line(held['name'])}\n"
        f"    {printable(held['text'], '    ')}\n"
        f"    for {reasons} ({scores})\n"
    )


def _decide(message: str, decision: Literal["release", "refuse"]) -> Callable[[Api], Awaitable[Decision]]:
    return lambda api: api.decide(message, decision)


def _as_moderator(work: Callable[[Api], Awaitable[T]], email: str, server: str, ca: Path | None) -> T:
    """Signed in for the while."""
    api = api_of(server, ca)
    password = os.environ.get("CHIRON_PASSWORD") or getpass.getpass("Password: ")

    async def session() -> T:
        try:
            await api.log_in(email, password, device="chiron moderation")
            try:
                return await work(api)
            finally:
                await api.log_out()
        finally:
            await api.close()

    return with_server(session())


def _in_database(work: Callable[[Tx], Awaitable[T]], said: Told) -> T:
    """In one transaction of the server's database, whether or not a server runs."""
    from chiron.db.pool import Pool
    from chiron.errors import ChironError
    from chiron.server.foundation import database_of
    from chiron.server.ports import StatementError
    from chiron.server.settings.load import load

    settings = load(said).settings

    async def run() -> T:
        async with database_of(settings.data_dir, settings.database, make=False, report=progress) as dsn:
            pool = Pool(dsn)
            try:
                await pool.start()
                return await pool.run(work)
            except StatementError as error:
                raise SetupError(f"The database says: {error}.\n`chiron migrate` may help.") from error
            except ChironError as error:
                raise SetupError(str(error), exit_status=69) from error
            finally:
                await pool.stop()

    return asyncio.run(run())


async def _person(tx: Tx, email: str) -> UUID:
    """Raises SetupError."""
    from chiron.errors import Refused
    from chiron.server.identity import store as identity
    from chiron.server.identity.model import normal_email

    try:
        address = normal_email(email)
    except Refused as error:
        raise SetupError(f"{email} is not an e-mail address: {error}", exit_status=1) from error
    person = await identity.person_of(tx, address)
    if person is None:
        raise SetupError(f"Nobody here has verified the address {email}.", exit_status=1)
    return person
