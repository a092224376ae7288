"""Requests with an Idempotency-Key, as the gateway sees them; what is kept has its tests beside the database."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiron.errors import Refused
from chiron.server.gateway.idempotency import parse_key
from chiron.server.ports import ANYONE, SIGNED_IN, Call, Principal, Request, Response, Route, Rule


class Thing(msgspec.Struct):
    name: str


class Shop:
    """Makes things, once per key."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.keys: list[tuple[str, str]] = []
        self.house: Any = None

    async def make(self, call: Call) -> Any:
        once = call.once
        if once is not None and once.outcome is not None:
            return {"number": int(once.outcome)}
        self.made.append(call.body.name)
        if once is not None:
            self.keys.append((once.route, once.key))
            self.house.memory.keep(once, str(len(self.made)).encode())
        return {"number": len(self.made)}

    async def itself(self, call: Call) -> Response:
        await self.make(call)
        return Response(200, b"done", [("content-type", "text/plain")])

    async def check(self, _principal: Principal, params: Mapping[str, Any]) -> None:
        if self.made:
            raise Refused("forbidden")


@pytest.fixture
def shop(house: Any) -> Shop:
    shop = Shop()
    shop.house = house(
        [
            Route("POST", "/things", shop.make, SIGNED_IN, body=Thing, status=201, once="kept"),
            Route("POST", "/first/{where:str}", shop.make, Rule("first", check=shop.check), body=Thing, once="kept"),
            Route("PATCH", "/itself/{n:int}", shop.itself, SIGNED_IN, body=Thing, once="kept"),
            Route("PUT", "/harmless", shop.make, SIGNED_IN, body=Thing, once="needless"),
            Route("DELETE", "/never", shop.make, SIGNED_IN, body=Thing),
            Route("POST", "/anybody", shop.make, ANYONE, body=Thing),
            Route("GET", "/things", shop.itself, SIGNED_IN, body=Thing),
        ]
    )
    return shop


async def ask(shop: Shop, method: str, target: str, key: str | None, name: str = "a", token: str = "ada") -> Any:
    headers = {} if key is None else {"idempotency-key": key}
    return await shop.house.ask(method, target, token=token, json={"name": name}, headers=headers)


async def test_a_repeat_gets_the_first_answer_and_is_told_so(shop: Shop) -> None:
    first, again = [await ask(shop, "POST", "/things", '"k"') for _ in range(2)]
    assert (first.status, first.json) == (again.status, again.json) == (201, {"number": 1})
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert shop.made == ["a"]
    assert (await ask(shop, "POST", "/things", None)).json == {"number": 2}


async def test_quoted_and_bare_are_the_same_key(shop: Shop) -> None:
    for key in ('"8e03978e-40d5-43dd-bc93-6894a57f9324"', "8e03978e-40d5-43dd-bc93-6894a57f9324"):
        assert (await ask(shop, "POST", "/things", key)).json == {"number": 1}


async def test_another_request_under_the_key_is_refused(shop: Shop) -> None:
    await ask(shop, "POST", "/things", "k")
    for answer in (await ask(shop, "POST", "/things", "k", "b"), await ask(shop, "POST", "/things?x=1", "k")):
        assert (answer.status, answer.code) == (422, "idempotency_key_reused")
    assert shop.made == ["a"]


async def test_a_key_is_of_one_route_with_its_places(shop: Shop) -> None:
    await ask(shop, "PATCH", "/itself/1", "k")
    await ask(shop, "PATCH", "/itself/2", "k")
    await ask(shop, "POST", "/things", "k")
    assert shop.keys == [("PATCH /itself/1", "k"), ("PATCH /itself/2", "k"), ("POST /things", "k")]


async def test_a_place_is_the_same_however_it_was_escaped_and_never_a_separator(shop: Shop) -> None:
    first = await ask(shop, "POST", "/first/a%2Fb", "k")
    again = await ask(shop, "POST", "/first/%61%2fb", "k")
    assert (first.status, again.status, again.headers["idempotency-replayed"]) == (200, 200, "true")
    assert shop.keys == [("POST /first/a%2Fb", "k")]


async def test_who_may_no_longer_do_it_still_hears_that_it_was_done(shop: Shop) -> None:
    assert (await ask(shop, "POST", "/first/x", "k")).json == {"number": 1}
    assert (await ask(shop, "POST", "/first/x", "other")).code == "forbidden"
    assert (await ask(shop, "POST", "/first/x", "k")).json == {"number": 1}


async def test_an_answer_of_the_handlers_own_is_marked_too(shop: Shop) -> None:
    await ask(shop, "PATCH", "/itself/1", "k")
    again = await ask(shop, "PATCH", "/itself/1", "k")
    assert (again.status, again.body, again.headers["idempotency-replayed"]) == (200, b"done", "true")


@pytest.mark.parametrize(("method", "target"), [("DELETE", "/never"), ("POST", "/anybody")])
async def test_where_a_key_would_promise_what_is_not_done_it_is_refused(shop: Shop, method: str, target: str) -> None:
    answer = await ask(shop, method, target, "k")
    assert (answer.status, answer.code, answer.json["params"]["field"]) == (422, "invalid", "Idempotency-Key")
    assert shop.made == []
    assert (await ask(shop, method, target, None)).status == 200


async def test_where_a_repeat_does_no_harm_a_key_is_taken_and_does_nothing(shop: Shop) -> None:
    for method, target in (("PUT", "/harmless"), ("GET", "/things")):
        for _ in range(2):
            answer = await ask(shop, method, target, "k")
            assert answer.status == 200
            assert "idempotency-replayed" not in answer.headers
    assert len(shop.made) == 4


@pytest.mark.parametrize(
    "key", ["", '""', '"', '"a', 'a"', '"a"b"', '"a\\b"', '"ä"', "a b", "a,b", "a;b", "a\\b", '"a";p=1', "x" * 256]
)
async def test_what_is_no_key_is_named(shop: Shop, key: str) -> None:
    answer = await ask(shop, "POST", "/things", key)
    assert (answer.status, answer.json["params"]["field"]) == (422, "Idempotency-Key")
    assert shop.made == []


async def test_two_keys_are_none(shop: Shop) -> None:
    fields = [("authorization", "Bearer ada"), ("idempotency-key", "a"), ("idempotency-key", "a")]
    request = Request("POST", "/things", fields, b"{}", "192.0.2.1")
    assert (await shop.house.gateway.respond(request)).status == 422


def test_nobody_can_build_a_gateway_that_only_seems_to_keep(house: Any) -> None:
    async def nothing(_call: Call) -> None:
        return None

    with pytest.raises(ValueError, match="cannot keep"):
        house([Route("POST", "/x", nothing, ANYONE, once="kept")])


PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=255)


@given(PRINTABLE)
def test_rfc9651_3_3_3_every_string_is_read_as_what_it_says(key: str) -> None:
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    assert parse_key(f'"{escaped}"') == key


@given(st.text(max_size=300))
def test_whatever_is_sent_is_a_key_of_printable_ascii_or_refused(value: str) -> None:
    with contextlib.suppress(Refused):
        key = parse_key(value)
        assert 1 <= len(key) <= 255
        assert all(0x20 <= ord(character) <= 0x7E for character in key)
