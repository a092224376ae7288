"""What the server really answers is what its own document says: every operation, with valid input and without."""

from __future__ import annotations

import itertools
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

from community import Community
from database import MigratedDatabase
from document import Document, Operation
from resident import PASSWORD, Residence, Resident, residence
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

_client_ids = (f"{number:026d}" for number in itertools.count(1))


class Asked:
    """One operation, called with valid input as its case sees fit."""

    def __init__(self, home: Residence, community: Community, document: Document, operation: Operation) -> None:
        self.home = home
        self.community = community
        self._document = document
        self._operation = operation
        self.seen: set[int] = set()

    async def __call__(
        self,
        status: int,
        who: Resident | None = None,
        *,
        body: Any = None,
        query: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        **places: str,
    ) -> Any:
        """The answer's JSON, which has this status and is as the document says."""
        answer = await self.home.http.request(
            self._operation.method,
            self._operation.target(places),
            json=body,
            params=query,
            headers={**(headers or {}), **(who.bearer if who is not None else {})},
        )
        assert answer.status_code == status, f"{self._operation.id}: {answer.status_code} {answer.text}"
        self._document.check(self._operation, status, answer.headers.get("content-type", ""), answer.content)
        self.seen.add(status)
        self.answer = answer
        return answer.json() if answer.content and "json" in answer.headers["content-type"] else None

    async def group(self, owner: Resident, *others: Resident) -> str:
        people = [{"person": other.id} for other in others]
        return await self._made(owner, "/v1/conversations", {"kind": "group", "title": "Reeds", "people": people})

    async def direct(self, one: Resident, other: Resident) -> str:
        return await self._made(one, "/v1/conversations", {"kind": "direct", "people": [{"person": other.id}]})

    async def appoint(self, who: Resident) -> None:
        """Make somebody a moderator."""
        await self.community.appoint(UUID(who.id))

    async def hold(self, conversation: str, who: Resident) -> str:
        """A message of theirs that waits for a decision."""
        return str(await self.community.hold(UUID(conversation), UUID(who.id)))

    async def _made(self, who: Resident, path: str, body: Any) -> str:
        answer = await self.home.http.post(path, json=body, headers=who.bearer)
        assert answer.is_success, answer.text
        return str(answer.json()["id"])


Case = Callable[[Asked], Awaitable[None]]
CASES: dict[str, Case] = {}


def case(operation: str) -> Callable[[Case], Case]:
    def keep(case: Case) -> Case:
        CASES[operation] = case
        return case

    return keep


# --- conversations ----------------------------------------------------------------------------------------------------


@case("post_conversations")
async def _(ask: Asked) -> None:
    ada, ben = await ask.home.move_in("Ada"), await ask.home.move_in("Ben")
    who = [{"person": ben.id}]
    made = await ask(201, ada, body={"kind": "direct", "people": who})
    assert (await ask(200, ada, body={"kind": "direct", "people": [{"email": ben.email}]}))["id"] == made["id"]
    await ask(201, ada, body={"kind": "group", "title": "Reeds", "people": who})
    await ask(404, ada, body={"kind": "direct", "people": [{"email": "nobody@example.org"}]})
    await ask(422, ada, body={"kind": "group", "title": "", "people": who})


@case("get_conversations")
async def _(ask: Asked) -> None:
    ada, ben = await ask.home.move_in("Ada"), await ask.home.move_in("Ben")
    await ask(200, ada)
    for _ in range(2):
        await ask.group(ada)
    await ask.direct(ada, ben)
    first = await ask(200, ada, query={"limit": 2})
    second = await ask(200, ada, query={"limit": 2, "cursor": first["next"]})
    assert (len(first["items"]), len(second["items"])) == (2, 1)
    await ask(422, ada, query={"cursor": "of my own making"})


@case("get_conversations_conversation")
async def _(ask: Asked) -> None:
    ada, ben = await ask.home.move_in("Ada"), await ask.home.move_in("Ben")
    await ask(200, ada, conversation=await ask.group(ada))
    await ask(200, ben, conversation=await ask.direct(ada, ben))
    await ask(404, ben, conversation=await ask.group(ada))


@case("get_conversations_conversation_members")
async def _(ask: Asked) -> None:
    ada, ben = await ask.home.move_in("Ada"), await ask.home.move_in("Ben")
    place = await ask.group(ada, ben)
    first = await ask(200, ada, query={"limit": 1}, conversation=place)
    await ask(200, ada, query={"limit": 1, "cursor": first["next"]}, conversation=place)
    await ask(422, ada, query={"limit": 0}, conversation=place)


