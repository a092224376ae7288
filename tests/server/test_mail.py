"""Mail of a whole server: from the outbox to where a person reads it, and to nobody else."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from database import MigratedDatabase
from serving import Server, until

from chiron.errors import SetupError
from chiron.server import app
from chiron.server.config import MailSettings, Settings, WorkerConfig
from chiron.server.platform import keys
from chiron.server.platform.clock import SystemClock
from chiron.server.platform.ids import UuidV7
from chiron.server.platform.mail import DropFolder, Mailer, Sender
from chiron.server.ports import Mail, Tx

SECRETS = keys.generate()
CLOCK = SystemClock()
IDS = UuidV7(CLOCK)
LINK = "http://127.0.0.1:8080/#/verify/TOKEN"


async def put(database: MigratedDatabase, folder: Path, *, to: str = "ada@example.org") -> Mail:
    """As another worker of the server does it."""
    mail = Mail(IDS.new(), to, "Verify your address", f"Hello,\n\n{LINK}\n")
    other = Mailer(database.pool, CLOCK, keys.Sealer(SECRETS.sealing), DropFolder(folder, Sender("a@localhost")))

    async def work(tx: Tx) -> None:
        await other.put(tx, mail, CLOCK.now())

    await database.pool.run(work)
    return mail


def config(database: MigratedDatabase, data_dir: Path, **settings: Any) -> WorkerConfig:
    settings = {"data_dir": data_dir, **settings}
    return WorkerConfig(database=database.dsn, keys=SECRETS, tls_chain=b"", tls_key=b"", settings=Settings(**settings))


@asynccontextmanager
async def serving(database: MigratedDatabase, data_dir: Path, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    server = app.build(config(database, data_dir, **settings))
    sock = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{sock.getsockname()[1]}"
    await server.start([(sock, False)])
    try:
        async with httpx.AsyncClient(base_url=address, trust_env=False) as http:
            yield http
    finally:
        await server.drain(2.0)
        await server.stop()


async def shown(http: httpx.AsyncClient, to: str) -> list[dict[str, Any]]:
    answer = await http.get("/mail.json", params={"to": to})
    assert answer.status_code == 200
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_a_mail_is_kept_and_shown_to_whoever_sits_here(database: MigratedDatabase, tmp_path: Path) -> None:
    async with serving(database, tmp_path) as http:
        assert "Nothing yet" in (await http.get("/mail")).text
        mail = await put(database, tmp_path)
        await until(lambda: shown(http, "ada@example.org"), lambda: "the mail is not shown")
        (item,) = await shown(http, "ada@example.org")
        assert (item["id"], item["subject"], item["text"]) == (str(mail.id), mail.subject, mail.text)
        assert await shown(http, "ben@example.org") == []
        page = await http.get("/mail")
        assert f'href="{LINK}"' in page.text
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert (await http.get("/mail.css")).headers["content-type"] == "text/css; charset=utf-8"
        assert f"Message-ID: <{mail.id}@localhost>" in (await http.get(f"/mail/{mail.id}")).text
        assert (await http.get("/openapi.json")).json()["paths"].keys() & {"/mail", "/mail.json"} == set()


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "rebound.example"},
        {"x-forwarded-for": "192.0.2.1"},
        {"sec-fetch-site": "cross-site"},
        {"origin": "https://evil.example"},
    ],
)
async def test_it_is_not_shown_to_what_comes_from_elsewhere(
    database: MigratedDatabase, tmp_path: Path, headers: dict[str, str]
) -> None:
    async with serving(database, tmp_path) as http:
        mail = await put(database, tmp_path)
        await until(lambda: shown(http, "ada@example.org"), lambda: "the mail is not shown")
        for path in ("/mail", "/mail.json", "/mail.css", f"/mail/{mail.id}"):
            answer = await http.get(path, headers=headers)
            assert answer.status_code in (403, 404)
            assert "TOKEN" not in answer.text


async def test_it_is_not_shown_by_http_1_0_which_proxies_speak(database: MigratedDatabase, tmp_path: Path) -> None:
    async with serving(database, tmp_path) as http:
        await put(database, tmp_path)
        await until(lambda: shown(http, "ada@example.org"), lambda: "the mail is not shown")
        reader, writer = await asyncio.open_connection("127.0.0.1", http.base_url.port)
        writer.write(b"GET /mail.json HTTP/1.0\r\nHost: 127.0.0.1:8080\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 30)
        writer.close()
        assert b"TOKEN" not in answer
        assert b" 404 " in answer.partition(b"\r\n")[0] or b" 505 " in answer.partition(b"\r\n")[0]


@pytest.mark.parametrize(
    "given",
    [
        {"public_url": "https://chiron.example.org"},
        {"trusted_proxies": ("10.0.0.0/8",)},
        {"mail": MailSettings(page="off")},
        {"mail": MailSettings(smtp="smtp://127.0.0.1:1", page="on")},
    ],
)
async def test_there_is_no_page_where_the_server_is_for_others(
    database: MigratedDatabase, tmp_path: Path, given: dict[str, Any]
) -> None:
    async with serving(database, tmp_path, **given) as http:
        for path in ("/mail", "/mail.json", "/mail.css"):
            assert (await http.get(path)).status_code == 404


class Mailbox:
    def __init__(self) -> None:
        self.mails: list[bytes] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.mails.append(envelope.content)
        return "250 OK"


async def test_while_the_mail_server_is_away_mails_wait_and_then_they_go(
    database: MigratedDatabase, tmp_path: Path
) -> None:
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    settings = MailSettings(smtp=f"smtp://127.0.0.1:{port}", sender="Mentors <post@example.org>")
    async with serving(database, tmp_path, mail=settings) as http:
        mail = await put(database, tmp_path)
        other = await put(database, tmp_path, to="ben@example.org")
        assert (await http.get("/readyz")).status_code == 200, "a server without mail serves"
        box = Mailbox()
        server = await loop.create_server(lambda: SMTP(box, hostname="localhost", loop=loop), "127.0.0.1", port)
        await until(lambda: len(box.mails) == 2, lambda: f"{len(box.mails)} mails have come")
        server.close()
        ids = [message_from_bytes(raw, policy=default)["Message-ID"] for raw in box.mails]
        assert ids == [f"<{mail.id}@example.org>", f"<{other.id}@example.org>"]
    assert not (tmp_path / "mail").exists()


@pytest.mark.parametrize("given", [MailSettings(sender="nobody"), MailSettings(smtp="ftp://user:hunter2@host")])
async def test_settings_that_cannot_be_used_are_said_at_the_start(
    database: MigratedDatabase, tmp_path: Path, given: MailSettings
) -> None:
    with pytest.raises(SetupError, match="settings of mail") as said:
        app.build(config(database, tmp_path, mail=given))
    assert "hunter2" not in str(said.value)


async def test_the_command_says_where_mail_is_read(new_server: Callable[[], Server]) -> None:
    server = new_server()
    await server.start()
    await server.until_said("read it at")
    assert f"mail is kept in    {server.data / 'mail'}" in server.log.read_text()
    assert f"read it at         {server.address}/mail" in server.log.read_text()
    async with httpx.AsyncClient(base_url=server.address, trust_env=False) as http:
        assert (await http.get("/mail")).status_code == 200
