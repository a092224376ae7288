"""The committer against a model, with many callers, repeats that overlap the first try, and several committers."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from town import CLOCK, IDS, Office, Recorder, text_entry

from chiron.errors import ChironError
from chiron.server.chat import membership, store
from chiron.server.chat.committer import Bounds
from chiron.server.ports import Ack, Judgement, Judgements

SETTINGS = settings(
    max_examples=25,
    deadline=None,
    # Examples share the database and not its rows: each makes rooms of its own.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@dataclass(frozen=True)
class Say:
    committer: int
    room: int
    sender: int
    """3 is a member of no room."""
    client_id: int
    text: int
    """3 is held, and 4 is blocked."""


VERDICTS = {3: "hold", 4: "block"}

says = st.builds(
    Say,
    committer=st.integers(0, 2),
    room=st.integers(0, 1),
    sender=st.integers(0, 3),
    client_id=st.integers(0, 5),
    text=st.sampled_from([0, 0, 1, 3, 4]),
)


def entry(say: Say, room: UUID, sender: UUID) -> store.Entry:
    verdict = VERDICTS.get(say.text, "allow")
    judgement = Judgement(verdict, verdict)
    made = text_entry(room, sender, f"{say.client_id:026d}", str(say.text))
    return msgspec.structs.replace(made, judgements=Judgements(judgement, judgement))


async def answer(call: asyncio.Future[Ack]) -> Ack | str:
    try:
        return await call
    except ChironError as error:
        return error.code


@SETTINGS
@given(st.lists(st.lists(says, min_size=1, max_size=40), min_size=1, max_size=4), st.sampled_from([1, 3, 512]))
@example([[Say(0, 0, 0, 0, text=4), Say(0, 0, 0, 0, text=0)]], 3)
@example([[Say(0, 0, 0, 0, text=4), *[Say(0, 0, 0, 0, text=0)] * 3]], 3)
@example([[Say(0, 0, 0, 0, text=text) for text in (4, 0, 4, 3, 4, 0)]], 512)
async def test_every_history_of_several_committers_keeps_the_invariants(
    office: Office, waves: list[list[Say]], batch: int
) -> None:
    publishers = [Recorder() for _ in range(3)]
    committers = [await office.make(publisher=publisher, bounds=Bounds(batch_units=batch)) for publisher in publishers]
    rooms = [await office.room(*office.people[:3], committer=committers[0]) for _ in range(2)]
    history: list[tuple[Say, Ack | str]] = []
    for wave in waves:
        calls = [
            asyncio.ensure_future(
                committers[say.committer].append(entry(say, rooms[say.room], office.people[say.sender]))
            )
            for say in wave
        ]
        history += list(zip(wave, [await answer(call) for call in calls], strict=True))
    for committer in committers:
        await committer.stop()

    rows = {}
    for index, room in enumerate(rooms):
        await office.check(room)
        for row in await office.texts(room):
            rows[index, office.people.index(row["sender"]), int(row["client_id"])] = row

    firsts: dict[tuple[int, int, int], int] = defaultdict(int)
    latest: dict[tuple[int, int], int] = defaultdict(int)
    for say, got in history:
        name = (say.room, say.sender, say.client_id)
        if say.sender == 3:
            assert got == "not_found"
            continue
        if say.text == 4:
            assert got == ("blocked" if name not in rows else got), "what is blocked is never written"
            assert got in ("blocked", "client_id_reused")
            continue
        row = rows[name]
        assert row["verdict"] == VERDICTS.get(int(json.loads(row["body"])["text"]), "allow")
        if row["body"] != f'{{"text":"{say.text}"}}':
            assert got == "client_id_reused"
            continue
        assert isinstance(got, Ack)
        assert (got.verdict or "allow") == row["verdict"]
        assert (got.message, got.offset, got.ordinal, got.time) == (
            row["id"],
            row["offset"],
            row["ordinal"],
            row["created_at"],
        ), "an ack equals the row"
        if not got.duplicate:
            firsts[name] += 1
            assert got.offset > latest[say.committer, say.room], "calls of one committer take offsets in their order"
            latest[say.committer, say.room] = got.offset
    assert firsts == dict.fromkeys(rows, 1), "exactly one call wrote each row"

    published: dict[UUID, int] = defaultdict(int)
    for publisher in publishers:
        newest: dict[int, int] = defaultdict(int)
        for call in publisher.calls:
            if call[0] == "publish" and call[1].kind == "text":
                assert call[1].offset > newest[call[1].number], "published in order of offsets"
                newest[call[1].number] = call[1].offset
                published[call[1].message] += 1
    assert published == {row["id"]: 1 for row in rows.values()}, "each row is published once, by its writer"


@dataclass(frozen=True)
class Step:
    """What one person does; who is meant by add and remove is `other`."""

    act: str
    who: int
    other: int
    client_id: int


steps = st.builds(
    Step,
    act=st.sampled_from(["say", "say", "say", "add", "remove", "leave"]),
    who=st.integers(0, 3),
    other=st.integers(0, 3),
    client_id=st.integers(0, 3),
)


class Model:
    """A conversation as it should be after steps one by one. People are numbers, 0 owns at first."""

    def __init__(self) -> None:
        self.members = [0, 1]
        """In order of joining."""
        self.owner: int | None = 0
        self.head = 1
        self.ordinal = 0
        self.said: dict[tuple[int, int], int] = {}

    def take(self, step: Step) -> int | str | None:
        """The offset of an ack, None for a change that was made, or the code of a refusal."""
        if step.act == "say":
            if (name := (step.who, step.client_id)) in self.said:
                return self.said[name]
            if step.who not in self.members:
                return "not_found"
            self.head += 1
            self.ordinal += 1
            self.said[name] = self.head
            return self.head
        if step.who not in self.members:
            return "not_found"
        if step.act in ("add", "remove"):
            if step.who != self.owner:
                return "forbidden"
            if step.act == "add":
                if step.other in self.members:
                    return "already_member"
                self.members.append(step.other)
            elif step.other not in self.members:
                return "not_found"
            else:
                self._go(step.other)
        else:
            self._go(step.who)
        self.head += 1
        return None

    def _go(self, person: int) -> None:
        self.members.remove(person)
        if person == self.owner:
            self.owner = self.members[0] if self.members else None


@SETTINGS
@given(st.lists(steps, min_size=1, max_size=60), st.sampled_from([1, 2, 5, 512]), st.sampled_from([1, 16]))
async def test_one_committer_does_what_a_queue_would(
    office: Office, history: list[Step], batch: int, changes: int
) -> None:
    committer = await office.make(bounds=Bounds(batch_units=batch, batch_changes=changes))
    people = office.people
    room = await office.room(people[0], people[1], committer=committer)

    def begin(step: Step) -> asyncio.Future[Any]:
        who, other = people[step.who], people[step.other]
        now = CLOCK.now()
        if step.act == "say":
            return asyncio.ensure_future(committer.append(text_entry(room, who, f"{step.client_id:026d}", "same")))
        if step.act == "add":
            return asyncio.ensure_future(committer.change(membership.AddMember(room, who, IDS, now, other, "Somebody")))
        if step.act == "remove" and who != other:
            return asyncio.ensure_future(committer.change(membership.RemoveMember(room, who, IDS, now, other)))
        return asyncio.ensure_future(committer.change(membership.Leave(room, who, IDS, now)))

    def meant(step: Step) -> Step:
        # The service turns removing oneself into leaving.
        return Step("leave", step.who, step.other, 0) if step.act == "remove" and step.who == step.other else step

    calls = [begin(step) for step in history]
    answers: list[int | str | None] = []
    for call in calls:
        try:
            value = await call
            answers.append(value.offset if isinstance(value, Ack) else None)
        except ChironError as error:
            answers.append(error.code)
    await committer.stop()

    model = Model()
    assert answers == [model.take(meant(step)) for step in history]
    await office.check(room)
    (row,) = await office.fetch("SELECT head, ordinal FROM conversation WHERE id = $1", room)
    assert (row["head"], row["ordinal"]) == (model.head, model.ordinal)
    members = await office.fetch("SELECT person, role FROM member WHERE conversation = $1 AND left_at IS NULL", room)
    assert {people.index(member["person"]): member["role"] for member in members} == {
        person: "owner" if person == model.owner else "member" for person in model.members
    }