@case("post_conversations_conversation_members")
async def _(ask: Asked) -> None:
    ada, ben, cem = [await ask.home.move_in(name) for name in ("Ada", "Ben", "Cem")]
    place = await ask.group(ada, cem)
    await ask(201, ada, body={"person": {"email": ben.email}}, conversation=place)
    await ask(409, ada, body={"person": {"person": ben.id}}, conversation=place)
    await ask(403, cem, body={"person": {"person": ben.id}}, conversation=place)
    await ask(409, ada, body={"person": {"person": cem.id}}, conversation=await ask.direct(ada, ben))


@case("delete_conversations_conversation_members_me")
async def _(ask: Asked) -> None:
    ada, ben = await ask.home.move_in("Ada"), await ask.home.move_in("Ben")
    place = await ask.group(ada, ben)
    await ask(204, ben, conversation=place)
    await ask(404, ben, conversation=place)
    await ask(409, ada, conversation=await ask.direct(ada, ben))


@case("delete_conversations_conversation_members_person")
async def _(ask: Asked) -> None:
    ada, ben = await ask.home.move_in("Ada"), await ask.home.move_in("Ben")
    place = await ask.group(ada, ben)
    await ask(403, ben, conversation=place, person=ada.id)
    await ask(204, ada, conversation=place, person=ben.id)
    await ask(404, ada, conversation=place, person=ben.id)


@case("post_conversations_conversation_messages")
async def _(ask: Asked) -> None:
    ada = await ask.home.move_in("Ada")
    place = await ask.group(ada)
    message = {"client_id": next(_client_ids), "kind": "text", "body": {"text": "A heron."}}
    made = await ask(201, ada, body=message, conversation=place)
    assert (await ask(200, ada, body=message, conversation=place))["offset"] == made["offset"]
    await ask(409, ada, body={**message, "body": {"text": "A stork."}}, conversation=place)
    await ask(413, ada, body={**message, "body": {"text": "h" * 20_000}}, conversation=place)
    await ask(422, ada, body={**message, "client_id": "1"}, conversation=place)


@case("get_conversations_conversation_messages")
async def _(ask: Asked) -> None:
    ada, ben = await ask.home.move_in("Ada"), await ask.home.move_in("Ben")
    place = await ask.group(ada, ben)
    for text in ("one", "two"):
        message = {"client_id": next(_client_ids), "kind": "text", "body": {"text": text}}
        await ask.home.http.post(f"/v1/conversations/{place}/messages", json=message, headers=ada.bearer)
    page = await ask(200, ben, query={"after": 0}, conversation=place)
    assert {item["kind"] for item in page["items"]} >= {"text"}
    await ask(200, ben, query={"before": page["head"], "limit": 1}, conversation=place)
    await ask(422, ben, query={"after": -1}, conversation=place)


@case("put_conversations_conversation_watermark")
async def _(ask: Asked) -> None:
    ada = await ask.home.move_in("Ada")
    place = await ask.group(ada)
    await ask(204, ada, body={"read": 1}, conversation=place)
    await ask(204, ada, body={}, conversation=place)
    await ask(422, ada, body={"read": 2**53}, conversation=place)


# --- accounts ---------------------------------------------------------------------------------------------------------


@case("post_people")
async def _(ask: Asked) -> None:
    account = {"email": "ida@example.org", "password": PASSWORD, "name": "Ida"}
    await ask(201, body={**account, "locale": "de-AT", "zone": "Europe/Vienna", "device": "kettle"})
    await ask(422, body={**account, "password": "short"})


@case("post_logins")
async def _(ask: Asked) -> None:
    ada = await ask.home.move_in("Ada")
    await ask(201, body={"email": ada.email, "password": PASSWORD, "device": "kettle"})
    await ask(401, body={"email": ada.email, "password": "something else"})


@case("post_logins_refresh")
async def _(ask: Asked) -> None:
    ada = await ask.home.move_in("Ada")
    await ask(200, body={"refresh_token": ada.session["refresh_token"]})
    await ask(401, body={"refresh_token": "something else"})


@case("get_logins")
async def _(ask: Asked) -> None:
    ada = await ask.home.move_in("Ada")
    await ask.home.sign_in(ada)
    first = await ask(200, ada, query={"limit": 1})
    second = await ask(200, ada, query={"limit": 1, "cursor": first["next"]})
    assert [item["current"] for item in (*first["items"], *second["items"])] == [True, False]
    await ask(422, ada, query={"cursor": first["next"][:-2]})


@case("patch_logins_login")
async def _(ask: Asked) -> None:
    ada, ben = await ask.home.move_in("Ada"), await ask.home.move_in("Ben")
    assert (await ask(200, ada, body={"device": "kettle"}, login=await login_of(ask, ada)))["device"] == "kettle"
    await ask(404, ada, body={"device": "kettle"}, login=await login_of(ask, ben))


