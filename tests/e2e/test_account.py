"""Accounts at the page, as people meet them who have to verify their address."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from browsing import PASSWORD, PATIENCE, NewPage, sign_in, sign_up, violations
from playwright.async_api import expect
from serving import Server, until

from chiron.client import Api

pytestmark = pytest.mark.e2e


@pytest.fixture
async def server(new_server: Callable[[], Server]) -> Server:
    made = new_server()
    made.settings["CHIRON_IDENTITY_VERIFICATION"] = "required"
    await made.start()
    return made


async def link_from_mail(server: Server, email: str, page: str) -> str:
    """The newest link of this kind in the mails to an address, as the mail page tells them."""
    found: list[str] = []

    async def look() -> bool:
        async with httpx.AsyncClient(base_url=server.address, trust_env=False) as http:
            mails = (await http.get("/mail.json", params={"to": email})).json()["items"]
        found[:] = re.findall(rf"http\S+/#/{page}/\S+", "\n".join(mail["text"] for mail in mails))
        return bool(found)

    await until(look, lambda: f"no mail with a link to {page} for {email}\n{server.tail()}")
    return found[0]


async def account(server: Server, name: str) -> Api:
    """Somebody who acts by the API and is verified."""
    api = Api(server.address)
    email = f"{name.lower()}@example.org"
    await api.register(email, PASSWORD, name)
    await api.verify((await link_from_mail(server, email, "verify")).rpartition("/")[2])
    assert api.person["verified"]
    return api


async def test_who_verifies_in_another_tab_can_talk_in_the_first(server: Server, new_page: NewPage) -> None:
    bob = await account(server, "Bob")
    page = await new_page()
    await sign_up(page, "Ada")
    banner = page.get_by_role("complementary", name="Your address is not verified")
    await expect(banner).to_contain_text("ada@example.org", timeout=PATIENCE)
    await page.get_by_role("button", name="New conversation").click()
    await page.get_by_role("dialog").get_by_role("textbox", name="E-mail").fill("bob@example.org")
    await page.get_by_role("button", name="Start conversation").click()
    await expect(page.get_by_role("dialog").get_by_text(re.compile("verify your e-mail", re.I))).to_be_visible(
        timeout=PATIENCE
    )
    await page.keyboard.press("Escape")

    tab = await page.context.new_page()
    await tab.goto(await link_from_mail(server, "ada@example.org", "verify"))
    button = tab.get_by_role("button", name="Verify this address")
    await expect(button).to_be_visible(timeout=PATIENCE)
    await expect(banner).to_be_visible()  # opening the link alone changes nothing
    await button.click()
    await expect(tab.get_by_text("is verified")).to_be_visible(timeout=PATIENCE)
    await expect(banner).to_have_count(0, timeout=PATIENCE)

    await page.get_by_role("button", name="New conversation").click()
    await page.get_by_role("dialog").get_by_role("textbox", name="E-mail").fill("bob@example.org")
    await page.get_by_role("button", name="Start conversation").click()
    await page.get_by_role("textbox", name="Message").fill("verified")
    await page.get_by_role("textbox", name="Message").press("Enter")
    await expect(page.locator("article[data-state='sent']")).to_have_count(1, timeout=PATIENCE)
    assert (await bob.conversations())["items"][0]["unread"] == 1
    await bob.close()


async def test_a_link_that_was_used_says_so(server: Server, new_page: NewPage) -> None:
    api = Api(server.address)
    await api.register("ada@example.org", PASSWORD, "Ada")
    link = await link_from_mail(server, "ada@example.org", "verify")
    await api.verify(link.rpartition("/")[2])
    page = await new_page(link)
    await page.get_by_role("button", name="Verify this address").click()
    await expect(page.get_by_text("This link is no longer valid")).to_be_visible(timeout=PATIENCE)
    await api.close()


async def test_a_forgotten_password_is_chosen_anew_and_signs_out_everywhere(server: Server, new_page: NewPage) -> None:
    ada = await account(server, "Ada")
    await ada.log_out()
    old = await new_page()
    await sign_in(old, "Ada")
    page = await new_page()
    await page.get_by_role("link", name="Forgot your password?").click()
    await page.get_by_role("textbox", name="E-mail").fill("ada@example.org")
    await page.get_by_role("button", name="Send the link").click()
    await expect(page.get_by_text("is on its way")).to_be_visible(timeout=PATIENCE)
    await page.goto(await link_from_mail(server, "ada@example.org", "reset"))
    password = page.get_by_role("textbox", name="New password")
    await password.fill("password123")
    await page.get_by_role("button", name="Change password").click()
    await expect(page.get_by_text(re.compile("commonest passwords"))).to_be_visible(timeout=PATIENCE)
    await password.fill("a stable of centaurs")
    await page.get_by_role("button", name="Change password").click()
    await expect(page.get_by_text("Your password is changed")).to_be_visible(timeout=PATIENCE)
    # Where she was signed in she is not any more, without doing anything there.
    await expect(old.get_by_role("button", name="Sign in")).to_be_visible(timeout=PATIENCE)
    await page.get_by_role("link", name="Sign in").click()
    await sign_in(page, "Ada", "a stable of centaurs")
    await ada.close()


async def test_devices_are_named_and_signed_out(server: Server, new_page: NewPage) -> None:
    ada = await account(server, "Ada")
    phone, desk = await new_page(), await new_page()
    await sign_in(phone, "Ada")
    await sign_in(desk, "Ada")
    await desk.get_by_role("link", name="Your account").click()
    devices = desk.get_by_role("list", name="Devices").get_by_role("listitem")
    await expect(devices).to_have_count(3, timeout=PATIENCE)
    this = devices.filter(has_text="This device")
    await this.get_by_role("button", name="Name").click()
    await desk.get_by_role("textbox", name="Name of the device").fill("Desk")
    await desk.get_by_role("form", name="Name this device").get_by_role("button", name="Save").click()
    await expect(devices.filter(has_text="Desk")).to_contain_text("This device", timeout=PATIENCE)
    await devices.filter(has_text="web").get_by_role("button", name="Sign out").click()
    await expect(devices).to_have_count(2, timeout=PATIENCE)
    await expect(phone.get_by_role("button", name="Sign in")).to_be_visible(timeout=PATIENCE)
    await desk.get_by_role("button", name="Sign out everywhere else").click()
    await expect(devices).to_have_count(1, timeout=PATIENCE)
    assert [login["device"] for login in (await relogin(server)).values()] == ["chiron.client", "Desk"]
    await ada.close()


async def relogin(server: Server) -> dict[str, Any]:
    """Ada's logins by id, the newest first, seen from another one."""
    api = Api(server.address)
    await api.log_in("ada@example.org", PASSWORD)
    found = {login["login"]: login for login in (await api.logins())["items"]}
    await api.close()
    return found


