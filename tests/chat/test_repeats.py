"""Changes of membership that are asked for twice under one key, through the gateway, on two workers of one database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from database import MigratedDatabase
from proxy import Direction, Fate, Proxy
from town import CLOCK, IDS, Recorder, Registry, register

from chiron._core import Limiter
from chiron.db.pool import Pool
from chiron.server.chat.api import ChatApi
from chiron.server.chat.service import Chat
from chiron.server.gateway import Gateway, Limits, Rates
from chiron.server.platform.cursors import SealedCursors
from chiron.server.platform.once import Kept
from chiron.server.ports import Database, Principal, Rate, Request

COMMIT = b"; COMMIT"
GENEROUS = Rate(1e6, 1e6)


class Answer:
    def __init__(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.status = status
        self.json: Any = json.loads(body) if body else None
        self.replayed = headers.get("idempotency-replayed") == "true"


class Worker:
    """Gateway and chat of one process. A token is the index of a person."""

    def __init__(self, database: Database, people: list[UUID]) -> None:
        self.people = people
        self.chat = Chat(database, IDS, CLOCK, Recorder(), Registry(), SealedCursors(b"k" * 32))
        self.gateway = Gateway(
            ChatApi(self.chat, "e1").routes(),
            verifier=self,
            limits=Limits(Limiter(100), Rates(address=GENEROUS, person=GENEROUS)),
            clock=CLOCK,
            replays=Kept(database),
        )

    def verify(self, token: str) -> Principal:
        return Principal(self.people[int(token)], UUID(int=1), CLOCK.now().timestamp() + 600, verified=True)

    def require_fresh(self) -> None:
        """Nothing is revoked here."""

    async def ask(self, method: str, path: str, who: int, body: Any = None, key: str | None = "k") -> Answer:
        headers = [("host", "h"), ("authorization", f"Bearer {who}"), ("content-type", "application/json")]
        if key is not None:
            headers.append(("idempotency-key", key))
        content = b"" if body is None else json.dumps(body).encode()
        response = await self.gateway.respond(Request(method, path, headers, content, "192.0.2.1"))
        return Answer(response.status, response.body, dict(response.headers))


class House:
    def __init__(self, database: MigratedDatabase, workers: list[Worker]) -> None:
        self.database = database
        self.workers = workers
        self.ask = workers[0].ask
        self.people = workers[0].people

    async def group(self, *others: int) -> str:
        """A group of person 0 with others; its path."""
        wanted = {"kind": "group", "title": "G", "people": [{"person": str(self.people[other])} for other in others]}
        return f"/v1/conversations/{(await self.ask('POST', '/v1/conversations', 0, wanted, None)).json['id']}"

    async def count(self, sql: str) -> int:
        found: int = await self.database.pool.read(lambda tx: tx.fetchval(f"SELECT count(*) FROM {sql}"))
        return found


@pytest.fixture
async def house(database: MigratedDatabase) -> AsyncIterator[House]:
    people = await register(database.pool, 4)
    workers = [Worker(database.pool, people) for _ in range(2)]
    for worker in workers:
        await worker.chat.start()
    yield House(database, workers)
    for worker in workers:
        await worker.chat.stop()


def wanted(house: House, kind: str, *others: int) -> dict[str, Any]:
    people = [{"person": str(house.people[other])} for other in others]
    return {"kind": kind, "people": people, **({"title": "Group"} if kind == "group" else {})}


@pytest.mark.parametrize("kind", ["group", "direct"])
async def test_a_conversation_is_made_once_by_many_at_the_same_time_on_two_workers(house: House, kind: str) -> None:
    body = wanted(house, kind, 1)
    answers = await asyncio.gather(*(house.workers[n % 2].ask("POST", "/v1/conversations", 0, body) for n in range(24)))
    assert {answer.status for answer in answers} == {201}
    assert len({answer.json["id"] for answer in answers}) == 1
    assert sum(not answer.replayed for answer in answers) == 1
    assert await house.count("conversation") == 1
    again = await house.ask("POST", "/v1/conversations", 0, body)
    assert (again.status, again.replayed) == (201, True)
    assert (await house.ask("POST", "/v1/conversations", 0, body, "other")).status == (201 if kind == "group" else 200)


async def test_a_direct_conversation_that_was_found_is_found_again_with_the_same_status(house: House) -> None:
    body = wanted(house, "direct", 1)
    await house.ask("POST", "/v1/conversations", 1, wanted(house, "direct", 0), None)
    first, again = [await house.ask("POST", "/v1/conversations", 0, body) for _ in range(2)]
    assert (first.status, first.replayed, again.status, again.replayed) == (200, False, 200, True)
    assert first.json == again.json


async def test_who_was_added_is_added_once_and_reported_as_first_even_when_gone_since(house: House) -> None:
    group = await house.group(1)
    body = {"person": {"email": "person2@example.org"}}
    answers = await asyncio.gather(*(house.workers[n % 2].ask("POST", f"{group}/members", 0, body) for n in range(12)))
    assert {answer.status for answer in answers} == {201}
    assert sum(not answer.replayed for answer in answers) == 1
    assert (await house.ask("POST", f"{group}/members", 0, body, None)).json["code"] == "already_member"
    assert (await house.ask("DELETE", f"{group}/members/{house.people[2]}", 0)).status == 204
    again = await house.ask("POST", f"{group}/members", 0, body)
    assert (again.status, again.replayed, again.json) == (201, True, answers[0].json)
    listed = await house.ask("GET", f"{group}/members", 0)
    assert str(house.people[2]) not in [item["person"] for item in listed.json["items"]]
    assert await house.count("message WHERE kind = 'member.added'") == 2


async def test_removing_and_leaving_are_answered_again_to_who_may_do_neither_any_more(house: House) -> None:
    group = await house.group(1, 2)
    for _ in range(2):
        removed = await house.ask("DELETE", f"{group}/members/{house.people[1]}", 0)
        left = await house.ask("DELETE", f"{group}/members/me", 0)
        assert (removed.status, left.status) == (204, 204)
    assert removed.replayed
    assert left.replayed
    assert (await house.ask("DELETE", f"{group}/members/me", 0, key="other")).status == 404
    assert await house.count("message WHERE kind IN ('member.removed', 'member.left')") == 2


async def test_a_refused_attempt_leaves_the_key_free(house: House) -> None:
    group = await house.group(1)
    body = {"person": {"person": str(house.people[1])}}
    assert (await house.ask("POST", f"{group}/members", 0, body)).json["code"] == "already_member"
    await house.ask("DELETE", f"{group}/members/{house.people[1]}", 0, key=None)
    added = await house.ask("POST", f"{group}/members", 0, body)
    assert (added.status, added.replayed) == (201, False)


async def test_one_key_for_two_requests_is_refused(house: House) -> None:
    await house.ask("POST", "/v1/conversations", 0, wanted(house, "group", 1))
    other = await house.ask("POST", "/v1/conversations", 0, wanted(house, "group", 2))
    assert (other.status, other.json["code"]) == (422, "idempotency_key_reused")
    mine = await house.ask("POST", "/v1/conversations", 1, wanted(house, "group", 2))
    assert (mine.status, mine.replayed) == (201, False), "somebody else's key is another one"


async def test_publish_takes_a_key_and_goes_by_its_client_id(house: House) -> None:
    group = await house.group(1)
    message = {"client_id": f"{1:026d}", "kind": "text", "body": {"text": "hi"}}
    first, again = [await house.ask("POST", f"{group}/messages", 0, message) for _ in range(2)]
    assert (first.status, again.status) == (201, 200)
    assert again.json == {**first.json, "duplicate": True}
    assert not again.replayed
    other = await house.ask("POST", f"{group}/messages", 0, {**message, "client_id": f"{2:026d}"})
    assert other.status == 201


async def test_when_the_answer_to_commit_is_lost_the_repeat_has_the_outcome(house: House) -> None:
    """The database commits, the worker never hears of it and says so, and the client asks another worker."""
    address = urlsplit(house.database.tcp_dsn)
    (port,) = parse_qs(address.query)["port"]
    async with Proxy("127.0.0.1", int(port)) as proxy:
        through = address._replace(query=f"host=127.0.0.1&port={proxy.port}").geturl()
        pool = Pool(through, size=2, acquire_timeout=0.3, commit_timeout=0.3, settle_timeout=0.5)
        cut_off = Worker(pool, house.people)
        await cut_off.chat.start()
        body = wanted(house, "group", 1)
        lost = proxy.watch(COMMIT, Direction.UP, Fate.PASS, opposite=Fate.DROP)
        answer = await cut_off.ask("POST", "/v1/conversations", 0, body)
        assert lost.is_set()
        assert answer.status == 503, answer.json
        again = await house.ask("POST", "/v1/conversations", 0, body)
        assert (again.status, again.replayed) == (201, True)
        assert await house.count("conversation") == 1
        proxy.apply(Fate.PASS)
        proxy.cut()
        await cut_off.chat.stop()
        await pool.stop(timeout=1)
