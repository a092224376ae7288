"""Two communities in one database: whatever their people do and try, nobody hears of what is not theirs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import pytest
from community import IDS, Address, Community, Somebody, client_id
from database import MigratedDatabase
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from raw_link import Closed, RawLink

EXAMPLES, STEPS = 8, 30
SECONDS = 30.0
ROOMS = 4
"""Few, so that much happens in each."""
PEOPLE = 3
"""Of each community."""

SETTINGS = hypothesis.settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[hypothesis.Phase.generate],
    suppress_health_check=list(hypothesis.HealthCheck),
    print_blob=False,
)

ACTIONS = ["say", "say", "say", "add", "add", "remove", "remove", "leave", "attach", "mark", "create", "pry", "look"]

whoever = st.integers(0, 2 * PEOPLE - 1)
which = st.integers(0, 1_000)


class Room:
    """A conversation as the model has it."""

    def __init__(self, id: str, side: int, members: set[int], *, direct: bool = False) -> None:
        self.id = id
        self.side = side
        self.members = members
        self.direct = direct


class Town(RuleBasedStateMachine):
    """Each person is a number; the first half are of one community, the others of the other.

    All that anybody is told is looked through at once for what they may not know: a text that was said while they were
    no member, or in a conversation in which they are no member now; an id or a name of the other community.
    """

    address: Address
    people: Sequence[Somebody]
    """Filled anew for each run by `arrive`."""

    def __init__(self) -> None:
        super().__init__()
        self.people = self.arrive()
        self.rooms: list[Room] = []
        self.texts: dict[str, tuple[Room, set[int]]] = {}
        """By what was said: where, and who was there."""
        self.secrets: list[set[str]] = [set(), set()]
        """Of each community: ids and names that the other must not be told."""
        for number, person in enumerate(self.people):
            self.secrets[self._side(number)] |= {
                str(person.id),
                person.name,
                person.email,
                *(str(login.id) for login in person.logins),
            }
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.address.port}", trust_env=False, timeout=SECONDS)
        self.links = [RawLink(self.address.port, SECONDS) for _ in self.people]
        self._frames = 0
        for number in range(len(self.people)):
            self._frame(number, "connect", token=self.people[number].access)

    def arrive(self) -> Sequence[Somebody]:
        raise NotImplementedError

    def teardown(self) -> None:
        try:
            for number in range(len(self.people)):
                self.look_around(number)
                for room in self.rooms:
                    self.try_everything(number, room)
        finally:
            for link in self.links:
                link.__exit__(None, None, None)
            self.http.close()

    # --- what people do ----------------------------------------------------------------------------------------------

    @initialize(others=st.sets(whoever, max_size=2), more=st.sets(whoever, max_size=2))
    def begin(self, others: set[int], more: set[int]) -> None:
        """A group in each community."""
        self.create(0, "group", others)
        self.create(PEOPLE, "group", more)

    @rule(action=st.sampled_from(ACTIONS), who=whoever, where=which, whom=whoever, by_link=st.booleans())
    def act(self, action: str, who: int, where: int, whom: int, by_link: bool) -> None:
        """One rule with all in it: of several, a run would do only some."""
        room = self.rooms[where % len(self.rooms)]
        match action:
            case "create" if len(self.rooms) < ROOMS:
                self.create(who, "direct" if by_link else "group", {whom, (whom + 1) % (2 * PEOPLE)})
            case "add":
                self.add(who, room, whom)
            case "remove":
                self.remove(who, room, whom, attached=by_link)
            case "leave":
                self.leave(who, room)
            case "say":
                self.say(who, room, by_link=by_link)
            case "attach":
                self.attach(who, room)
            case "mark":
                self._frame(who, "watermark", channel=f"conv:{room.id}", read=where)
            case "pry":
                self.try_everything(who, room)
            case "look":
                self.look_around(who)

    def create(self, who: int, kind: str, others: set[int]) -> None:
        others = {self._side(who) * PEOPLE + other % PEOPLE for other in others} - {who}
        if kind == "direct":
            others = set(sorted(others)[:1])
            if not others:
                return
        people = [{"person": str(self.people[other].id)} for other in sorted(others)]
        title = f"title-{IDS.new()}"
        answer = self._ask(who, "POST", "/v1/conversations", {"kind": kind, "people": people, "title": title})
        made = answer.json()
        if answer.status_code == 201:
            self.rooms.append(Room(made["id"], self._side(who), {who, *others}, direct=kind == "direct"))
            self.secrets[self._side(who)] |= {made["id"], *([title] if kind == "group" else [])}

    def add(self, who: int, room: Room, whom: int) -> None:
        whom = room.side * PEOPLE + whom % PEOPLE  # an owner may add anybody: the two would be one community
        person = {"person": {"person": str(self.people[whom].id)}}
        for by in (who, *sorted(room.members)):
            if self._ask(by, "POST", f"/v1/conversations/{room.id}/members", person).is_success:
                assert by in room.members
                room.members.add(whom)
                return

    def remove(self, who: int, room: Room, whom: int, *, attached: bool) -> None:
        """By whoever may; sometimes while the other listens."""
        whom = room.side * PEOPLE + whom % PEOPLE
        if attached:
            self.attach(whom, room)
        for by in (who, *sorted(room.members - {whom})):
            if self._ask(by, "DELETE", f"/v1/conversations/{room.id}/members/{self.people[whom].id}").is_success:
                assert room.members >= {by, whom}
                room.members.discard(whom)
                break
        for other in sorted(room.members):
            self.say(other, room, by_link=attached)

    def leave(self, who: int, room: Room) -> None:
        if self._ask(who, "DELETE", f"/v1/conversations/{room.id}/members/me").is_success:
            assert who in room.members
            room.members.discard(who)

    def say(self, who: int, room: Room, *, by_link: bool) -> None:
        text = f"text-{IDS.new()}"
        message = {"client_id": client_id(), "kind": "text", "body": {"text": text}}
        self.texts[text] = (room, set(room.members) if who in room.members else set())
        if by_link:
            answer = self._frame(who, "publish", channel=f"conv:{room.id}", n=self._next(who, room), **message)
            said = answer["op"] == "ack"
        else:
            said = self._ask(who, "POST", f"/v1/conversations/{room.id}/messages", message).is_success
        assert said == (who in room.members)

    def attach(self, who: int, room: Room) -> None:
        self._frames += 1
        answer = self._frame(who, "attach", channel=f"conv:{room.id}", gen=self._frames)
        assert (answer["outcome"] != "denied") == (who in room.members)

    # --- what they are told -------------------------------------------------------------------------------------------

    def look_around(self, who: int) -> None:
        """All lists, page by page, and devices of others."""
        for path in ("/v1/me", "/v1/me/profiles", "/v1/logins", "/v1/conversations"):
            self._pages(who, path)
        self._frame(who, "command", name="conversation.list", params={"limit": 200})
        self._frame(who, "sync", channel=f"person:{self.people[who].id}", after=0)
        for whose, person in enumerate(self.people):
            answer = self._ask(who, "PATCH", f"/v1/logins/{person.logins[0].id}", {"device": "kettle"})
            assert answer.is_success == (who == whose)
        listed = {item["id"] for item in self._pages(who, "/v1/conversations")}
        mine = {room.id for room in self.rooms if who in room.members}
        assert listed == mine

    def try_everything(self, who: int, room: Room) -> None:
        """To read a conversation, in every way that there is."""
        place = f"/v1/conversations/{room.id}"
        may = who in room.members
        for path in (place, f"{place}/messages?after=0", f"{place}/messages?before=9000"):
            assert self._ask(who, "GET", path).is_success == may
        members = {item["person"] for item in self._pages(who, f"{place}/members")}
        assert members == ({str(self.people[number].id) for number in room.members} if may else set())
        for name in ("conversation.open", "conversation.members"):
            answer = self._frame(who, "command", name=name, params={"conversation": room.id})
            assert (answer["op"] == "ok") == may
        for position in ({"after": 0}, {"before": 9000}):
            answer = self._frame(who, "sync", channel=f"conv:{room.id}", **position)
            assert (answer["op"] == "page") == may

    # --- parts --------------------------------------------------------------------------------------------------------

    def _side(self, who: int) -> int:
        return who // PEOPLE

    def _next(self, who: int, room: Room) -> int:
        counts: dict[str, int] = self.__dict__.setdefault(f"_counts_{who}", {})
        counts[room.id] = counts.get(room.id, 0) + 1
        return counts[room.id]

    def _pages(self, who: int, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            answer = self._ask(who, "GET", f"{path}?limit=2{cursor}")
            if not answer.is_success:
                return found
            page = answer.json()
            found += page.get("items", [])
            if "next" not in page:
                return found
            cursor = f"&cursor={page['next']}"

    def _ask(self, who: int, method: str, path: str, body: Any = None) -> httpx.Response:
        answer = self.http.request(method, path, json=body, headers=self.people[who].bearer)
        assert answer.status_code < 500, answer.text
        self._check(who, answer.text, asked=f"{path} {json.dumps(body)}", now=True)
        return answer

    def _frame(self, who: int, op: str, **members: Any) -> dict[str, Any]:
        """The answer; what the link says meanwhile is looked through, too."""
        self._frames += 1
        link, id = self.links[who], self._frames
        link.say(op=op, id=id, **members)
        while True:
            try:
                heard = link.hear().decode()
            except Closed as closed:
                raise AssertionError(f"the link of {who} was closed with {closed.code}") from closed
            frame: dict[str, Any] = json.loads(heard)
            answers = frame.get("id") == id
            self._check(who, heard, asked=json.dumps(members), now=answers)
            if answers:
                return frame

    def _check(self, who: int, told: str, *, asked: str, now: bool) -> None:
        """`asked`: what they said themselves may be repeated to them. `now`: it is of this moment, no earlier event."""
        for secret in self.secrets[1 - self._side(who)]:
            assert secret not in told or secret in asked, (who, secret, told)
        for text, (room, present) in self.texts.items():
            if text in told and text not in asked:
                assert who in present, (who, text, told)
                assert not now or who in room.members, (who, text, told)


@pytest.fixture
async def community(database: MigratedDatabase) -> Community:
    return await Community.found(database)


async def test_nobody_hears_of_what_is_not_theirs(community: Community, tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    runs = 0

    async def people() -> list[Somebody]:
        return [await community.person(f"name-{IDS.new()}") for _ in range(2 * PEOPLE)]

    async with community.serve(tmp_path) as served:

        class Here(Town):
            address = served

            def arrive(self) -> Sequence[Somebody]:
                nonlocal runs
                runs += 1
                return asyncio.run_coroutine_threadsafe(people(), loop).result(SECONDS)

        await asyncio.to_thread(run_state_machine_as_test, Here, settings=SETTINGS)
    assert runs >= EXAMPLES
