"""What a client gets for each thing that it can do right or wrong."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from chiron.errors import CODES, Refused, Unavailable
from chiron.server.gateway import Rates
from chiron.server.ports import ANYONE, SIGNED_IN, Call, Principal, Rate, Request, Response, Route, Rule


class Person(msgspec.Struct):
    name: str
    age: int = 0
    tags: list[str] = []


class Window(msgspec.Struct):
    after: int = 0
    limit: int = 10


async def echo(call: Call) -> Any:
    return call.body


def post(**kwargs: Any) -> Route:
    return Route("POST", "/v1/people", echo, ANYONE, body=Person, **kwargs)


async def hello(call: Call) -> dict[str, str]:
    return {"hello": str(call.person)}


ME = Route("GET", "/v1/me", hello, SIGNED_IN)


async def test_a_result_is_json_that_nobody_stores(house: Any) -> None:
    answer = await house([post(status=201)]).ask("POST", "/v1/people", json={"name": "Ada", "unknown": 1})
    assert answer.status == 201
    assert answer.json == {"name": "Ada", "age": 0, "tags": []}
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["date"] == "Tue, 24 Nov 2026 12:00:00 GMT"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_no_result_is_204(house: Any) -> None:
    async def nothing(_call: Call) -> None:
        return None

    answer = await house([Route("DELETE", "/v1/x", nothing, ANYONE)]).ask("DELETE", "/v1/x")
    assert (answer.status, answer.body) == (204, b"")


async def test_a_handler_may_answer_itself(house: Any) -> None:
    async def plain(_call: Call) -> Response:
        return Response(202, b"later", [("content-type", "text/plain"), ("cache-control", "max-age=5")])

    answer = await house([Route("GET", "/x", plain, ANYONE)]).ask("GET", "/x")
    assert (answer.status, answer.body, answer.headers["cache-control"]) == (202, b"later", "max-age=5")


async def test_path_places_and_query_reach_the_handler_typed(house: Any) -> None:
    async def handler(call: Call) -> Any:
        return [call.params["room"].hex, call.query.after, call.query.limit]

    route = Route("GET", "/v1/rooms/{room:uuid}", handler, ANYONE, query=Window)
    answer = await house([route]).ask("GET", f"/v1/rooms/{UUID(int=7)}?after=41&other=x")
    assert answer.json == [UUID(int=7).hex, 41, 10]


@pytest.mark.parametrize(
    ("query", "field"),
    [("after=x", "after"), ("after=1&after=2", "after"), ("limit=1.5", "limit"), ("after=%00", "after")],
)
async def test_a_query_that_does_not_fit_is_named(house: Any, query: str, field: str) -> None:
    route = Route("GET", "/v1/x", echo, ANYONE, query=Window)
    answer = await house([route]).ask("GET", f"/v1/x?{query}")
    assert (answer.status, answer.json["params"]["field"]) == (422, field)


# --- bodies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"age": 3}, "name"),
        ({"name": 5}, "name"),
        ({"name": "Ada", "tags": ["a", 2]}, "tags[1]"),
        ({"name": "Ada", "age": "3"}, "age"),
        ([], "body"),
        ({"name": "a\0b"}, "name"),
        ({"name": "Ada", "tags": ["\0"]}, "tags[0]"),
    ],
)
async def test_a_body_that_does_not_fit_is_named(house: Any, body: Any, field: str) -> None:
    answer = await house([post()]).ask("POST", "/v1/people", json=body)
    assert answer.status == 422
    assert answer.code == "invalid"
    assert answer.json["params"]["field"] == field
    assert answer.json["params"]["reason"]
    assert answer.json["title"].startswith(f"{field}: ")


async def test_nul_in_what_is_not_known_is_skipped_with_it(house: Any) -> None:
    answer = await house([post()]).ask("POST", "/v1/people", json={"name": "Ada", "more": [0, {"\0": "\0"}]})
    assert (answer.status, answer.json["name"]) == (200, "Ada")


async def test_an_escaped_backslash_before_u0000_is_no_nul(house: Any) -> None:
    answer = await house([post()]).ask("POST", "/v1/people", json={"name": "a\\u0000"})
    assert answer.json["name"] == "a\\u0000"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"name": "\xff"}', b'{"name": "\\ud800"}', b"nul", b'{"x":' * 100_000, b'{"x":' + b"[" * 100_000],
    ids=["empty", "cut", "not_utf8", "lone_surrogate", "word", "deep_object", "deep_list"],
)
async def test_what_is_no_json_is_a_bad_request(house: Any, body: bytes) -> None:
    answer = await house([post()]).ask("POST", "/v1/people", body=body, headers={"content-type": "application/json"})
    assert (answer.status, answer.code) == (400, "bad_request")


@pytest.mark.parametrize("given", [None, "text/plain", "application/x-www-form-urlencoded"])
async def test_another_content_type_is_unsupported(house: Any, given: str | None) -> None:
    headers = {} if given is None else {"content-type": given}
    answer = await house([post()]).ask("POST", "/v1/people", body=b"{}", headers=headers)
    assert (answer.status, answer.code) == (415, "unsupported")


async def test_parameters_of_the_content_type_do_not_matter(house: Any) -> None:
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    answer = await house([post()]).ask("POST", "/v1/people", json={"name": "Ada"}, headers=headers)
    assert answer.status == 200


# --- who may ---------------------------------------------------------------------------------------------------------


async def test_a_token_says_who_asks(house: Any) -> None:
    answer = await house([ME]).ask("GET", "/v1/me", token="ada")
    assert answer.json == {"hello": str(UUID(int=1))}


@pytest.mark.parametrize(
    ("header", "code", "challenge"),
    [
        (None, "unauthenticated", "Bearer"),
        ("Basic ada", "unauthenticated", "Bearer"),
        ("Bearer ", "unauthenticated", "Bearer"),
        ("Bearer eve", "unauthenticated", "Bearer"),
        ("Bearer old", "token_expired", 'Bearer error="invalid_token"'),
    ],
)
async def test_rfc6750_3_without_a_good_token(house: Any, header: str | None, code: str, challenge: str) -> None:
    headers = {} if header is None else {"authorization": header}
    answer = await house([ME]).ask("GET", "/v1/me", headers=headers)
    assert (answer.status, answer.code) == (401, code)
    assert answer.headers["www-authenticate"] == challenge


async def test_a_rule_is_checked_before_the_body_is_read(house: Any) -> None:
    async def check(principal: Principal, params: Mapping[str, Any]) -> None:
        assert principal.person == UUID(int=1)
        if params["n"] == 7:
            raise Refused("forbidden")

    route = Route("PUT", "/v1/x/{n:int}", echo, Rule("even", check=check), body=Person)
    assert (await house([route]).ask("PUT", "/v1/x/7", token="ada", body=b"junk")).status == 403
    assert (await house([route]).ask("PUT", "/v1/x/8", token="ada", json={"name": "x"})).status == 200


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        ("https://chiron.test", "chiron.test", True),
        ("http://chiron.test", "chiron.test:80", True),
        ("https://chiron.test:8443", "chiron.test:8443", True),
        ("https://CHIRON.test", "chiron.test", True),
        ("https://partner.test", "chiron.test", True),
        ("https://[::1]:8443", "[::1]:8443", True),
        ("https://chiron.test:8443", "chiron.test", False),
        ("https://evil.test", "chiron.test", False),
        ("https://chiron.test.evil.test", "chiron.test", False),
        ("null", "chiron.test", False),
        ("", "chiron.test", False),
        ("https://", "", False),
        ("file://chiron.test", "chiron.test", False),
        ("https://[", "chiron.test", False),
    ],
)
async def test_rfc6455_10_2_pages_of_other_origins_are_refused(
    house: Any, origin: str, host: str, allowed: bool
) -> None:
    built = house([ME], origins=["https://partner.test/"])
    headers = {"origin": origin, "host": host}
    answer = await built.ask("GET", "/v1/me", token="ada", headers=headers)
    assert answer.status == (200 if allowed else 403)
    upgrade = Request("GET", "/v1/realtime", list(headers.items()), b"", "192.0.2.1")
    refusal = built.gateway.admit(upgrade)
    assert (refusal is None) is allowed
    if refusal is not None:
        assert msgspec.json.decode(refusal.body)["code"] == "origin"


# --- limits ----------------------------------------------------------------------------------------------------------

TIGHT = Rates(address=Rate(1.0, 4.0), person=Rate(1.0, 6.0))


async def test_an_address_has_its_limit_and_is_told_when_to_come_back(house: Any) -> None:
    built = house([Route("GET", "/x", echo, ANYONE)], rates=TIGHT)
    statuses = [(await built.ask("GET", "/x")).status for _ in range(5)]
    assert statuses == [204] * 4 + [429]
    answer = await built.ask("GET", "/x")
    assert (answer.code, answer.headers["retry-after"]) == ("limited", "2")
    assert (await built.ask("GET", "/x", address="192.0.2.2")).status == 204


async def test_an_ipv6_network_is_one_address(house: Any) -> None:
    built = house([Route("GET", "/x", echo, ANYONE)], rates=TIGHT)
    for n in range(4):
        assert (await built.ask("GET", "/x", address=f"2001:db8:0:1::{n:x}")).status == 204
    assert (await built.ask("GET", "/x", address="2001:db8:0:1:ffff::1")).status == 429
    assert (await built.ask("GET", "/x", address="2001:db8:0:2::1")).status == 204
    assert (await built.ask("GET", "/x", address="::ffff:192.0.2.1")).status == 204


async def test_what_costs_more_takes_more_of_a_persons_limit(house: Any) -> None:
    dear = Route("GET", "/dear", hello, SIGNED_IN, cost=5.0)
    built = house([dear, ME], rates=TIGHT)
    assert (await built.ask("GET", "/dear", token="ada", address="a")).status == 200
    assert (await built.ask("GET", "/dear", token="ada", address="b")).status == 429
    assert (await built.ask("GET", "/v1/me", token="ada", address="c")).status == 200


async def test_where_anybody_may_ask_the_address_pays_the_cost(house: Any) -> None:
    built = house([Route("POST", "/login", echo, ANYONE, cost=3.0)], rates=TIGHT)
    assert [(await built.ask("POST", "/login")).status for _ in range(2)] == [204, 429]


# --- failures --------------------------------------------------------------------------------------------------------


async def test_an_unexpected_exception_is_an_incident_without_its_text(house: Any) -> None:
    async def broken(_call: Call) -> None:
        raise RuntimeError("secret detail")

    built = house([Route("POST", "/x/{n:int}", broken, ANYONE)])
    answer = await built.ask("POST", "/x/5")
    assert (answer.status, answer.code) == (500, "internal")
    assert b"secret" not in answer.body
    line = next(line for line in built.log.lines if line["event"] == "failed")
    assert line["incident"] == answer.json["params"]["incident"]
    assert line["incident"] in answer.json["title"]
    assert isinstance(line["exc_info"], RuntimeError)
    assert line["exc_info"].__traceback__ is not None


async def test_unavailable_is_503_with_a_time(house: Any) -> None:
    async def down(_call: Call) -> None:
        raise Unavailable("unavailable")

    answer = await house([Route("GET", "/x", down, ANYONE)]).ask("GET", "/x")
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")


@pytest.mark.parametrize("code", CODES)
async def test_rfc9457_every_code_makes_a_problem_document(house: Any, code: str) -> None:
    async def refuse(_call: Call) -> None:
        raise Refused(code, reason="r", field="f", limit=1, what="w", allowed="GET", method="M", incident="i")

    answer = await house([Route("GET", "/x", refuse, ANYONE)]).ask("GET", "/x")
    row, problem = CODES[code], answer.json
    assert answer.status == problem["status"] == row.status
    assert (problem["type"], problem["code"]) == (f"about:blank#{code}", code)
    assert problem["title"]
    assert "{" not in problem["title"]


async def test_rfc9110_15_5_6_method_not_allowed_has_allow(house: Any) -> None:
    answer = await house([ME]).ask("POST", "/v1/me")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


async def test_looking_at_the_websocket_without_opening_it(house: Any) -> None:
    answer = await house([ME]).ask("GET", "/v1/realtime")
    assert (answer.status, answer.headers["upgrade"]) == (426, "websocket")


async def test_a_websocket_is_admitted_at_its_address_alone_and_not_while_draining(house: Any) -> None:
    built = house([ME])

    def upgrade(target: str) -> int:
        refusal = built.gateway.admit(Request("GET", target, [("host", "h")], b"", "192.0.2.1"))
        return 101 if refusal is None else refusal.status

    assert upgrade("/v1/realtime") == 101
    assert upgrade("/v1/me") == 404
    built.gateway.drain()
    assert upgrade("/v1/realtime") == 503


async def test_a_cancelled_get_is_cancelled_and_logged(house: Any) -> None:
    started = asyncio.Event()

    async def wait(_call: Call) -> None:
        started.set()
        await asyncio.Event().wait()

    built = house([Route("GET", "/x", wait, ANYONE)])
    task = asyncio.ensure_future(built.ask("GET", "/x"))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert built.log.lines[-1]["status"] == 499


async def test_what_was_no_request_is_answered_too(house: Any) -> None:
    built = house()
    response = built.gateway.refuse(Refused("headers_too_large"), address="192.0.2.9")
    assert response.status == 431
    (line,) = built.log.lines
    assert line["event"] == "refused"
    assert (line["code"], line["status"], line["address"]) == ("headers_too_large", 431, "192.0.2.9")
    assert line["request_id"] == dict(response.headers)["x-request-id"]


async def test_rfc9110_6_6_1_the_date_is_that_of_the_answer(house: Any) -> None:
    built = house([ME])
    moment = built.clock.now()

    async def date_at(seconds: float) -> str:
        built.clock.seconds = 1000.0 + seconds
        built.clock.now = lambda: moment.replace(microsecond=250_000) + timedelta(seconds=seconds)
        answer = await built.ask("GET", "/v1/me", token="ada")
        return str(answer.headers["date"])

    dates = [await date_at(seconds) for seconds in (0.0, 0.7, 0.76, 1.7, 62.0)]
    assert [date.split()[4] for date in dates] == ["12:00:00", "12:00:00", "12:00:01", "12:00:01", "12:01:02"]


# --- the log ---------------------------------------------------------------------------------------------------------


async def test_the_access_log_tells_who_asked_what_and_no_secret(house: Any) -> None:
    built = house([Route("GET", "/v1/rooms/{n:int}", hello, SIGNED_IN)])
    headers = {"x-request-id": "r-1", "traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
    await built.ask("GET", "/v1/rooms/77?access_token=hush", token="ada", headers=headers)
    (line,) = built.log.lines
    span = line.pop("span_id")
    assert len(span) == 16
    assert span != "b" * 16
    assert line == {
        "event": "request",
        "method": "GET",
        "route": "/v1/rooms/{n:int}",
        "status": 200,
        "ms": 0.0,
        "bytes": 48,
        "address": "192.0.2.1",
        "person": str(UUID(int=1)),
        "request_id": "r-1",
        "trace_id": "a" * 32,
    }


async def test_below_its_level_no_line_is_made_until_the_level_changes(house: Any) -> None:
    built = house([ME])
    level = logging.WARNING
    built.log.is_enabled_for = lambda asked: asked >= level
    await built.ask("GET", "/v1/me", token="ada")
    assert built.log.lines == []
    level = logging.INFO
    await built.ask("GET", "/v1/me", token="ada")
    assert [line["event"] for line in built.log.lines] == ["request"]
    assert len(built.finished) == 2
