"""Chromium, what people do in it, what it complains of, and what axe finds."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, async_playwright, expect

from chiron.client import Api

PATIENCE = 30_000
"""Milliseconds for the page to show something."""
PASSWORD = "correct horse battery"

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"

NewPage = Callable[..., Awaitable[Page]]
Account = Callable[[str], Awaitable[Api]]
"""Makes the account of somebody who acts by the API."""

NETWORK = re.compile(
    r"Failed to load resource|WebSocket connection to .* failed|Failed to establish a connection to|Connection lost"
)
"""What the browser itself says of refused requests and lost connections is no error of the page."""


@contextlib.asynccontextmanager
async def chromium(*more: str) -> AsyncIterator[Browser]:
    """`more`: flags of the browser."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"),
            args=["--no-sandbox", "--disable-background-networking", "--disable-sync", *more],
        )
        yield browser
        await browser.close()


@contextlib.asynccontextmanager
async def people(browser: Browser, address: str) -> AsyncIterator[NewPage]:
    """Makes pages of separate people; afterwards none of them has logged an error of its own making."""
    complaints: list[str] = []

    async def make(at: str = "", **options: Any) -> Page:
        context = await browser.new_context(**options)
        page = await context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        await page.goto(at or address)
        return page

    yield make
    assert [text for text in complaints if not NETWORK.search(text)] == []


async def sign_up(page: Page, name: str) -> None:
    await page.get_by_role("link", name="Create an account").click()
    await page.get_by_role("textbox", name="Name").fill(name)
    await page.get_by_role("textbox", name="E-mail").fill(f"{name.lower()}@example.org")
    await page.get_by_role("textbox", name="Password").fill(PASSWORD)
    await page.get_by_role("button", name="Create account").click()
    await expect(page.get_by_role("button", name="New conversation")).to_be_visible(timeout=PATIENCE)


async def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    await page.get_by_role("textbox", name="E-mail").fill(f"{name.lower()}@example.org")
    await page.get_by_role("textbox", name="Password").fill(password)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("button", name="New conversation")).to_be_visible(timeout=PATIENCE)


async def begin_direct(page: Page, email: str) -> None:
    await page.get_by_role("button", name="New conversation").click()
    await page.get_by_role("dialog").get_by_role("textbox", name="E-mail").fill(email)
    await page.get_by_role("button", name="Start conversation").click()


async def open_conversation(page: Page, title: str) -> None:
    await page.get_by_role("list", name="Conversations").get_by_text(title, exact=True).first.click()


async def say(page: Page, text: str) -> None:
    await page.get_by_role("textbox", name="Message").fill(text)
    await page.get_by_role("textbox", name="Message").press("Enter")


async def see(page: Page, text: str) -> None:
    message = page.get_by_role("log", name="Messages").get_by_text(text, exact=True)
    await expect(message).to_have_count(1, timeout=PATIENCE)


async def violations(page: Page) -> list[str]:
    """What axe-core finds against WCAG 2.2 A and AA and its best practices: rule, and where."""
    if not await page.evaluate("typeof axe !== 'undefined'"):
        await page.evaluate(AXE.read_text())
    found: list[dict[str, Any]] = await page.evaluate("axe.run().then(({violations}) => violations)")
    return [f"{one['id']}: {node['html'][:160]}" for one in found for node in one["nodes"]]
