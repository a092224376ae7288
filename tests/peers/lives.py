"""Lives of accounts: people who register, verify, stay signed in, change what they forget, and leave, as carefully as a
client can whose server is killed again and again.

Each remembers what they were told; `afterwards` holds the database, the mails and the server against that.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import pytest
import trail
from postbox import Postbox
from serving import Server, until
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from chiron.client import Api, NotReachable, ServerRefused
from chiron.client.patience import patiently
from chiron.server.identity import tokens
from chiron.server.identity.proofs import parse

PATIENCE = 120.0
"""Seconds of pauses after which somebody gives up."""
MAIL_SECONDS = 5.0
"""After which somebody who waits for a mail asks for it again."""
TABS = 5
UNANSWERED = frozenset({"unknown"})
"""Refusals after which the request may have been carried out."""
SIGNED_OUT = frozenset({4001, 4003, 4004})
"""Close codes that say so."""

T = TypeVar("T")


class Late(Exception):
    """A token was repeated after the time in which that is promised to work: the answer did not get through sooner."""


@dataclass
class Tries:
    """Of one request and its repeats: how many may have been carried out although there was no answer."""

    unanswered: int = 0


@dataclass
class Told:
    """What somebody was told about their account."""

    email: str
    password: str
    former: list[str] = field(default_factory=list)
    registered: list[tuple[UUID, UUID]] = field(default_factory=list)
    """(person, login) of each registration that was answered."""
    person: UUID | None = None
    """Who the address is verified for."""
    changes: int = 0
    """Times that the password was changed."""
    held: dict[UUID, int] = field(default_factory=dict)
    """Number of the refresh token that each login was given last."""
    over: set[UUID] = field(default_factory=set)
    """Logins that were ended on purpose."""
    late: set[UUID] = field(default_factory=set)
    """Logins of which nobody knows the newest token, since it came too late."""


class Device:
    """A session of somebody."""

    def __init__(self, server: Server, told: Told) -> None:
        self.api = Api(server.address)
        self.told = told

    @property
    def login(self) -> UUID:
        return tokens.parse_refresh_token(self.api.refresh_token).login

    def remember(self) -> None:
        token = tokens.parse_refresh_token(self.api.refresh_token)
        self.told.held[token.login] = token.generation


class Lives:
    """`pace` is awaited before each life, with its number."""

    def __init__(
        self, server: Server, postbox: Postbox, rng: random.Random, pace: Callable[[int], Awaitable[object]]
    ) -> None:
        self._server = server
        self._postbox = postbox
        self._rng = rng
        self._pace = pace
        self._enough = asyncio.Event()
        self.begun = 0
        self.told: list[Told] = []
        self.posted: set[str] = set()
        """Tokens from mails that were sent to the server."""
        self.done: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        """Answers by code, and `unanswered`."""

    async def live(self) -> None:
        """One life after the other until there were enough."""
        while not self._enough.is_set():
            number = self.begun = self.begun + 1
            await self._pace(number)
            told = Told(f"life{number}@example.org", f"first secret of life {number}")
            self.told.append(told)
            phone, desk, visitor = Device(self._server, told), Device(self._server, told), Api(self._server.address)
            async with contextlib.AsyncExitStack() as stack:
                for api in (phone.api, desk.api, visitor):
                    stack.push_async_callback(api.close)
                with contextlib.suppress(Late):
                    await self._one(told, phone, desk, visitor, random.Random(self._rng.random()))
                self.done["lives"] += 1

    def enough(self) -> None:
        """Whoever lives comes to an end."""
        self._enough.set()

    async def _one(self, told: Told, phone: Device, desk: Device, visitor: Api, rng: random.Random) -> None:
        await self._register(told, phone)
        if rng.random() < 0.15:
            self.done["never verified"] += 1
            return
        await self._verify(told, phone, visitor)
        await self._log_in(desk)
        for _ in range(rng.randint(2, 6)):
            await self._refresh(rng.choice([phone, desk]), tabs=rng.choice([1, 1, TABS]))
        if rng.random() < 0.4:
            await self._refresh_on_a_link(desk)
        if rng.random() < 0.5:
            await self._change_password(told, phone, desk)
            await self._log_in(desk)
        if rng.random() < 0.7:
            await self._reset_password(told, phone, desk, visitor)
            await self._log_in(phone)
            await self._refresh(phone, tabs=TABS)
            if rng.random() < 0.3:
                await self._log_out(phone)
        else:
            await self._log_out(desk)

    # --- what they do -------------------------------------------------------------------------------------------------

    async def _register(self, told: Told, phone: Device) -> None:
        # Whoever gets no answer registers once more: nobody else may have verified the address meanwhile.
        await self._patiently(lambda: phone.api.register(told.email, told.password, told.email.partition("@")[0]))
        phone.remember()
        told.registered.append((UUID(phone.api.person["person"]), phone.login))

    async def _verify(self, told: Told, phone: Device, visitor: Api) -> None:
        """Follow links until the address is verified.

        It may become that of a registration whose answer was lost: then signing in leads to the account.
        """
        tries, tried = Tries(), set[str]()
        while True:
            token = await self._postbox.token(told.email, "verify", but=tried, seconds=MAIL_SECONDS)
            if token is None:
                await self._patiently(phone.api.send_verification)
                continue
            tried.add(token)
            self.posted.add(token)
            accepted = await self._accepted(partial(visitor.verify, token), "link_expired", tries)
            await self._refresh(phone)
            if not phone.api.person["verified"] and (accepted or tries.unanswered):
                attempt = partial(phone.api.log_in, told.email, told.password)
                if await self._accepted(attempt, "credentials", Tries()):
                    phone.remember()
            if phone.api.person["verified"]:
                told.person = UUID(phone.api.person["person"])
                self.done["verified"] += 1
                return
            assert not accepted, "who was told that the address is verified can sign in"

    async def _log_in(self, device: Device) -> None:
        told = device.told
        await self._patiently(lambda: device.api.log_in(told.email, told.password))
        device.remember()

    async def _refresh(self, device: Device, *, tabs: int = 1) -> None:
        """Exchange the token, in several tabs at once; all of them are given the same."""
        token, began = device.api.refresh_token, _time()

        async def tab() -> str:
            await self._patiently(lambda: device.api.resume(token))
            return device.api.refresh_token

        results = await asyncio.gather(*(tab() for _ in range(tabs)), return_exceptions=True)
        refused = [result for result in results if isinstance(result, BaseException)]
        if not refused:
            assert len(set(results)) == 1, "all get the same successor"
            device.remember()
            self.done["refreshed"] += 1
            return
        for error in refused:
            if not isinstance(error, ServerRefused) or error.code not in ("refresh_reused", "login_ended"):
                raise error
        assert _time() - began > tokens.REPEATABLE.total_seconds(), "a token may be repeated for some time"
        device.told.late.add(tokens.parse_refresh_token(token).login)
        self.done["late"] += 1
        raise Late

    async def _refresh_on_a_link(self, device: Device) -> None:
        """The link goes on with a newer token: only what was killed ends it."""
        while True:
            try:
                token = await self._patiently(device.api.access_token)
                async with connect(
                    f"{self._server.address.replace('http', 'ws', 1)}/v1/realtime",
                    subprotocols=[Subprotocol("chiron.v1.json")],
                    proxy=None,
                ) as link:
                    assert (await _answer(link, {"op": "connect", "id": 1, "token": token}))["op"] == "welcome"
                    for number in range(2, 5):
                        await self._refresh(device)
                        token = await self._patiently(device.api.access_token)
                        refresh = {"op": "refresh", "id": number, "gen": number, "token": token}
                        assert (await _answer(link, refresh))["op"] == "ok"
                    self.done["links refreshed"] += 1
                    return
            except ConnectionClosed as error:
                if error.rcvd is not None and error.rcvd.code in SIGNED_OUT:
                    raise
            except ServerRefused as error:
                if not error.temporary:
                    raise
            except (OSError, TimeoutError, InvalidHandshake):
                pass
            await asyncio.sleep(0.1)

    async def _change_password(self, told: Told, phone: Device, desk: Device) -> None:
        new, tries = f"changed secret of {told.email}", Tries()
        if not await self._accepted(partial(phone.api.change_password, told.password, new), "credentials", tries):
            assert tries.unanswered, "the current password was right"
        self._changed(told, new)
        told.over |= told.held.keys() - {phone.login} - self._strangers(told)
        await self._must_be_signed_out(desk)
        await self._refresh(phone)

    async def _reset_password(self, told: Told, phone: Device, desk: Device, visitor: Api) -> None:
        new, tries, tried = f"another secret of {told.email}", Tries(), set[str]()
        await self._patiently(lambda: visitor.request_reset(told.email))
        while True:
            token = await self._postbox.token(told.email, "reset", but=tried, seconds=MAIL_SECONDS)
            if token is None:
                await self._patiently(lambda: visitor.request_reset(told.email))
                continue
            tried.add(token)
            self.posted.add(token)
            if await self._accepted(partial(visitor.reset_password, token, new), "link_expired", tries):
                break
            if tries.unanswered and await self._is_password(told.email, new):
                break
        self._changed(told, new)
        told.over |= told.held.keys() - self._strangers(told)
        await self._must_be_signed_out(phone)
        await self._must_be_signed_out(desk)

    async def _log_out(self, device: Device) -> None:
        login, tries = device.login, Tries()
        if not await self._accepted(device.api.log_out, "login_ended", tries):
            assert tries.unanswered
        device.told.over.add(login)
        self.done["logged out"] += 1

    # --- parts --------------------------------------------------------------------------------------------------------

    def _changed(self, told: Told, new: str) -> None:
        told.former.append(told.password)
        told.password = new
        told.changes += 1
        self.done["passwords changed"] += 1

    def _strangers(self, told: Told) -> set[UUID]:
        """Logins of registrations that the address was not verified for."""
        return {login for person, login in told.registered if person != told.person}

    async def _must_be_signed_out(self, device: Device) -> None:
        """The refresh token at once, the access token within the time in which every server learns of it."""
        kept = device.api.refresh_token
        assert not await self._accepted(lambda: device.api.resume(kept), "login_ended", Tries())

        async def is_refused() -> bool:
            return not await self._accepted(device.api.me, "login_ended", Tries())

        await until(is_refused, lambda: "an access token outlives its login", seconds=10.0)

    async def _is_password(self, email: str, password: str) -> bool:
        api = Api(self._server.address)
        known = await self._accepted(partial(api.log_in, email, password), "credentials", Tries())
        await api.close()
        return known

    async def _accepted(self, call: Callable[[], Awaitable[object]], refusal: str, tries: Tries) -> bool:
        """Whether the last try was answered with success; any refusal but this one is raised."""
        try:
            await self._patiently(call, tries)
        except ServerRefused as error:
            if error.code != refusal:
                raise
            return False
        return True

    async def _patiently(self, call: Callable[[], Awaitable[T]], tries: Tries | None = None) -> T:
        async def counted() -> T:
            try:
                return await call()
            except (NotReachable, ServerRefused) as error:
                code = error.code if isinstance(error, ServerRefused) else "unanswered"
                self.refused[code] += 1
                if tries is not None and (code == "unanswered" or code in UNANSWERED):
                    tries.unanswered += 1
                raise

        return await patiently(counted, seconds=PATIENCE, report=lambda _: None)


def _time() -> float:
    return asyncio.get_running_loop().time()


async def _answer(link: ClientConnection, frame: dict[str, Any]) -> dict[str, Any]:
    """Raises ServerRefused, ConnectionClosed and TimeoutError."""
    await link.send(json.dumps(frame))
    while True:
        message = await asyncio.wait_for(link.recv(), 15)
        for line in message.splitlines():
            answer: dict[str, Any] = json.loads(line)
            if answer.get("id") == frame["id"]:
                if answer["op"] == "error":
                    raise ServerRefused(answer["code"])
                return answer


# --- what must be true ------------------------------------------------------------------------------------------------


async def check_accounts(connection: asyncpg.Connection[Any], lives: Lives) -> None:
    """Whoever was told so has an account, whole; and nobody is verified who did not follow a link."""
    accounts = {
        row["id"]: row
        for row in await connection.fetch(
            """SELECT p.id, v.person, v.email, v.verified_at,
                      array(SELECT id FROM login WHERE person = p.id) AS logins
               FROM person p FULL JOIN person_private v ON v.person = p.id"""
        )
    }
    for row in accounts.values():
        assert row["id"] is not None
        assert row["person"] is not None, "nobody is erased within two weeks"
        assert row["logins"], "registering signs in"
    for told in lives.told:
        for person, login in told.registered:
            assert accounts[person]["email"] == told.email
            assert login in accounts[person]["logins"]
        if told.person is not None:
            assert accounts[told.person]["verified_at"] is not None
            assert accounts[told.person]["email"] == told.email
    verified = {person: row["email"] for person, row in accounts.items() if row["verified_at"] is not None}
    assert max(Counter(verified.values()).values()) == 1, "an address is verified by one person"
    followed = {parse(token).id for token in lives.posted}
    ids = {proof["id"] for unit in await trail.units(connection) for proof in unit.rows["proof"]}
    assert {str(id) for id in followed} <= ids
    opened = {
        (UUID(proof["person"]), proof["email"])
        for unit in await trail.units(connection)
        for proof in unit.rows["proof"]
        if UUID(proof["id"]) in followed
    }
    assert verified.items() <= opened, "nobody is verified without a link that was followed"


def check_units(units: list[trail.Unit]) -> None:
    """What belongs together was committed together."""
    shapes = Counter(tuple(sorted(unit.shape().items())) for unit in units)
    registration = (("login", 1), ("outbox_mail", 1), ("person", 1), ("person_private", 1), ("proof", 1))
    sign_in, notice, link = (("login", 1),), (("outbox_mail", 1),), (("outbox_mail", 1), ("proof", 1))
    assert shapes.keys() == {registration, sign_in, notice, link}, shapes
    for unit in units:
        if "person" in unit.rows:
            person = unit.rows["person"][0]["id"]
            assert {unit.rows["person_private"][0]["person"], unit.rows["login"][0]["person"]} == {person}


async def check_logins(connection: asyncpg.Connection[Any], lives: Lives) -> None:
    """Nobody was signed out but by themselves, and what they hold is what comes next."""
    rows = {row["id"]: row for row in await connection.fetch("SELECT id, generation, ended_at FROM login")}
    for told in lives.told:
        for login, held in told.held.items():
            if login in told.late:
                continue
            assert (rows[login]["ended_at"] is not None) == (login in told.over), (told, login)
            assert rows[login]["generation"] == held - 1, (told, login)


async def check_mails(units: list[trail.Unit], postbox: Postbox, lives: Lives, keys: Path) -> None:
    """What was committed was sent, and nothing else was."""
    put = trail.mails(units, keys)
    sent = {mail.id: mail for mail in postbox.mails.values()}
    assert len(sent) == len(postbox.mails), "a mail that is sent twice is there once"
    assert not postbox.unfinished()
    assert sent.keys() - put.keys() == set(), "what was rolled back is not sent"
    assert put.keys() - sent.keys() == set(), "what was committed is sent"
    for id, mail in sent.items():
        assert (mail.to, mail.subject, mail.text) == (put[id].to, put[id].subject, put[id].text)
        assert len(mail.bodies) == 1, "whoever gets it twice gets the same"
    assert any(len(mail.files) > 1 for mail in sent.values()), "who dies before it is written down sends again"
    notices = Counter(mail.to for mail in sent.values() if mail.subject == "Your password was changed")
    assert notices == Counter({told.email: told.changes for told in lives.told if told.changes}), "each change is told"


async def check_passwords(server: Server, lives: Lives) -> None:
    """The last password that was acknowledged signs in, and none before it does."""
    api = Api(server.address)
    for told in lives.told:
        if told.person is None:
            continue
        await patiently(partial(api.log_in, told.email, told.password), seconds=PATIENCE, report=lambda _: None)
        assert api.person["person"] == str(told.person)
        for former in told.former[-1:]:
            attempt = partial(api.log_in, told.email, former)
            with pytest.raises(ServerRefused) as refusal:
                await patiently(attempt, seconds=PATIENCE, report=lambda _: None)
            assert refusal.value.code == "credentials"
    await api.close()
