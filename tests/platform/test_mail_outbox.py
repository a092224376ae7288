"""Mails of a unit of work: sent after its COMMIT, never without it, and never lost."""

from __future__ import annotations

from pathlib import Path

from database import MigratedDatabase

from chiron.server.platform import keys
from chiron.server.platform.clock import SystemClock
from chiron.server.platform.ids import UuidV7
from chiron.server.platform.mail import DropFolder, Mailer, Sender
from chiron.server.ports import Mail, Tx

CLOCK = SystemClock()
IDS = UuidV7(CLOCK)


async def test_a_mail_becomes_a_file(database: MigratedDatabase, tmp_path: Path) -> None:
    folder = DropFolder(tmp_path / "mail", Sender("Chiron <chiron@localhost>"))
    mailer = Mailer(database.pool, CLOCK, keys.Sealer(keys.generate().sealing), folder)
    mail = Mail(IDS.new(), "ada@example.org", "Grüße", "Hallo Ada,\n\nhttp://127.0.0.1/#/verify/abc\n")
    nobody = Mail(IDS.new(), None, mail.subject, mail.text)

    async def work(tx: Tx) -> None:
        await mailer.put(tx, mail, CLOCK.now())
        await mailer.put(tx, nobody, CLOCK.now())

    await database.pool.run(work)
    assert not await mailer.deliver()
    (found,) = await folder.newest()
    assert (found.id, found.to, found.subject, found.text) == (mail.id, mail.to, mail.subject, mail.text)
    assert await database.pool.read(lambda tx: tx.fetchval("SELECT count(*) FROM outbox_mail")) == 0
