"""A small community to look at: people, conversations and a few messages, made through the public API.

Running it again changes nothing: people who exist are signed in, and the client ids of the messages are fixed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from chiron.client.api import Api
from chiron.client.errors import ServerRefused
from chiron.client.ulid import ALPHABET

PASSWORD = "centaur-demo"  # noqa: S105 - printed at every start of a demo
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
    """Make what is missing on a running server. Raises ClientError."""
    apis: dict[str, Api] = {}
    try:
        for email, name in PEOPLE.items():
            apis[email] = Api(server, ca=ca)
            try:
                await apis[email].register(email, PASSWORD, name, device="chiron demo")
                report(f"Made {name}")
            except ServerRefused as error:
                if error.code != "email_taken":
                    raise
                await apis[email].log_in(email, PASSWORD, device="chiron demo")
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