async def test_name_password_and_roles_are_changed(server: Server, new_page: NewPage) -> None:
    ada = await account(server, "Ada")
    page = await new_page()
    await sign_in(page, "Ada")
    await page.get_by_role("link", name="Your account").click()
    name = page.get_by_role("form", name="Change your name")
    await name.get_by_role("textbox", name="Name").fill("Ada King")
    await name.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("navigation").get_by_text("Ada King")).to_be_visible(timeout=PATIENCE)
    mentor = page.get_by_role("switch", name="Mentor")
    await mentor.click()
    await expect(mentor).to_have_attribute("aria-checked", "true", timeout=PATIENCE)
    form = page.get_by_role("form", name="Change your password")
    await form.get_by_role("textbox", name="Current password").fill("not this one")
    await form.get_by_role("textbox", name="New password").fill("a stable of centaurs")
    await form.get_by_role("button", name="Change password").click()
    await expect(page.get_by_text(re.compile("wrong", re.I))).to_be_visible(timeout=PATIENCE)
    await form.get_by_role("textbox", name="Current password").fill(PASSWORD)
    await form.get_by_role("button", name="Change password").click()
    await expect(page.get_by_text("Your password is changed")).to_be_visible(timeout=PATIENCE)
    await ada.log_in("ada@example.org", "a stable of centaurs")
    assert ada.person["name"] == "Ada King"
    assert [(one["kind"], one["state"]) for one in await ada.profiles()] == [("mentor", "active")]
    await ada.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_on_any_page(server: Server, new_page: NewPage, scheme: str) -> None:
    ada, bob = await account(server, "Ada"), await account(server, "Bob")
    group = await ada.group("Astronomy", ["bob@example.org"])
    await ada.publish(group["id"], "01JDTESTTESTTESTTEST000001", "Clear sky tonight")
    page = await new_page(color_scheme=scheme)
    found: dict[str, list[str]] = {}

    async def look(name: str, shown: Any) -> None:
        await expect(shown).to_be_visible(timeout=PATIENCE)
        if problems := await violations(page):
            found[name] = problems

    await look("sign in", page.get_by_role("button", name="Sign in"))
    await page.get_by_role("button", name="Sign in").click()
    await look("refused", page.get_by_text("Enter your password."))
    for hash_, button in (
        ("#/sign-up", "Create account"),
        ("#/forgot", "Send the link"),
        ("#/verify/a.b", "Verify this address"),
        ("#/reset/a.b", "Change password"),
    ):
        await page.goto(f"{server.address}/{hash_}")
        await look(hash_, page.get_by_role("button", name=button))
    await page.goto(f"{server.address}/#/sign-in")
    await sign_in(page, "Ada")
    await look("list", page.get_by_role("list", name="Conversations").get_by_text("Astronomy"))
    await page.get_by_role("list", name="Conversations").get_by_text("Astronomy").click()
    await look("conversation", page.get_by_text("Clear sky tonight", exact=True).last)
    await page.get_by_role("button", name=re.compile("members", re.I)).click()
    await look("members", page.get_by_role("dialog").get_by_text("Bob"))
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="New conversation").click()
    await look("new conversation", page.get_by_role("dialog").get_by_role("textbox", name="E-mail"))
    await page.keyboard.press("Escape")
    await page.get_by_role("link", name="Your account").click()
    await look("account", page.get_by_text("This device"))
    unverified = await new_page(color_scheme=scheme)
    await sign_up(unverified, "Cy")
    await expect(unverified.get_by_text("To talk to others")).to_be_visible(timeout=PATIENCE)
    if problems := await violations(unverified):
        found["unverified"] = problems
    assert found == {}
    for api in (ada, bob):
        await api.close()


