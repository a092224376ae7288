"""What the browsers of foreign pages are told, and what OPTIONS says to everybody."""

from __future__ import annotations

from typing import Any

import pytest

from chiron.errors import Refused
from chiron.server.gateway import Pages, Rates
from chiron.server.gateway.origins import Origins, local_origins
from chiron.server.ports import ANYONE, SIGNED_IN, Call, Rate, Request, Response, Route

PARTNER = "https://partner.test"


async def nothing(_call: Call) -> None:
    return None


async def broken(_call: Call) -> None:
    raise RuntimeError


async def listed(_call: Call) -> Response:
    return Response(200, b"", [("vary", "accept-language")])


ROUTES = [
    Route("GET", "/v1/me", nothing, SIGNED_IN),
    Route("PATCH", "/v1/me", nothing, SIGNED_IN),
    Route("DELETE", "/v1/things/{n:int}", nothing, SIGNED_IN),
    Route("GET", "/broken", broken, ANYONE),
    Route("GET", "/listed", listed, ANYONE),
]


def page(origin: str = PARTNER, **more: str) -> dict[str, str]:
    return {"origin": origin, **{name.replace("_", "-"): value for name, value in more.items()}}


async def test_options_tells_the_methods_of_every_address(house: Any, tmp_path: Any) -> None:
    (tmp_path / "index.html").write_text("<!doctype html>")
    built = house(ROUTES, pages=Pages(tmp_path))
    for path, allowed in {
        "/v1/me": "GET, HEAD, OPTIONS, PATCH",
        "/v1/things/5": "DELETE, OPTIONS",
        "/v1/realtime": "GET, OPTIONS",
        "/": "GET, HEAD, OPTIONS",
        "*": "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT",
    }.items():
        answer = await built.ask("OPTIONS", path)
        assert (answer.status, answer.body, answer.headers["allow"]) == (204, b"", allowed)
        assert not any(name.startswith("access-control") for name in answer.headers)
    assert (await built.ask("OPTIONS", "/v1/things/x")).status == 404
    assert {line["route"] for line in built.log.lines} == {
        "/v1/me",
        "/v1/things/{n:int}",
        "/v1/realtime",
        "page",
        "*",
        "-",
    }


async def test_fetch_3_3_2_a_page_of_an_allowed_origin_may_send_what_the_api_needs(house: Any) -> None:
    built = house(ROUTES, origins=[PARTNER])
    headers = page(access_control_request_method="PATCH", access_control_request_headers="authorization,content-type")
    answer = await built.ask("OPTIONS", "/v1/me", headers=headers)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (204, PARTNER)
    assert "PATCH" in answer.headers["access-control-allow-methods"].split(", ")
    allowed = set(answer.headers["access-control-allow-headers"].split(", "))
    assert {"authorization", "content-type", "idempotency-key", "traceparent", "x-request-id"} <= allowed
    assert int(answer.headers["access-control-max-age"]) > 0
    assert "origin" in answer.headers["vary"]
    assert "access-control-allow-credentials" not in answer.headers, "the token is no cookie"


async def test_every_answer_can_be_read_by_the_page_errors_included(house: Any) -> None:
    built = house(ROUTES, origins=[PARTNER], rates=Rates(address=Rate(1.0, 5.0)))
    asked = [("/v1/me", "ada"), ("/v1/me", None), ("/nowhere", None), ("/broken", None), ("/listed", None)]
    answers = [await built.ask("GET", path, token=token, headers=page()) for path, token in [*asked, asked[0]]]
    assert [answer.status for answer in answers] == [204, 401, 404, 500, 200, 429]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == PARTNER
        shown = set(answer.headers["access-control-expose-headers"].split(", "))
        assert {"ratelimit", "retry-after", "x-request-id", "idempotency-replayed"} <= shown
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
        assert "origin" in answer.headers["vary"].split(", ")
    assert "accept-language" in answers[4].headers["vary"], "what the handler said stays"


@pytest.mark.parametrize("origin", ["https://evil.test", "null", "http://partner.test", f"{PARTNER}.evil.test"])
async def test_other_pages_are_refused_and_read_nothing(house: Any, origin: str) -> None:
    built = house(ROUTES, origins=[PARTNER])
    for method, headers in (
        ("GET", page(origin)),
        ("OPTIONS", page(origin, access_control_request_method="GET")),
    ):
        answer = await built.ask(method, "/v1/me", token="ada", headers=headers)
        assert (answer.status, answer.code) == (403, "origin")
        assert not any(name.startswith("access-control") for name in answer.headers)
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


async def test_an_answer_to_nobodys_page_says_that_it_depends_on_who_asks(house: Any) -> None:
    answer = await house(ROUTES, origins=[PARTNER]).ask("GET", "/v1/me", token="ada")
    assert answer.headers["vary"] == "origin"
    assert "access-control-allow-origin" not in answer.headers
    assert "vary" not in (await house(ROUTES).ask("GET", "/v1/me", token="ada")).headers


async def test_the_page_of_the_server_itself_needs_no_permission(house: Any) -> None:
    answer = await house(ROUTES, origins=[PARTNER]).ask(
        "GET", "/v1/me", token="ada", headers=page("https://chiron.test")
    )
    assert answer.status == 204
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        ("http://127.0.0.1:8080", "127.0.0.1:8443", True),
        ("http://localhost:8080", "127.0.0.1:8443", True),
        ("https://localhost:8443", "127.0.0.1:8443", True),
        ("http://localhost:8081", "127.0.0.1:8443", False),
        ("https://localhost:8080", "127.0.0.1:8443", False),
        ("http://localhost:8080", "mentors.test:8443", False),
        ("https://mentors.test", "mentors.test:8443", True),
        ("https://mentors.test:444", "mentors.test:8443", False),
        ("https://mentors.test", "192.0.2.7:8443", True),
    ],
)
def test_a_page_of_ours_may_open_what_is_at_another_port_of_ours(origin: str, host: str, allowed: bool) -> None:
    origins = Origins(own="https://mentors.test", local=local_origins([(True, 8443), (False, 8080)]))
    request = Request("GET", "/v1/realtime", [("host", host), ("origin", origin)], b"", "192.0.2.1")
    if allowed:
        origins.check(request)
        assert origins.headers(request) == [], "no other page sees answers"
    else:
        with pytest.raises(Refused):
            origins.check(request)