@case("delete_logins_login")
async def _(ask: Asked) -> None:
    ada, ben = await ask.home.move_in("Ada"), await ask.home.move_in("Ben")
    await ask(404, ada, login=await login_of(ask, ben))
    await ask(204, ada, login=await login_of(ask, ada))
    await ask(401, ada, login=ada.id)


@case("delete_logins_current")
async def _(ask: Asked) -> None:
    ada = await ask.home.move_in("Ada")
    await ask(204, ada)
    await ask(401, ada)


@case("delete_logins_others")
async def _(ask: Asked) -> None:
    await ask(204, await ask.home.move_in("Ada"))


@case("get_me")
async def _(ask: Asked) -> None:
    await ask(200, await ask.home.move_in("Ada"))


@case("patch_me")
async def _(ask: Asked) -> None:
    ada = await ask.home.move_in("Ada")
    assert (await ask(200, ada, body={"name": "Ida", "zone": "Europe/Vienna"}))["name"] == "Ida"
    await ask(200, ada, body={})
    await ask(422, ada, body={"zone": "Middle/Earth"})


@case("put_me_password")
async def _(ask: Asked) -> None:
    ada = await ask.home.move_in("Ada")
    await ask(401, ada, body={"current": "something else", "password": PASSWORD[::-1]})
    await ask(422, ada, body={"current": PASSWORD, "password": "short"})
    await ask(204, ada, body={"current": PASSWORD, "password": PASSWORD[::-1]})


@case("get_me_profiles")
async def _(ask: Asked) -> None:
    ada = await ask.home.move_in("Ada")
    await ask(200, ada)
    await ask.home.http.put("/v1/me/profiles/mentor", json={"state": "active"}, headers=ada.bearer)
    assert len((await ask(200, ada))["items"]) == 1


@case("put_me_profiles_kind")
async def _(ask: Asked) -> None:
    ada = await ask.home.move_in("Ada")
    await ask(200, ada, body={"state": "active"}, kind="mentor")
    await ask(404, ada, body={"state": "active"}, kind="tormentor")
    await ask(422, ada, body={"state": "asleep"}, kind="mentee")


@case("post_me_verification")
async def _(ask: Asked) -> None:
    await ask(202, await ask.home.move_in("Eve", verified=False))


@case("post_verifications")
async def _(ask: Asked) -> None:
    eve = await ask.home.move_in("Eve", verified=False)
    await ask(204, body={"token": await ask.home.token(eve.email, "verify")})
    await ask(410, body={"token": "of my own making"})


@case("post_resets")
async def _(ask: Asked) -> None:
    await ask(202, body={"email": (await ask.home.move_in("Ada")).email})
    await ask(202, body={"email": "nobody@example.org"})


@case("post_resets_password")
async def _(ask: Asked) -> None:
    ada = await ask.home.move_in("Ada")
    await ask.home.http.post("/v1/resets", json={"email": ada.email})
    token = await ask.home.token(ada.email, "reset")
    await ask(204, body={"token": token, "password": PASSWORD[::-1]})
    await ask(410, body={"token": token, "password": PASSWORD})


# --- moderation -------------------------------------------------------------------------------------------------------


@case("get_moderation_held")
async def _(ask: Asked) -> None:
    mia, ada = await ask.home.move_in("Mia"), await ask.home.move_in("Ada")
    place = await ask.group(ada)
    await ask(403, mia)
    await ask.appoint(mia)
    for _ in range(2):
        await ask.hold(place, ada)
    first = await ask(200, mia, query={"limit": 1})
    second = await ask(200, mia, query={"limit": 1, "cursor": first["next"]})
    assert [item["text"] for item in (*first["items"], *second["items"])] == ["A heron.", "A heron."]
    await ask(422, mia, query={"cursor": "of my own making"})


@case("post_moderation_decisions")
async def _(ask: Asked) -> None:
    mia, ada = await ask.home.move_in("Mia"), await ask.home.move_in("Ada")
    place = await ask.group(ada, mia)
    decision = {"message": await ask.hold(place, ada), "decision": "release"}
    await ask(403, mia, body=decision)
    await ask.appoint(mia)
    made = await ask(200, mia, body=decision)
    assert await ask(200, mia, body=decision) == made
    await ask(409, mia, body={**decision, "decision": "refuse"})
    await ask(403, mia, body={**decision, "message": await ask.hold(place, mia)})
    await ask(404, mia, body={**decision, "message": place})
    await ask(422, mia, body={**decision, "decision": "ponder"})