async def test_a_terminal_waits_until_its_owner_has_opened_the_mail(server: Server) -> None:
    bob = await account(server, "Bob")
    environment = os.environ | {"CHIRON_PASSWORD": PASSWORD, "CHIRON_SERVER": server.address}
    terminal = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("chiron")),
        *("chat", "bob@example.org", "--email", "ada@example.org", "--register", "Ada"),
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    link = await link_from_mail(server, "ada@example.org", "verify")
    other = Api(server.address)
    await other.verify(link.rpartition("/")[2])
    await other.close()
    output, _ = await terminal.communicate(b"Good morning\n")
    assert terminal.returncode == 0, output.decode()
    last = (await bob.conversations())["items"][0].get("last")
    assert last is not None
    assert last["text"] == "Good morning"
    await bob.close()


async def test_the_page_says_when_the_account_cannot_be_read(server: Server, new_page: NewPage) -> None:
    await (await account(server, "Ada")).close()
    page = await new_page()
    await sign_in(page, "Ada")
    await page.route("**/v1/logins*", lambda route: route.abort())
    await page.get_by_role("link", name="Your account").click()
    await expect(page.get_by_text("The server cannot be reached")).to_be_visible(timeout=PATIENCE)
    await page.unroute("**/v1/logins*")
    await page.get_by_role("button", name="Try again").click()
    await expect(page.get_by_text("This device")).to_be_visible(timeout=PATIENCE)
