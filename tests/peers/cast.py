"""Everybody who may ask a server for something, what they ask, and what they get in the words of the policy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import access
import httpx
from access import ANONYMOUS, ANOTHERS, AUTHOR, MODERATOR, NOBODYS, OWN, ROLES, SIGNED_IN, Row
from community import IDS, Community, Conversing, Somebody, client_id
from resident import PASSWORD

LATER = {("POST /v1/me/verification", True)}
"""Done, and to no effect: there is nothing to verify any more."""


def rows(*tables: access.Table, kind: str | None = None) -> list[Row]:
    return [row for table in tables for row in table.rows() if kind in (None, row.kind)]


NEEDS_SOMEBODY = [
    row.operation
    for row in rows(*access.TABLES, kind=access.HTTP)
    if row.cells.get(ANONYMOUS) == ("unauthenticated",) * 2
]


# --- what is asked ----------------------------------------------------------------------------------------------------


NOTHING = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Place:
    """What an operation is about."""

    conversation: UUID
    spare: UUID
    """A member whom nobody would miss."""
    outsider: UUID
    login: UUID
    message: UUID = NOTHING
    """That is held."""
    text: str = "A heron."


BODIES: dict[str, Callable[[Place], Any]] = {
    f"PUT {access.PREFIX}/watermark": lambda _: {"read": 1},
    f"POST {access.PREFIX}/messages": lambda _: {"client_id": client_id(), "kind": "text", "body": {"text": "Hello"}},
    f"POST {access.PREFIX}/members": lambda place: {"person": {"person": str(place.outsider)}},
    "PATCH /v1/logins/{login}": lambda _: {"device": "another kettle"},
    "PATCH /v1/me": lambda _: {"name": "Ida"},
    "PUT /v1/me/password": lambda _: {"current": PASSWORD, "password": PASSWORD[::-1]},
    "PUT /v1/me/profiles/{kind}": lambda _: {"state": "active"},
    "POST /v1/conversations": lambda place: {
        "kind": "group",
        "title": "Reeds",
        "people": [{"person": str(place.outsider)}],
    },
    "POST /v1/moderation/decisions": lambda place: {"message": str(place.message), "decision": "release"},
}
"""Of what needs somebody; what is not here has none."""

Secret = Callable[[Community], Awaitable[Any]]
SECRETS: dict[str, Secret] = {}
"""Bodies of what anybody may do: what is known or was mailed is all that it takes."""


def secret(operation: str) -> Callable[[Secret], Secret]:
    def keep(make: Secret) -> Secret:
        SECRETS[operation] = make
        return make

    return keep


@secret("POST /v1/people")
async def _(_: Community) -> Any:
    return {"email": f"{IDS.new()}@example.org", "password": PASSWORD, "name": "Ida"}


@secret("POST /v1/logins")
async def _(community: Community) -> Any:
    return {"email": (await community.person()).email, "password": PASSWORD}


@secret("POST /v1/logins/refresh")
async def _(community: Community) -> Any:
    return {"refresh_token": (await community.person()).logins[0].refresh}


@secret("POST /v1/verifications")
async def _(community: Community) -> Any:
    return {"token": await community.proof(await community.person(verified=False), "verification")}


@secret("POST /v1/resets")
async def _(community: Community) -> Any:
    return {"email": (await community.person()).email}


@secret("POST /v1/resets/password")
async def _(community: Community) -> Any:
    return {"token": await community.proof(await community.person(), "reset"), "password": PASSWORD[::-1]}


PARAMS: dict[str, Callable[[Place], Any]] = {
    "conversation.create": BODIES["POST /v1/conversations"],
    "conversation.list": lambda _: {},
    "conversation.open": lambda place: {"conversation": str(place.conversation)},
    "conversation.members": lambda place: {"conversation": str(place.conversation)},
    "conversation.add": lambda place: {
        "conversation": str(place.conversation),
        "person": {"person": str(place.outsider)},
    },
    "conversation.remove": lambda place: {"conversation": str(place.conversation), "person": str(place.spare)},
    "conversation.leave": lambda place: {"conversation": str(place.conversation)},
}

FRAMES: dict[str, Callable[[str], dict[str, Any]]] = {
    "attach": lambda channel: {"channel": channel, "gen": 1},
    "sync": lambda channel: {"channel": channel, "after": 0},
    "publish": lambda channel: {
        "channel": channel,
        "client_id": client_id(),
        "n": 1,
        "kind": "text",
        "body": {"text": "Hello"},
    },
    "watermark": lambda channel: {"channel": channel, "read": 1},
    "detach": lambda channel: {"channel": channel, "gen": 1},
}


def request_of(operation: str, place: Place) -> dict[str, Any]:
    """Of httpx."""
    method, _, path = operation.partition(" ")
    places = {
        "conversation": place.conversation,
        "person": place.spare,
        "login": place.login,
        "kind": "mentor",
    }
    request: dict[str, Any] = {"method": method, "url": path.format_map(places)}
    if operation in BODIES:
        request["json"] = BODIES[operation](place)
    return request


# --- who asks ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cell:
    """`who` asks `place` for what the row says; `expected` is what they get."""

    row: Row
    column: str
    who: Somebody | None
    place: Place
    expected: str
    body: Any = None

    @property
    def changes(self) -> bool:
        done = self.expected.isdigit() and int(self.expected) < 400 if self.row.kind == access.HTTP else self.is_done
        return done and self.row.changes and (self.row.operation, self._verified) not in LATER

    @property
    def is_done(self) -> bool:
        return self.expected in ("ok", "ack")

    @property
    def _verified(self) -> bool:
        return self.who is not None and self.who.verified

    @property
    def request(self) -> dict[str, Any]:
        request = request_of(self.row.operation, self.place)
        if self.body is not None:
            request["json"] = self.body
        return request | {"headers": {} if self.who is None else self.who.bearer}

    def __str__(self) -> str:
        verified = "" if self.who is None else ", verified" if self.who.verified else ", not verified"
        return f"{self.row.operation} ({self.column}{verified})"


class Cast:
    """Everybody there is to ask, and those whom they meet."""

    def __init__(self, community: Community) -> None:
        self.community = community
        self.people: dict[tuple[str, bool], Somebody] = {}

    async def gather(self) -> None:
        for role in ROLES:
            for verified in (True, False):
                self.people[role, verified] = await self.community.person(role.replace(" ", "-"), verified=verified)
        self.boss, self.spare, self.outsider = [await self.community.person(name) for name in ("Bo", "Cem", "Dov")]

    def nowhere(self) -> Place:
        """Where nothing is."""
        return Place(IDS.new(), self.spare.id, self.outsider.id, IDS.new(), IDS.new())

    async def places(self, role: str, verified: bool) -> list[Place]:
        """Conversations in which somebody has this role, which nobody has seen yet."""
        who = self.people[role, verified].id
        community, spare = self.community, self.spare.id
        if role == "one of two":
            found = [await community.direct(who, (await community.person("Eli")).id)]
        elif role == "stranger":
            other = (await community.person("Eli")).id
            found = [await community.group(self.boss.id, [spare]), await community.direct(self.boss.id, other)]
        else:
            found = [
                await community.group(
                    who if role == "owner" else self.boss.id,
                    [spare, who] if role == "member" else [spare],
                    left=who if role == "left" else None,
                    removed=who if role == "removed" else None,
                )
            ]
        return [replace(self.nowhere(), conversation=conversation) for conversation in found]

    async def in_conversations(self, row: Row) -> list[Cell]:
        cells = []
        for role in ROLES:
            for verified in (True, False):
                who = self.people[role, verified]
                for place in await self.places(role, verified):
                    cells.append(Cell(row, role, who, place, row.expected(role, verified=verified)))
        group, direct = await self.places("stranger", True)
        return cells + [Cell(row, ANONYMOUS, None, place, row.expected(ANONYMOUS)) for place in (group, direct)]

    async def of_accounts(self, row: Row) -> list[Cell]:
        """Each by somebody new."""
        cells = []
        for column, verified in ((ANONYMOUS, False), (SIGNED_IN, True), (SIGNED_IN, False)):
            who = None if column == ANONYMOUS else await self.community.person(verified=verified, logins=2)
            make = SECRETS.get(row.operation)
            body = None if make is None else await make(self.community)
            cells.append(Cell(row, column, who, self.nowhere(), row.expected(column, verified=verified), body))
        return cells

    async def of_logins(self, row: Row) -> list[Cell]:
        cells = []
        for column in (ANONYMOUS, OWN, ANOTHERS, NOBODYS):
            for verified in (True, False):
                who = await self.community.person(verified=verified, logins=2)
                another = await self.community.person()
                login = {OWN: who.logins[1].id, NOBODYS: IDS.new()}.get(column, another.logins[0].id)
                place = replace(self.nowhere(), login=login)
                cells.append(Cell(row, column, None if column == ANONYMOUS else who, place, row.expected(column)))
        return cells

    async def of_moderation(self, row: Row) -> list[Cell]:
        """Each about a held message of its own."""
        cells = []
        for column in (ANONYMOUS, SIGNED_IN, MODERATOR, AUTHOR):
            for verified in (True, False):
                who = await self.community.person(verified=verified)
                if column in (MODERATOR, AUTHOR):
                    await self.community.appoint(who.id)
                author = who.id if column == AUTHOR else self.boss.id
                message = await self.community.hold(await self.community.group(self.boss.id, [who.id]), author)
                place = replace(self.nowhere(), message=message)
                expected = row.expected(column, verified=verified)
                cells.append(Cell(row, column, None if column == ANONYMOUS else who, place, expected))
        return cells


# --- what is answered -----------------------------------------------------------------------------------------------


def word(answer: httpx.Response) -> str:
    """In the word of the policy."""
    return str(answer.status_code) if answer.is_success else str(answer.json()["code"])


def said(answer: dict[str, Any], link: Conversing) -> str:
    """Likewise."""
    if link.closed is not None:
        return f"{answer['code']} {link.closed}" if answer.get("op") == "error" else str(link.closed)
    return str({"error": answer.get("code"), "attached": answer.get("outcome")}.get(answer["op"], answer["op"]))


def frame_of(row: Row, place: Place, channel: str = "") -> dict[str, Any]:
    if row.kind == access.COMMAND:
        return {"op": "command", "name": row.operation, "params": PARAMS[row.operation](place)}
    return {"op": row.operation, **FRAMES[row.operation](channel or f"conv:{place.conversation}")}


class Findings:
    """What was not as it should be, all of it."""

    def __init__(self) -> None:
        self.asked = 0
        self._found: list[str] = []

    def check(self, holds: bool, what: object, said: object = "") -> None:
        self.asked += 1
        if not holds:
            self._found.append(f"{what}: {said}")

    def report(self, *, least: int) -> None:
        """`least`: fewer checks mean that something was not asked."""
        assert not self._found, f"{len(self._found)} of {self.asked}:\n" + "\n".join(self._found)
        assert self.asked >= least, self.asked
