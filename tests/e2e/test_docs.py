"""The page that shows the API, in a real browser, under the strict content security policy."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import pytest
from browsing import AXE, PATIENCE, chromium
from database import MigratedDatabase
from playwright.async_api import Page, expect
from resident import Residence, residence

pytestmark = pytest.mark.e2e


@pytest.fixture
async def home(database: MigratedDatabase, tmp_path: Path) -> AsyncIterator[Residence]:
    async with residence(database.dsn, tmp_path) as home:
        yield home


@pytest.fixture
async def docs(home: Residence) -> AsyncIterator[Page]:
    """The page, shown; afterwards it has complained of nothing and asked for nothing elsewhere."""
    complaints: list[str] = []
    async with chromium() as browser:
        page = await browser.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text))
        page.on(
            "request",
            lambda request: None if request.url.startswith(f"{home.address}/") else complaints.append(request.url),
        )
        await page.goto(f"{home.address}/docs")
        await expect(page.get_by_role("heading", level=1)).to_contain_text("Chiron", timeout=PATIENCE)
        yield page
    assert complaints == []


async def test_every_operation_and_type_is_there_to_read(docs: Page, home: Residence) -> None:
    document = (await home.http.get("/openapi.json")).json()
    main = docs.get_by_role("main")
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            article = main.locator(f"[id='{operation['operationId']}']")
            name = f"{method.upper()} {path}"
            assert await article.get_by_role("heading", level=3).inner_text() == name
            await expect(article).to_contain_text(operation["summary"])
    for name in document["components"]["schemas"]:
        await expect(main.locator(f"[id='type-{name}']").get_by_role("heading", name=name, exact=True)).to_be_visible()

    publish = main.get_by_role("article", name="POST /v1/conversations/{conversation}/messages")
    await publish.get_by_text("Refusals").click()
    await expect(publish.get_by_role("link", name="client_id_reused")).to_be_visible()
    await publish.get_by_role("link", name="Publish", exact=True).click()
    await expect(docs).to_have_url(re.compile("#type-Publish$"))
    body = main.get_by_role("article", name="Publish", exact=True)
    await expect(body).to_be_in_viewport()
    await expect(body).to_contain_text("client_id")


async def test_searching_leaves_what_fits(docs: Page) -> None:
    contents = docs.get_by_role("navigation", name="Contents")
    await contents.get_by_role("searchbox", name="Search").fill("post members")
    await expect(contents.get_by_role("listitem")).to_have_count(1)
    await expect(docs.get_by_role("article", name="POST /v1/conversations/{conversation}/members")).to_be_visible()
    await expect(docs.get_by_role("article", name="GET /v1/me", exact=True)).to_have_count(0)
    await contents.get_by_role("searchbox", name="Search").fill("a heron over the reeds")
    await expect(docs.get_by_role("status")).to_have_text("Nothing is called that.")


async def test_an_operation_can_be_linked_to(docs: Page, home: Residence) -> None:
    await docs.goto("about:blank")
    await docs.goto(f"{home.address}/docs#put_conversations_conversation_watermark")
    await expect(docs.locator("#put_conversations_conversation_watermark")).to_be_in_viewport(timeout=PATIENCE)


async def test_it_can_be_used_by_everybody(docs: Page) -> None:
    await docs.get_by_text("Refusals").first.click()
    await docs.evaluate(await asyncio.to_thread(AXE.read_text))
    looks: list[tuple[Literal["light", "dark"], int]] = [("light", 1280), ("dark", 380)]
    for scheme, width in looks:
        await docs.emulate_media(color_scheme=scheme)
        await docs.set_viewport_size({"width": width, "height": 800})
        found = await docs.evaluate("axe.run()")
        assert [(each["id"], each["nodes"][0]["html"]) for each in found["violations"]] == [], (scheme, width)
        assert await docs.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"
