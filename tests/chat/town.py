"""A town of people who chat, an office of committers, and a publisher that remembers: what tests of chat share."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from database import MigratedDatabase

from chiron.server.chat import bodies, membership, model, store
from chiron.server.chat.committer import Committer
from chiron.server.chat.service import Chat
from chiron.server.platform.clock import SystemClock
from chiron.server.platform.ids import UuidV7
from chiron.server.ports import (
    ALLOWED,
    Ack,
    Database,
    Draft,
    Finding,
    Judgement,
    Judgements,
    Principal,
    Record,
    Run,
    Tx,
)

CLOCK = SystemClock()
IDS = UuidV7(CLOCK)
_ulids = itertools.count()


def ulid() -> str:
    """A client id that no other call gives."""
    return f"{next(_ulids):026d}"


@dataclass
class Recorder:
    """A publisher that keeps everything, in order."""

    calls: list[tuple[Any, ...]] = field(default_factory=list)

    def publish(self, record: Record, *, link: int = 0) -> None:
        self.calls.append(("publish", record, link))

    def event(self, number: int, kind: str, key: str, body: bytes, *, link: int = 0) -> None:
        self.calls.append(("event", number, kind, key, json.loads(body)))

    def tell(self, person: UUID, kind: str, key: str, body: bytes) -> None:
        self.calls.append(("tell", person, kind, key, json.loads(body)))

    def revoke(self, number: int, person: UUID) -> None:
        self.calls.append(("revoke", number, person))

    def end_login(self, login: UUID) -> None:
        self.calls.append(("end_login", login))

    def records(self, number: int) -> list[Record]:
        return [call[1] for call in self.calls if call[0] == "publish" and call[1].number == number]

    def told(self, person: UUID) -> list[dict[str, Any]]:
        return [call[4] for call in self.calls if call[0] == "tell" and call[1] == person]

    def events(self, number: int) -> list[dict[str, Any]]:
        return [call[4] for call in self.calls if call[0] == "event" and call[1] == number]


class Registry:
    """Who there is (`ports.People`)."""

    async def by_id(self, tx: Tx, people: Sequence[UUID]) -> dict[UUID, str]:
        rows = await tx.fetch("SELECT person, name FROM person_private WHERE person = ANY($1)", list(people))
        return {row["person"]: row["name"] for row in rows}

    async def by_email(self, tx: Tx, email: str, *, asker: UUID) -> UUID | None:
        person: UUID | None = await tx.fetchval("SELECT person FROM person_private WHERE email = $1", email)
        return person


@dataclass
class Words:
    """A screening that goes by words of the text: `held`, `blocked`, `flagged`, `shadow` (held, and nothing done) and
    `group` (held in groups alone)."""

    kept: list[Finding] = field(default_factory=list)
    scores: list[Any] = field(default_factory=list)

    def judge(self, score: Any, text: Callable[[], str]) -> Judgements:
        self.scores.append(score)
        words = text().split()
        for word, verdict in (("blocked", "block"), ("held", "hold"), ("group", "hold"), ("flagged", "flag")):
            if word in words:
                judgement = Judgement(verdict, "allow" if "shadow" in words else verdict, ("abuse",))
                return Judgements(Judgement() if word == "group" else judgement, judgement, f"{words}")
        return ALLOWED

    async def keep(self, tx: Tx, findings: Sequence[Finding]) -> None:
        self.kept += findings
        await tx.executemany(
            """INSERT INTO finding (message, conversation, kind, "offset", sender, verdict, done, reasons, scores,
                                    severity, detail, model, created_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '{0.9, 0, 0, 0, 0}', 0, '{}', '', $9)""",
            [
                (
                    *(found.message, found.conversation, found.kind, found.offset, found.sender),
                    *(found.judgement.verdict, found.judgement.done, found.judgement.reasons, found.time),
                )
                for found in findings
            ],
        )

    async def has_kept(self, tx: Tx, message: UUID) -> bool:
        return bool(await tx.fetchval("SELECT count(*) FROM finding WHERE message = $1", message))


async def register(database: Database, count: int) -> list[UUID]:
    """People called Person 0, Person 1, …, with addresses person0@example.org…"""
    people = [IDS.new() for _ in range(count)]

    async def work(tx: Tx) -> None:
        await tx.executemany(
            "INSERT INTO person (id, number, created_at) VALUES ($1, nextval('channel_number'), $2)",
            [(person, CLOCK.now()) for person in people],
        )
        taken = await tx.fetchval("SELECT count(*) FROM person_private")
        await tx.executemany(
            "INSERT INTO person_private (person, email, name, password) VALUES ($1, $2, $3, '')",
            [
                (person, f"person{index}@example.org", f"Person {index}")
                for index, person in enumerate(people, start=taken)
            ],
        )

    await database.run(work)
    return people


def text_entry(conversation: UUID, sender: UUID, client_id: str, text: str) -> store.Entry:
    body = bodies.encode(bodies.Text(text))
    return store.Entry(
        id=IDS.new(),
        conversation=conversation,
        sender=sender,
        client_id=client_id,
        kind="text",
        body=body,
        body_hash=bodies.digest("text", None, body),
        time=CLOCK.now(),
    )


def principal(person: UUID) -> Principal:
    return Principal(person=person, login=UUID(int=1), expires_at=time.time() + 600, verified=True)


@dataclass
class Town:
    """The service with its surroundings."""

    database: Database
    chat: Chat
    publisher: Recorder
    people: list[UUID]
    words: Words = field(default_factory=Words)
    heard: list[tuple[UUID, Record]] = field(default_factory=list)

    async def decide(self, conversation: UUID, ack: Ack, *, release: bool) -> int:
        """The offset of the decision on what the ack is of."""

        async def note(_: Tx) -> None:
            pass

        return await self.chat.decide(
            conversation, ack.message, ack.offset, release=release, now=CLOCK.now(), note=note
        )

    async def group(self, *members: int, title: str = "A group") -> model.Conversation:
        """A group of people by index; the first owns it."""
        owner, *others = (self.people[index] for index in members)
        wanted = model.Create(kind="group", title=title, people=[model.Who(person=person) for person in others])
        return (await self.chat.create(owner, wanted))[0]

    async def direct(self, one: int, other: int) -> model.Conversation:
        wanted = model.Create(kind="direct", people=[model.Who(person=self.people[other])])
        return (await self.chat.create(self.people[one], wanted))[0]

    async def say(
        self,
        sender: int,
        conversation: UUID,
        text: str,
        *,
        client_id: str | None = None,
        link: int = 0,
        run: Run | None = None,
    ) -> Ack:
        return await self.chat.publish(
            Draft(
                principal=principal(self.people[sender]),
                target=conversation,
                client_id=client_id or ulid(),
                kind="text",
                body=json.dumps({"text": text}).encode(),
                link=link,
                run=run,
            )
        )

    async def fetch(self, sql: str, *args: Any) -> Sequence[Any]:
        return await self.database.read(lambda tx: tx.fetch(sql, *args))


@dataclass
class Office:
    """Committers on one database, with rooms to write to and no service around them."""

    migrated: MigratedDatabase
    people: list[UUID]
    changed: list[UUID]
    make: Callable[..., Awaitable[Committer]]

    async def room(self, *members: UUID, committer: Committer) -> UUID:
        owner, *others = members
        change = membership.CreateGroup(IDS.new(), owner, IDS, CLOCK.now(), "Room", dict.fromkeys(others, "Somebody"))
        conversation, _ = await committer.change(change)
        return conversation

    async def fetch(self, sql: str, *args: Any) -> Sequence[Any]:
        return await self.migrated.pool.read(lambda tx: tx.fetch(sql, *args))

    async def texts(self, conversation: UUID) -> list[Any]:
        """Rows of kind text, in order of offset."""
        return list(
            await self.fetch(
                "SELECT * FROM message WHERE conversation = $1 AND kind = 'text' ORDER BY \"offset\"", conversation
            )
        )

    async def check(self, conversation: UUID) -> None:
        """The invariants that no history may break."""
        rows = await self.fetch('SELECT * FROM message WHERE conversation = $1 ORDER BY "offset"', conversation)
        (room,) = await self.fetch("SELECT * FROM conversation WHERE id = $1", conversation)
        assert [row["offset"] for row in rows] == list(range(1, room["head"] + 1)), "offsets are gapless from 1"
        names = [(row["sender"], row["client_id"]) for row in rows]
        assert len(set(names)) == len(names), "one message per client id"
        counts = [row["kind"] == "text" and row["verdict"] != "hold" for row in rows]
        counted = list(itertools.accumulate(map(int, counts)))
        assert [row["ordinal"] for row in rows] == counted, "an ordinal counts what counts as unread"
        assert room["ordinal"] == (counted[-1] if counted else 0)
        for member in await self.fetch("SELECT * FROM member WHERE conversation = $1", conversation):
            recount = sum(
                counting and row["offset"] > member["read"] for row, counting in zip(rows, counts, strict=True)
            )
            if member["left_at"] is None:
                assert room["ordinal"] - member["read_ordinal"] == recount, "unread equals a recount"
            assert member["read"] <= member["received"] <= room["head"]
        members = sum(
            row["left_at"] is None
            for row in await self.fetch("SELECT left_at FROM member WHERE conversation = $1", conversation)
        )
        assert room["members"] == members


async def eventually(condition: Callable[[], bool], what: str, deadline: float = 10.0) -> None:
    """Wait for a condition, checked at every turn of the loop."""
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, f"waited {deadline} s for: {what}"
        await asyncio.sleep(0.005)
