"""The drop folder, and a process that is killed while it puts mails there."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from database import MigratedDatabase

from chiron.server.platform import keys
from chiron.server.platform.clock import SystemClock
from chiron.server.platform.crashpoint import VARIABLE
from chiron.server.platform.ids import UuidV7
from chiron.server.platform.mail import Down, DropFolder, Letter, Mailer, Sender, Undelivered
from chiron.server.platform.mail.drop import KEPT
from chiron.server.ports import Mail, Tx

NOON = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
SENDER = Sender("Chiron <chiron@localhost>")


def letter(number: int, *, to: str = "ada@example.org", after: float = 0.0) -> Letter:
    return Letter(UUID(int=number), to, f"Mail {number}", "Grüße\n\nBye\n", NOON + timedelta(seconds=after))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_a_mail_is_a_file_that_nobody_else_on_the_machine_can_read(tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        folder = DropFolder(tmp_path / "data" / "mail", SENDER)
        await folder.send(letter(1))
    finally:
        os.umask(previous)
    (file,) = (tmp_path / "data" / "mail").iterdir()
    assert file.name == f"20261124T120000.000000Z-{UUID(int=1)}.eml"
    assert (mode(file), mode(file.parent)) == (0o600, 0o700)
    (mail,) = await folder.newest()
    assert (mail.to, mail.subject, mail.text, mail.time) == ("ada@example.org", "Mail 1", "Grüße\n\nBye\n", NOON)
    assert await folder.raw(UUID(int=1)) == file.read_bytes()
    assert await folder.raw(UUID(int=2)) is None


async def test_a_folder_that_others_may_read_is_closed_before_something_is_put_in(tmp_path: Path) -> None:
    (tmp_path / "mail").mkdir(mode=0o755)
    await DropFolder(tmp_path / "mail", SENDER).send(letter(1))
    assert mode(tmp_path / "mail") == 0o700


async def test_a_mail_that_comes_twice_is_there_once(tmp_path: Path) -> None:
    folder = DropFolder(tmp_path / "mail", SENDER)
    await folder.send(letter(1))
    raw = await folder.raw(UUID(int=1))
    await folder.send(letter(1))
    assert len(await folder.newest()) == 1
    assert await folder.raw(UUID(int=1)) == raw


async def test_names_sort_by_time_and_the_oldest_go(tmp_path: Path) -> None:
    folder = DropFolder(tmp_path / "mail", SENDER)
    for number in range(KEPT - 1):
        stamp = (NOON + timedelta(seconds=number)).strftime("%Y%m%dT%H%M%S.%fZ")
        (tmp_path / "mail").mkdir(exist_ok=True)
        (tmp_path / "mail" / f"{stamp}-{UUID(int=number)}.eml").write_bytes(SENDER.compose(letter(number)))
    (tmp_path / "mail" / "notes.txt").write_text("somebody's own")
    await folder.send(letter(5000, after=5000.0, to="Ben@example.org"))
    assert len(list((tmp_path / "mail").glob("*.eml"))) == KEPT
    await folder.send(letter(5001, after=5001.0))
    await folder.send(letter(5002, after=5002.0))
    assert len(list((tmp_path / "mail").glob("*.eml"))) == KEPT
    assert [mail.subject for mail in await folder.newest(3)] == ["Mail 5002", "Mail 5001", "Mail 5000"]
    assert [mail.subject for mail in await folder.newest(to="ben@example.org")] == ["Mail 5000"]
    assert await folder.raw(UUID(int=1)) is None
    assert await folder.raw(UUID(int=2)) is not None
    assert (tmp_path / "mail" / "notes.txt").exists(), "what is not a mail is not ours"


async def test_an_empty_folder_has_no_mails(tmp_path: Path) -> None:
    assert await DropFolder(tmp_path / "none", SENDER).newest() == []
    assert not (tmp_path / "none").exists(), "looking makes nothing"


async def test_a_folder_that_cannot_be_written_takes_nothing_until_it_can(tmp_path: Path) -> None:
    (tmp_path / "mail").write_text("in the way")
    folder = DropFolder(tmp_path / "mail", SENDER)
    with pytest.raises(Down, match="folder:FileExistsError"):
        await folder.send(letter(1))
    (tmp_path / "mail").unlink()
    await folder.send(letter(1))
    assert len(await folder.newest()) == 1


async def test_what_cannot_be_a_mail_is_refused_for_good(tmp_path: Path) -> None:
    with pytest.raises(Undelivered) as refused:
        await DropFolder(tmp_path / "mail", SENDER).send(letter(1, to="ada\r\nBcc: evil@example.org"))
    assert refused.value.permanent


PROGRAM = """
import asyncio, sys
from pathlib import Path
import msgspec
from chiron.db.pool import Pool
from chiron.server.platform import keys
from chiron.server.platform.clock import SystemClock
from chiron.server.platform.mail import DropFolder, Mailer, Sender

async def main(dsn, sealing, folder):
    pool = Pool(dsn, size=2)
    await pool.start()
    sealer = keys.Sealer(msgspec.json.decode(sealing, type=list[keys.SealingKey]))
    await Mailer(pool, SystemClock(), sealer, DropFolder(Path(folder), Sender("Chiron <chiron@localhost>"))).deliver()
    print("survived")

asyncio.run(main(*sys.argv[1:]))
"""


class Later(SystemClock):
    """When the leases of a dead process have ended."""

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=61)


@pytest.mark.parametrize(
    ("place", "there"),
    [("mail.before_send:1", 0), ("mail.before_send:3", 2), ("mail.after_send:1", 1), ("mail.after_send:3", 3)],
)
async def test_a_killed_process_loses_no_mail_and_the_next_sends_the_same(
    database: MigratedDatabase, tmp_path: Path, place: str, there: int
) -> None:
    secrets = keys.generate().sealing
    clock = SystemClock()
    ids = UuidV7(clock)
    folder = DropFolder(tmp_path / "mail", SENDER)
    mailer = Mailer(database.pool, clock, keys.Sealer(secrets), folder)
    mails = [Mail(ids.new(), "ada@example.org", f"Mail {number}", "Hello\n") for number in range(5)]

    async def work(tx: Tx) -> None:
        for mail in mails:
            await mailer.put(tx, mail, clock.now())

    await database.pool.run(work)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PROGRAM,
        database.dsn,
        msgspec.json.encode(secrets).decode(),
        str(tmp_path / "mail"),
        env={**os.environ, VARIABLE: place},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert b"survived" not in out
    before = {mail.id: await folder.raw(mail.id) for mail in await folder.newest()}
    assert len(before) == there

    assert not await mailer.deliver(), "the lease of the dead is kept"
    assert len(await folder.newest()) == there
    await Mailer(database.pool, Later(), keys.Sealer(secrets), folder).deliver()
    assert {mail.id for mail in await folder.newest()} == {mail.id for mail in mails}
    assert {id: await folder.raw(id) for id in before} == before, "the same bytes, so the same Message-ID"
    assert await database.pool.read(lambda tx: tx.fetchval("SELECT count(*) FROM outbox_mail")) == 0
