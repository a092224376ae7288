"""Verified people as client programs make them: the demo's by themselves, a person by reading their mail."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import pytest
from database import MigratedDatabase
from serving import until

from chiron.client import Api, demo, terminal
from chiron.client.errors import ClientError
from chiron.server import app
from chiron.server.config import MailSettings, Settings, WorkerConfig
from chiron.server.platform import keys


@asynccontextmanager
async def serving(
    database: MigratedDatabase, folder: Path, page: Literal["auto", "off"] = "auto"
) -> AsyncIterator[str]:
    """Address of a server as it is by default, with its mail in `folder`."""
    settings = Settings(data_dir=folder, mail=MailSettings(page=page))
    config = WorkerConfig(database=database.dsn, keys=keys.generate(), tls_chain=b"", tls_key=b"", settings=settings)
    server = app.build(config)
    sock = socket.create_server(("127.0.0.1", 0))
    await server.start([(sock, False)])
    try:
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        await server.drain(2.0)
        await server.stop()


async def test_the_demo_verifies_its_people_and_again_changes_nothing(
    database: MigratedDatabase, tmp_path: Path
) -> None:
    async with serving(database, tmp_path) as address:
        made: list[str] = []
        await demo.make(address, report=made.append)
        assert made == [*(f"Made {name}" for name in demo.PEOPLE.values()), "Made the conversations"]
        made.clear()
        await demo.make(address, report=made.append)
        assert made == ["Made the conversations"]
        api = Api(address)
        person = await api.log_in(demo.ADA, demo.PASSWORD)
        assert person["verified"]
        assert {conversation["kind"] for conversation in (await api.conversations())["items"]} == {"direct", "group"}
        await api.close()


async def test_the_demo_says_why_it_cannot_be_made(database: MigratedDatabase, tmp_path: Path) -> None:
    async with serving(database, tmp_path, page="off") as address:
        with pytest.raises(ClientError, match=r"identity\.verification"):
            await demo.make(address)


async def test_registering_in_a_terminal_waits_until_the_mail_was_read(
    database: MigratedDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "POLL", 0.01)
    async with serving(database, tmp_path) as address:
        await demo.make(address)
        said: list[str] = []
        api, page = Api(address), Api(address)
        entering = asyncio.create_task(
            terminal.sign_in(api, "new@example.org", "correct horse battery", name="New", report=said.append)
        )
        await until(lambda: len(said) == 3, lambda: f"only said {said}")
        assert "new@example.org" in said[0]
        assert f"{address}/mail" in said[1]

        async def mails() -> list[str]:
            return [mail["text"] for mail in await page.kept_mail("new@example.org")]

        await until(mails, lambda: "no mail came")
        assert not entering.done()
        link = re.search(r"/#/verify/(\S+)", (await mails())[0])
        assert link is not None
        await page.verify(link[1])
        await asyncio.wait_for(entering, 30)
        assert said[-1].startswith("Confirmed")
        # What only verified people may do.
        assert (await api.direct(demo.ADA))["kind"] == "direct"
        await api.close()
        await page.close()
