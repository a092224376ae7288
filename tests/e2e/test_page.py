"""The page in a real browser, with somebody at the other end."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from browsing import (
    PASSWORD,
    PATIENCE,
    Account,
    NewPage,
    begin_direct,
    open_conversation,
    say,
    see,
    sign_in,
    sign_up,
    violations,
)
from playwright.async_api import expect


async def test_two_people_sign_up_and_talk_one_in_a_browser_one_in_a_terminal(server: Any, new_page: NewPage) -> None:
    environment = os.environ | {"CHIRON_PASSWORD": PASSWORD, "CHIRON_SERVER": server.address}
    page = await new_page()
    await sign_up(page, "Ada")
    terminal = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("chiron")),
        *("chat", "ada@example.org", "--email", "bob@example.org", "--register", "Bob"),
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert terminal.stdin is not None
    assert terminal.stdout is not None
    terminal.stdin.write("Good morning, Ada 🌞\n".encode())
    await open_conversation(page, "Bob")
    await see(page, "Good morning, Ada 🌞")
    await say(page, "<b>Good morning</b> — שלום")
    await see(page, "<b>Good morning</b> — שלום")
    while "<b>Good morning</b> — שלום" not in (line := (await terminal.stdout.readline()).decode()):
        assert line, "the terminal ended"
    # The terminal has shown it, so it is read, and the page says so.
    await expect(page.locator("article[data-state='read']")).to_have_count(1, timeout=PATIENCE)
    terminal.stdin.close()
    assert await terminal.wait() == 0


async def test_history_loads_on_scrolling_up_without_moving_what_is_read(new_page: NewPage, account: Account) -> None:
    ada, _ = await account("Ada"), await account("Bob")
    conversation = (await ada.direct("bob@example.org"))["id"]
    for number in range(160):
        await ada.publish(conversation, f"01JDTESTTESTTESTTEST{number:06}", f"number {number}")
    page = await new_page()
    await sign_in(page, "Bob")
    await open_conversation(page, "Ada")
    await see(page, "number 159")
    await expect(page.locator("article[data-offset='1']")).to_have_count(0)
    log = page.get_by_role("log", name="Messages")
    await log.focus()
    for _ in range(60):
        await page.keyboard.press("Home")
        if await page.locator("article[data-offset='1']").count():
            break
        await page.wait_for_function("() => new Promise(done => requestAnimationFrame(() => done(true)))")
    await expect(page.locator("article[data-offset='1']")).to_have_count(1, timeout=PATIENCE)
    shown = await page.locator("article[data-offset]").evaluate_all("all => all.map(a => Number(a.dataset.offset))")
    assert shown == list(range(1, 161))


async def test_what_is_written_while_the_server_is_dead_arrives_when_it_is_back(
    server: Any, new_page: NewPage, account: Account
) -> None:
    await account("Bob")
    page = await new_page()
    await sign_up(page, "Ada")
    await begin_direct(page, "bob@example.org")
    await say(page, "before")
    await expect(page.locator("article[data-state='sent']")).to_have_count(1, timeout=PATIENCE)
    await server.kill_supervisor()
    server.kill_everything()
    await expect(page.get_by_test_id("connection")).not_to_have_attribute("data-phase", "online", timeout=PATIENCE)
    await say(page, "meanwhile")
    await expect(page.locator("article[data-state='sending']")).to_have_count(1, timeout=PATIENCE)
    await server.start()
    await expect(page.locator("article[data-state='sent']")).to_have_count(2, timeout=2 * PATIENCE)
    await page.reload()
    await open_conversation(page, "Bob")
    await see(page, "before")
    await see(page, "meanwhile")


async def test_refusals_are_said_in_words(server: Any, new_page: NewPage, account: Account) -> None:
    await account("Bob")
    page = await new_page()
    await page.get_by_role("textbox", name="E-mail").fill("bob@example.org")
    await page.get_by_role("textbox", name="Password").fill("not the password")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_text(re.compile("password is wrong", re.I))).to_be_visible(timeout=PATIENCE)
    await page.get_by_role("link", name="Create an account").click()
    await page.get_by_role("textbox", name="Name").fill("Bob the second")
    await page.get_by_role("textbox", name="E-mail").fill("bob@example.org")
    await page.get_by_role("textbox", name="Password").fill(PASSWORD)
    await page.get_by_role("button", name="Create account").click()
    await expect(page.get_by_text(re.compile("already an account", re.I))).to_be_visible(timeout=PATIENCE)
    await page.goto(server.address)
    await page.reload()
    await sign_in(page, "Bob")
    await begin_direct(page, "nobody@example.org")
    await expect(page.get_by_role("dialog").get_by_text(re.compile("nobody@example.org", re.I))).to_be_visible(
        timeout=PATIENCE
    )


async def test_a_group_and_being_removed_from_it(new_page: NewPage, account: Account) -> None:
    ada = await account("Ada")
    bob = await account("Bob")
    group = (await ada.group("Astronomy", ["bob@example.org"]))["id"]
    page = await new_page()
    await sign_in(page, "Bob")
    await open_conversation(page, "Astronomy")
    await say(page, "Clear sky tonight")
    await expect(page.locator("article[data-state='sent']")).to_have_count(1, timeout=PATIENCE)
    await ada.remove(group, bob.person["person"])
    await expect(page.get_by_role("button", name="Send")).to_have_count(0, timeout=PATIENCE)
    await expect(page.get_by_role("list", name="Conversations").get_by_text("Astronomy")).to_have_count(
        0, timeout=PATIENCE
    )


async def test_the_keyboard_is_enough(new_page: NewPage, account: Account) -> None:
    ada, _ = await account("Ada"), await account("Bob")
    await ada.direct("bob@example.org")
    page = await new_page()
    await page.get_by_role("textbox", name="E-mail").focus()
    await page.keyboard.type("bob@example.org")
    await page.keyboard.press("Tab")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    link = page.get_by_role("list", name="Conversations").get_by_role("link")
    await expect(link).to_have_count(1, timeout=PATIENCE)
    for _ in range(20):
        if await link.evaluate("element => element === document.activeElement"):
            break
        await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("textbox", name="Message")).to_be_focused(timeout=PATIENCE)
    await page.keyboard.type("Typed without a mouse")
    await page.keyboard.press("Enter")
    await expect(page.locator("article[data-state='sent']")).to_have_count(1, timeout=PATIENCE)


async def test_the_page_works_over_tls(server: Any, new_page: NewPage, account: Account) -> None:
    await account("Bob")
    page = await new_page(server.secure_address, ignore_https_errors=True)
    await sign_up(page, "Ada")
    await begin_direct(page, "bob@example.org")
    await say(page, "sealed")
    await expect(page.locator("article[data-state='sent']")).to_have_count(1, timeout=PATIENCE)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_light_and_dark_are_readable(new_page: NewPage, scheme: str) -> None:
    page = await new_page(color_scheme=scheme)
    ground, ink = await page.evaluate(
        """() => {
            const style = getComputedStyle(document.querySelector('h1') ?? document.body);
            return [getComputedStyle(document.documentElement).backgroundColor, style.color];
        }"""
    )
    lightness = [sum(int(part) for part in re.findall(r"\d+", colour)[:3]) / 3 for colour in (ground, ink)]
    assert (lightness[0] > lightness[1]) == (scheme == "light")
    assert abs(lightness[0] - lightness[1]) > 120


async def test_a_narrow_screen_shows_one_pane_without_scrolling_sideways(new_page: NewPage, account: Account) -> None:
    ada, _ = await account("Ada"), await account("Bob")
    await ada.direct("bob@example.org")
    page = await new_page(viewport={"width": 360, "height": 640})
    await sign_in(page, "Bob")
    await expect(page.get_by_role("list", name="Conversations")).to_be_visible(timeout=PATIENCE)
    assert await violations(page) == []
    await open_conversation(page, "Ada")
    await expect(page.get_by_role("textbox", name="Message")).to_be_visible(timeout=PATIENCE)
    assert await violations(page) == []
    await expect(page.get_by_role("list", name="Conversations")).not_to_be_visible(timeout=PATIENCE)
    await say(page, "W" * 300)
    await expect(page.locator("article[data-state='sent']")).to_have_count(1, timeout=PATIENCE)
    assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
