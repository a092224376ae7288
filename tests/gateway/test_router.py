"""Paths to routes."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiron.errors import Refused
from chiron.server.gateway.router import Router
from chiron.server.ports import ANYONE, Call, Route


async def nothing(_call: Call) -> None:
    return None


def router(*routes: str) -> Router:
    return Router([Route(method, path, nothing, ANYONE) for method, path in (route.split(" ") for route in routes)])


def refused(found: Router, method: str, path: str) -> Refused:
    with pytest.raises(Refused) as caught:
        found.match(method, path)
    return caught.value


HOUSE = router(
    "GET /",
    "GET /v1/people",
    "POST /v1/people",
    "DELETE /v1/rooms/{room:uuid}/members/me",
    "DELETE /v1/rooms/{room:uuid}/members/{person:uuid}",
    "GET /v1/pages/{n:int}",
    "GET /v1/names/{name:str}/size",
    "PUT /v1/names/all/size",
)
ROOM = "0193a000-0000-7000-8000-000000000001"


@pytest.mark.parametrize(
    ("method", "path", "template", "params"),
    [
        ("GET", "/", "/", {}),
        ("POST", "/v1/people", "/v1/people", {}),
        ("GET", "/v1/%70eople", "/v1/people", {}),
        ("GET", "/v1/pages/0", "/v1/pages/{n:int}", {"n": 0}),
        ("GET", "/v1/pages/9007199254740991", "/v1/pages/{n:int}", {"n": 2**53 - 1}),
        ("GET", "/v1/names/a%2Fb/size", "/v1/names/{name:str}/size", {"name": "a/b"}),
        ("GET", "/v1/names/%C3%A4/size", "/v1/names/{name:str}/size", {"name": "ä"}),
        ("PUT", "/v1/names/all/size", "/v1/names/all/size", {}),
        ("GET", "/v1/names/all/size", "/v1/names/{name:str}/size", {"name": "all"}),
        ("DELETE", f"/v1/rooms/{ROOM}/members/me", "/v1/rooms/{room:uuid}/members/me", {"room": UUID(ROOM)}),
    ],
)
def test_found(method: str, path: str, template: str, params: dict[str, Any]) -> None:
    match = HOUSE.match(method, path)
    assert (match.route.path, match.params) == (template, params)


@pytest.mark.parametrize(
    "path",
    [
        "/v1",
        "/v1/",
        "/v1/people/",
        "//v1/people",
        "/V1/people",
        "/v1%2Fpeople",
        "/v1/pages/",
        "/v1/pages/-1",
        "/v1/pages/01",
        "/v1/pages/1.0",
        "/v1/pages/٣",
        "/v1/pages/9007199254740992",
        "/v1/names//size",
        f"/v1/rooms/{ROOM.upper()}/members/me",
        f"/v1/rooms/{ROOM.replace('-', '')}/members/me",
        "/v1/../v1/people",
    ],
)
def test_not_found(path: str) -> None:
    assert refused(HOUSE, "GET", path).code == "not_found"


def test_rfc9110_15_5_6_another_method_is_told_which_ones_there_are() -> None:
    error = refused(HOUSE, "PATCH", "/v1/people")
    assert (error.code, error.params["allowed"]) == ("method", "GET, HEAD, OPTIONS, POST")
    error = refused(HOUSE, "POST", "/v1/names/all/size")
    assert error.params["allowed"] == "GET, HEAD, OPTIONS, PUT"


def test_rfc9110_9_3_2_head_finds_the_get_route() -> None:
    assert HOUSE.match("HEAD", "/v1/people").route.method == "GET"


@pytest.mark.parametrize("path", ["/v1/names/%/size", "/v1/names/%zz/size", "/v1/names/%ff/size", "/v1/names/%00/size"])
def test_broken_escapes_are_bad_requests(path: str) -> None:
    assert refused(HOUSE, "GET", path).code == "bad_request"


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1))
def test_any_text_survives_the_way_through_a_segment(text: str) -> None:
    assert HOUSE.match("GET", f"/v1/names/{quote(text, safe='')}/size").params == {"name": text}


@pytest.mark.parametrize(
    "routes",
    [
        ["GET /a", "GET /a"],
        ["GET /{x:uuid}/a", "GET /{x:uuid}/a"],
        ["GET /{x:date}"],
        ["GET /{x}"],
        ["GET /a{x:int}"],
        ["GET /{x:int}/{x:int}"],
        ["GET a"],
    ],
)
def test_paths_that_cannot_be_served_are_refused_at_construction(routes: list[str]) -> None:
    with pytest.raises(ValueError):
        router(*routes)
