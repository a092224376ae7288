"""A message that is held for review, in the browsers of who wrote it and of who waits for it."""

from __future__ import annotations

from browsing import PATIENCE, Account, NewPage, open_conversation, say, see, sign_in
from commands import chiron
from playwright.async_api import expect
from serving import Server

HARSH = "kill yourself you worthless idiot, nobody wants you here"
"""For which the policy of groups holds."""


async def test_it_is_its_authors_alone_until_a_moderator_releases_it(
    server: Server, new_page: NewPage, account: Account
) -> None:
    _, bob, mia = [await account(name) for name in ("Ada", "Bob", "Mia")]
    await bob.group("Herons", ["ada@example.org"])
    appointed = await chiron("moderation", "grant", "mia@example.org", "--data-dir", str(server.data))
    assert appointed.status == 0, appointed.said

    pages = {}
    for name in ("Ada", "Bob"):
        page = pages[name] = await new_page()
        await sign_in(page, name)
        await open_conversation(page, "Herons")
    await say(pages["Ada"], "Good morning")
    await say(pages["Ada"], HARSH)
    await see(pages["Ada"], HARSH)
    await see(pages["Ada"], "Waiting for review. Only you can see it until then.")
    await see(pages["Bob"], "Good morning")
    await see(pages["Bob"], "A message is being reviewed")
    await expect(pages["Bob"].get_by_text(HARSH)).to_have_count(0)

    [held] = (await mia.held())["items"]
    await mia.decide(held["message"], "release")
    await see(pages["Bob"], HARSH)
    await expect(pages["Bob"].get_by_text("A message is being reviewed")).to_have_count(0, timeout=PATIENCE)
    await expect(pages["Ada"].get_by_text("Waiting for review")).to_have_count(0, timeout=PATIENCE)
    await pages["Bob"].reload()
    await open_conversation(pages["Bob"], "Herons")
    await see(pages["Bob"], HARSH)
