"""A small community to look at: people, conversations and a few messages, made through the public API.

Running it again changes nothing: people who exist are signed in, and the client ids of the messages are fixed.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable
from pathlib import Path

from chiron.client.api import Api
from chiron.client.errors import ClientError, ServerRefused
from chiron.client.ulid import ALPHABET

PASSWORD = "centaur-demo"  # noqa: S105 - printed at every start of a demo
DEVICE = "chiron demo"
MAIL_SECONDS = 15
PEOPLE = {
    "ada@demo.chiron": "Ada Lovelace",
    "charles@demo.chiron": "Charles Babbage",
    "mary@demo.chiron": "Mary Somerville",
    "sophie@demo.chiron": "Sophie Germain",
}
ADA, CHARLES, MARY, SOPHIE = PEOPLE

DIRECT = {
    (ADA, CHARLES): [
        (CHARLES, "Have you had a look at the plans for the mill?"),
        (ADA, "Twice. The store holds a thousand numbers, but who tells it what to do next?"),
        (CHARLES, "Cards, as on the loom. Write me a page on that and we go through it on Thursday."),
        (ADA, "It has become more than a page 🙂"),
    ],
    (ADA, MARY): [
        (MARY, "How is the mathematics going?"),
        (ADA, "Slowly! Finite differences are easy to compute and hard to understand."),
        (MARY, "Then you are at the right place. Bring your questions on Sunday."),
    ],
    (MARY, SOPHIE): [
        (SOPHIE, "Chère Mary, la théorie des surfaces élastiques avance enfin."),
        (MARY, "Wonderful. Would you show it to our circle?"),
    ],
}
GROUP_TITLE = "Analytical circle"
GROUP = [
    (MARY, "Welcome to the circle. We meet every second Thursday."),
    (ADA, "I will talk about Bernoulli numbers."),
    (SOPHIE, "And I about primes p for which 2p + 1 is prime too."),
    (CHARLES, "I bring the difference engine. Part of it, at least."),
]


async def make(server: str, *, ca: Path | None = None, report: Callable[[str], None] = lambda _: None) -> None:
    """Make what is missing on a running server. Raises ClientError.

    Where addresses must be verified, their mails are read on the server's page of kept mail, which there is on this
    machine alone.
    """
    apis: dict[str, Api] = {}
    try:
        for email, name in PEOPLE.items():
            apis[email] = Api(server, ca=ca)
            if await _enter(apis[email], email, name):
                report(f"Made {name}")
        for (one, other), messages in DIRECT.items():
            conversation = (await apis[one].direct(other))["id"]
            await _talk(apis, conversation, messages)
        await _talk(apis, await _group(apis), GROUP)
        report("Made the conversations")
    finally:
        for api in apis.values():
            if api.refresh_token:
                await api.log_out()
            await api.close()


async def _enter(api: Api, email: str, name: str) -> bool:
    """Sign in; whether the account had to be made first."""
    try:
        await api.log_in(email, PASSWORD, device=DEVICE)
    except ServerRefused as error:
        if error.code != "credentials":
            raise
    else:
        return False
    person = await api.register(email, PASSWORD, name, device=DEVICE)
    if not person["verified"]:
        await api.verify(await _token(api, email))
    return True


async def _token(api: Api, email: str) -> str:
    """That of the newest verification link to the address, once its mail is there."""
    for _ in range(MAIL_SECONDS * 10):
        try:
            mails = await api.kept_mail(email)
        except ServerRefused as error:
            if error.code != "not_found":
                raise
            raise ClientError(
                "its people cannot be verified, since the server does not show its mail. It does on this machine, by a "
                "loopback address and unless it is set up for others; or serve with identity.verification = off"
            ) from error
        for mail in mails:
            if link := re.search(r"/#/verify/(\S+)", mail["text"]):
                return link[1]
        await asyncio.sleep(0.1)
    raise ClientError(f"no mail to {email} came within {MAIL_SECONDS} seconds")


async def _group(apis: dict[str, Api]) -> str:
    cursor = None
    while True:
        page = await apis[MARY].conversations(cursor=cursor)
        for conversation in page["items"]:
            if conversation["title"] == GROUP_TITLE:
                return str(conversation["id"])
        cursor = page.get("next")
        if not cursor:
            return str((await apis[MARY].group(GROUP_TITLE, [ADA, CHARLES, SOPHIE]))["id"])


async def _talk(apis: dict[str, Api], conversation: str, messages: list[tuple[str, str]]) -> None:
    for place, (author, text) in enumerate(messages):
        digest = hashlib.sha256(f"{conversation} {place}".encode()).digest()
        client_id = "0" + "".join(ALPHABET[byte & 31] for byte in digest[:25])
        await apis[author].publish(conversation, client_id, text)