async def login_of(ask: Asked, who: Resident) -> str:
    logins = (await ask.home.http.get("/v1/logins", headers=who.bearer)).json()["items"]
    return str(next(item["login"] for item in logins if item["current"]))


# --- the server itself ------------------------------------------------------------------------------------------------


@case("get_well_known_jwks_json")
@case("get_transports")
@case("get_livez")
@case("get_readyz")
async def _(ask: Asked) -> None:
    await ask(200)


@case("get_openapi_json")
@case("get_docs")
@case("get_page")
async def _(ask: Asked) -> None:
    await ask(200)
    await ask(304, headers={"if-none-match": ask.answer.headers["etag"]})


@case("get_realtime")
async def _(ask: Asked) -> None:
    await ask(426)
    url = f"ws://127.0.0.1:{ask.home.port}/v1/realtime"
    async with connect(url, subprotocols=[Subprotocol("chiron.v1.json")], proxy=None):
        ask.seen.add(101)


# --- the tests --------------------------------------------------------------------------------------------------------


async def read_document(home: Residence) -> Document:
    return Document((await home.http.get("/openapi.json")).json())


async def test_every_operation_answers_as_the_document_says(database: MigratedDatabase, tmp_path: Path) -> None:
    failures: list[Exception] = []
    async with residence(database.dsn, tmp_path) as home:
        document = await read_document(home)
        community = await Community.found(database)
        assert set(document.operations) == set(CASES), "each operation has a case here, and each case its operation"
        for name, operation in document.operations.items():
            ask = Asked(home, community, document, operation)
            try:
                await CASES[name](ask)
                missing = document.successes(operation) - ask.seen
                assert not missing, f"{name} was never seen to answer {missing}"
            except Exception as error:
                error.add_note(name)
                failures.append(error)
    if failures:
        raise ExceptionGroup("what the document says is not what is answered", failures)


async def test_every_operation_refuses_as_the_document_says(database: MigratedDatabase, tmp_path: Path) -> None:
    async with residence(database.dsn, tmp_path) as home:
        document = await read_document(home)
        ada = await home.move_in("Ada")
        await (await Community.found(database)).appoint(UUID(ada.id))
        group = {"kind": "group", "title": "Reeds", "people": []}
        place = (await home.http.post("/v1/conversations", json=group, headers=ada.bearer)).json()["id"]
        login = (await home.http.get("/v1/logins", headers=ada.bearer)).json()["items"][0]["login"]
        places = {"conversation": place, "person": ada.id, "login": login, "kind": "mentor"}

        async def refused(operation: Operation, code: str, **request: Any) -> None:
            answer = await home.http.request(operation.method, operation.target(places), **request)
            document.check(operation, answer.status_code, answer.headers["content-type"], answer.content)
            assert answer.json()["code"] == code, operation.id

        for operation in document.operations.values():
            if operation.id not in ("get_page", "get_realtime"):  # a file for everybody, and what is yet to be upgraded
                await refused(operation, "origin", headers={"origin": "https://elsewhere.example"})
            if operation.signed_in:
                await refused(operation, "unauthenticated")
                await refused(operation, "unauthenticated", headers={"authorization": "Bearer of.bad.tidings"})
            if operation.takes_body:
                bearer = ada.bearer if operation.signed_in else {}
                media = {"content-type": "application/json", **bearer}
                await refused(operation, "unsupported", headers=bearer, content=b"{}")
                await refused(operation, "bad_request", headers=media, content=b"{")
                await refused(operation, "bad_request", headers=media, content=b'{"x":' + b"[" * 10_000)
                await refused(operation, "invalid", headers=media, content=json.dumps([]).encode())
                await refused(operation, "too_large", headers=media, content=b" " * (1 << 21))
            if operation.method != "GET":
                bearer = ada.bearer if operation.signed_in else {}
                await refused(operation, "invalid", headers={"idempotency-key": '"', **bearer})


async def test_who_is_not_verified_is_told_where_the_document_says_so(
    database: MigratedDatabase, tmp_path: Path
) -> None:
    async with residence(database.dsn, tmp_path) as home:
        document = await read_document(home)
        eve = await home.move_in("Eve", verified=False)
        nowhere = "00000000-0000-7000-8000-000000000000"
        places = dict.fromkeys(("conversation", "person", "login", "kind"), nowhere)
        for operation in document.operations.values():
            if operation.described["x-verified"]:
                answer = await home.http.request(operation.method, operation.target(places), headers=eve.bearer)
                document.check(operation, answer.status_code, answer.headers["content-type"], answer.content)
                assert answer.json()["code"] == "unverified", operation.id
