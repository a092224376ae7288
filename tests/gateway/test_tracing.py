"""How a request is known in logs and answers."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
import structlog
from hypothesis import example, given
from hypothesis import strategies as st

from chiron.errors import Refused
from chiron.server.gateway.tracing import parse_traceparent
from chiron.server.ports import ANYONE, Call, Route

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


async def nothing(_call: Call) -> None:
    return None


X = Route("GET", "/x", nothing, ANYONE)


@pytest.mark.parametrize("given", ["a", "7", "r-1_x.Y", "z" * 64])
async def test_a_request_id_of_the_clients_is_kept(house: Any, given: str) -> None:
    built = house([X])
    answer = await built.ask("GET", "/x", headers={"x-request-id": given})
    assert answer.headers["x-request-id"] == built.log.lines[-1]["request_id"] == given


@pytest.mark.parametrize("given", [None, "", "z" * 65, "a b", "a\n", "ä", 'a"', "a/b", "a\u0661"])
async def test_without_a_good_one_an_id_is_made(house: Any, given: str | None) -> None:
    built = house([X])
    answers = [await built.ask("GET", "/x", headers={} if given is None else {"x-request-id": given}) for _ in "12"]
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert all(re.fullmatch(r"[0-9a-f]{16}", each) for each in ids)
    assert len(set(ids)) == 2
    assert [line["request_id"] for line in built.log.lines] == ids


async def test_an_error_says_under_which_id_it_is_in_the_log(house: Any) -> None:
    async def refuse(_call: Call) -> None:
        raise Refused("forbidden")

    async def fail(_call: Call) -> None:
        raise RuntimeError

    built = house([Route("GET", "/refused", refuse, ANYONE), Route("GET", "/failed", fail, ANYONE)])
    for path in ("/refused", "/failed", "/nowhere"):
        answer = await built.ask("GET", path, headers={"x-request-id": "mine"})
        assert answer.json["request_id"] == answer.headers["x-request-id"] == "mine"
    assert [line["request_id"] for line in built.log.lines] == ["mine"] * 4, "the failure has a line of its own"


async def test_whatever_is_logged_in_the_context_of_a_request_has_its_ids(house: Any) -> None:
    seen: dict[str, Any] = {}

    async def look(_call: Call) -> None:
        seen.update(structlog.contextvars.get_contextvars())

    asked = house([Route("GET", "/x", look, ANYONE)]).ask(
        "GET", "/x", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"}
    )
    before = structlog.contextvars.get_contextvars()
    answer = await asyncio.create_task(asked)
    assert seen["request_id"] == answer.headers["x-request-id"]
    assert seen["trace_id"] == TRACE
    assert seen["span_id"] != PARENT
    assert structlog.contextvars.get_contextvars() == before


async def test_a_trace_that_cannot_be_read_is_begun_anew(house: Any) -> None:
    built = house([X])
    for value in ("junk", f"00-{TRACE}-{PARENT}-01, 00-{TRACE}-{PARENT}-01"):
        await built.ask("GET", "/x", headers={"traceparent": value})
    traces = [line["trace_id"] for line in built.log.lines]
    assert all(re.fullmatch(r"[0-9a-f]{32}", trace) and trace != TRACE for trace in traces)
    assert traces[0] != traces[1]


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (f"00-{TRACE}-{PARENT}-01", True),
        (f"00-{TRACE}-{PARENT}-ff", True),
        (f"00-{TRACE}-{PARENT}-01-more", False),
        (f"00-{TRACE}-{PARENT}-01-", False),
        (f"01-{TRACE}-{PARENT}-01", True),
        (f"cc-{TRACE}-{PARENT}-01-what-the-future-will-be", True),
        (f"cc-{TRACE}-{PARENT}-01.what-the-future-will-not-be", False),
        (f"ff-{TRACE}-{PARENT}-01", False),
        (f"00-{'0' * 32}-{PARENT}-01", False),
        (f"00-{TRACE}-{'0' * 16}-01", False),
        (f"00-{TRACE.upper()}-{PARENT}-01", False),
        (f"00-{TRACE}-{PARENT}-1", False),
        (f"00-{TRACE[1:]}-{PARENT}-01", False),
        (f"00_{TRACE}_{PARENT}_01", False),
        (f" 00-{TRACE}-{PARENT}-01", False),
        (f"00-{TRACE}-{PARENT}-01\n", False),
        ("", False),
    ],
)
def test_trace_context_3_2_2(value: str, read: bool) -> None:
    assert parse_traceparent(value) == ((TRACE, PARENT) if read else None)


@given(st.one_of(st.text(max_size=80), st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}.?.?")))
@example(f"00-{TRACE}-{PARENT}-0١")
def test_what_is_taken_from_a_header_is_hexadecimal_and_not_zero(value: str) -> None:
    found = parse_traceparent(value)
    if found is None:
        return
    trace_id, parent_id = found
    assert re.fullmatch(r"[0-9a-f]{32}", trace_id, re.ASCII)
    assert re.fullmatch(r"[0-9a-f]{16}", parent_id, re.ASCII)
    assert int(trace_id, 16)
    assert int(parent_id, 16)
    assert value[:55].split("-")[1:3] == [trace_id, parent_id]
