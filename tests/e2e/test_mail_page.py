"""The page of kept mails in a real browser: for the person at this machine, and against pages that want to read it."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from uuid import UUID

import httpx
import pytest
from browsing import AXE, chromium
from database import MigratedDatabase
from playwright.async_api import Browser, Response, expect

from chiron.server import app
from chiron.server.config import Settings, WorkerConfig
from chiron.server.platform import keys
from chiron.server.platform.mail import DropFolder, Letter, Sender

REBOUND = "rebound.example"

pytestmark = pytest.mark.e2e


@dataclass(frozen=True)
class Home:
    """A server that keeps its mails, with nothing set."""

    address: str
    folder: DropFolder

    async def keep(self) -> str:
        """Keep a mail, and see that it is shown; its link."""
        link = f"{self.address}/#/verify/TOKEN-3141"
        text = f"Hello Ada,\n\n{link}\n\nBye\n"
        await self.folder.send(Letter(UUID(int=1), "ada@example.org", "Please verify", text, datetime.now(UTC)))
        async with httpx.AsyncClient(trust_env=False) as http:
            assert link in (await http.get(f"{self.address}/mail")).text
        return link


@pytest.fixture
async def home(database: MigratedDatabase, tmp_path: Path) -> AsyncIterator[Home]:
    settings = Settings(data_dir=tmp_path)
    server = app.build(
        WorkerConfig(database=database.dsn, keys=keys.generate(), tls_chain=b"", tls_key=b"", settings=settings)
    )
    sock = socket.create_server(("127.0.0.1", 0))
    await server.start([(sock, False)])
    folder = DropFolder(tmp_path / "mail", Sender("chiron@localhost"))
    try:
        yield Home(f"http://127.0.0.1:{sock.getsockname()[1]}", folder)
    finally:
        await server.drain(2.0)
        await server.stop()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium(f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1") as browser:
        yield browser


async def test_it_can_be_used_by_everybody_and_complains_of_nothing(browser: Browser, home: Home) -> None:
    complaints: list[str] = []
    page = await browser.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text))
    await page.goto(f"{home.address}/mail")
    await expect(page.get_by_text("Nothing yet")).to_be_visible()
    await home.keep()
    await page.get_by_role("link", name="Refresh").click()
    await expect(page.get_by_role("article", name="Please verify")).to_be_visible()
    await page.evaluate(await asyncio.to_thread(AXE.read_text))
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for scheme, width in itertools.product(schemes, (1280, 320)):
        await page.emulate_media(color_scheme=scheme)
        await page.set_viewport_size({"width": width, "height": 800})
        found = await page.evaluate("axe.run()")
        assert [(each["id"], each["nodes"][0]["html"]) for each in found["violations"]] == [], (scheme, width)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"
    assert complaints == []


async def test_it_works_without_scripts_and_its_links_lead_to_the_page(browser: Browser, home: Home) -> None:
    link = await home.keep()
    page = await (await browser.new_context(java_script_enabled=False)).new_page()
    await page.goto(f"{home.address}/mail")
    await page.get_by_role("link", name="As it was sent").click()
    await expect(page.get_by_text("Auto-Submitted: auto-generated")).to_be_visible()
    await page.go_back()
    await page.get_by_role("link", name=link).click()
    await expect(page).to_have_url(link)


@asynccontextmanager
async def foreign_site(document: str) -> AsyncIterator[int]:
    """A server of somebody else's that gives this document for every address; its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = document.encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n")
        writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


EVIL = """<!doctype html><title>evil</title><link rel="stylesheet" href="{target}/mail.css">
<iframe src="{target}/mail"></iframe><img src="{target}/mail.json"><script src="{target}/mail.json"></script>
<embed src="{target}/mail"><object data="{target}/mail"></object>
<form action="{target}/mail" method="get"><button>Go</button></form><a href="{target}/mail">Mail</a>
<script>
const read = async (path, init) => {{
  try {{ return await (await fetch("{target}" + path, init)).text(); }} catch (error) {{ return String(error); }}
}};
window.loot = Promise.all([
  read("/mail"), read("/mail.json"), read("/mail.json", {{ mode: "no-cors" }}),
  read("/mail.json", {{ credentials: "include", headers: {{ "x-own": "1" }} }}),
  read("/mail.css", {{ mode: "no-cors" }}),
]);
</script>"""


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", REBOUND])
async def test_no_foreign_page_reads_embeds_or_opens_it(browser: Browser, home: Home, host: str) -> None:
    await home.keep()
    seen: list[Response] = []
    async with foreign_site(EVIL.format(target=home.address)) as port:
        page = await browser.new_page()
        page.on("response", lambda response: seen.append(response) if "/mail" in response.url else None)
        await page.goto(f"http://{host}:{port}/")
        loot = await page.evaluate("window.loot")
        for leave in ("link", "button"):
            await page.goto(f"http://{host}:{port}/")
            async with page.expect_navigation():
                await page.get_by_role(leave).click()
            assert "There is no such address" in await page.content()
    assert "TOKEN" not in repr(loot)
    assert len(seen) >= 6, "the attack was made"
    assert {response.status for response in seen} <= {403, 404}


async def test_a_name_that_turned_into_this_machine_shows_nothing(browser: Browser, home: Home) -> None:
    """DNS rebinding: the page and what it fetches are of one origin, and that origin is this server."""
    await home.keep()
    page = await browser.new_page()
    rebound = home.address.replace("127.0.0.1", REBOUND)
    await page.goto(f"{rebound}/")
    loot = await page.evaluate("Promise.all(['/mail', '/mail.json'].map((path) => fetch(path).then((r) => r.status)))")
    assert loot == [404, 404]
