"""The short way in answers as the long one does, on whatever is asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiron._core import Admission as ShortWay
from chiron._core import Limiter, Signer, Verifier
from chiron.server.gateway import Gateway, Limits, Rates
from chiron.server.gateway.admission import Admission
from chiron.server.gateway.tokens import Tokens
from chiron.server.ports import ANYONE, SIGNED_IN, Call, Rate, Request, Response, Route

EPOCH = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
PEOPLE = (1, 2)
KEY = Signer("k", bytes(32))


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self.seconds - 1000.0)

    def monotonic(self) -> float:
        return self.seconds


def token(person: int, lifetime: float = 60.0) -> str:
    at = int(EPOCH.timestamp())
    claims = {
        "iss": "i",
        "aud": "a",
        "iat": at,
        "exp": at + int(lifetime),
        "jti": "j",
        "sub": str(UUID(int=person)),
        "sid": str(UUID(int=100 + person)),
        "client_id": "web",
        "scope": "",
        "version": 1,
    }
    return KEY.sign(json.dumps(claims).encode())


async def mine(call: Call) -> Response:
    return Response(200, str(call.person).encode())


async def ours(_call: Call) -> Response:
    return Response(200)


ROUTES = [
    Route("GET", "/mine", mine, SIGNED_IN),
    Route("GET", "/dear", mine, SIGNED_IN, cost=3.0),
    Route("GET", "/more than a burst", mine, SIGNED_IN, cost=9.0),
    Route("GET", "/rare", mine, SIGNED_IN, limit=Rate(1.0, 2.0)),
    Route("GET", "/mixed", ours, ANYONE, cost=0.0),
    Route("POST", "/mixed", mine, SIGNED_IN),
    Route("GET", "/ours", ours, ANYONE),
]


class House:
    def __init__(self, short: bool) -> None:
        self.clock = Clock()
        limiter, verifier = Limiter(99), Verifier("i", "a")
        verifier.set_keys([("k", KEY.public_key)])
        self.verifier = verifier
        self.tokens = Tokens(verifier, self.clock, lifetime=60.0)
        self.tokens.complete(1e9)
        self.limits = Limits(limiter, Rates(Rate(2.0, 12.0), Rate(1.0, 6.0)))
        self.admitted = 0
        admission = Admission(limiter, verifier, self.limits, self.clock)
        admit = admission.admit

        def counted(authorization: str, address: str, cost: float, now: float) -> Any:
            admitted = admit(authorization, address, cost, now)
            self.admitted += admitted is not None
            return admitted

        admission.admit = counted  # type: ignore[method-assign]
        self.gateway = Gateway(
            ROUTES,
            verifier=self.tokens,
            limits=self.limits,
            clock=self.clock,
            admission=admission if short else None,
        )

    def ask(self, path: str, authorization: str | None = None, *, method: str = "GET", **fields: str) -> Response:
        """None of the handlers waits."""
        headers = [("host", "chiron.test"), *fields.items()]
        if authorization is not None:
            headers.append(("authorization", authorization))
        answering = self.gateway.respond(Request(method, path, headers, b"", "192.0.2.1"))
        with pytest.raises(StopIteration) as returned:
            answering.send(None)
        response: Response = returned.value.value
        return response


def said(response: Response) -> tuple[Any, ...]:
    """But for what is new in each answer."""
    fields = [field for field in response.headers if field[0] != "x-request-id"]
    body = json.loads(response.body) if response.status >= 400 else response.body
    if isinstance(body, dict):
        del body["request_id"]
    return response.status, fields, body


@pytest.fixture
def house() -> House:
    return House(short=True)


AUTHORIZATIONS = [
    *(f"Bearer {token(person)}" for person in PEOPLE),
    f"Bearer {token(1, lifetime=5.0)}",
    f"bearer  {token(2)} ",
    f"Bearer {token(1)[:-6]}AAAAAA",
    "Basic QWRhOkFkYQ==",
    None,
]
STEPS = st.one_of(
    st.tuples(st.just("wait"), st.floats(0.0, 4.0)),
    st.tuples(st.just("end"), st.sampled_from(PEOPLE)),
    st.tuples(st.just("rates"), st.floats(1.0, 12.0)),
    *[
        st.tuples(st.just("ask"), st.tuples(st.sampled_from(ROUTES), st.sampled_from(AUTHORIZATIONS), st.booleans()))
        for _ in range(6)
    ],
)


@given(st.lists(STEPS, max_size=40))
def test_the_short_way_and_the_long_one_answer_alike(steps: list[tuple[str, Any]]) -> None:
    short, long = House(short=True), House(short=False)
    for what, argument in steps:
        for house in (short, long):
            match what:
                case "wait":
                    house.clock.seconds += argument
                case "end":
                    house.tokens.end_login(UUID(int=100 + argument))
                case "rates":
                    house.limits.reload(Rates(Rate(2.0, argument), Rate(1.0, argument / 2)))
        if what == "ask":
            route, authorization, foreign = argument
            fields = {"origin": "https://elsewhere.test"} if foreign else {}
            mine, theirs = (
                house.ask(route.path, authorization, method=route.method, **fields) for house in (short, long)
            )
            assert said(mine) == said(theirs)
    assert long.admitted == 0


def test_who_was_checked_before_goes_the_short_way(house: House) -> None:
    assert [house.ask("/mine", AUTHORIZATIONS[0]).status for _ in range(3)] == [200] * 3
    assert house.admitted == 2
    assert house.ask("/rare", AUTHORIZATIONS[0]).status == 200, "it has a limit of its own"
    assert house.ask("/ours", AUTHORIZATIONS[0]).status == 200, "anybody may ask for it"
    assert house.admitted == 2


def _end(house: House) -> None:
    house.tokens.end_login(UUID(int=101))


def _expire(house: House) -> None:
    house.clock.seconds += 60.0


def _replace_keys(house: House) -> None:
    house.verifier.set_keys([("k2", KEY.public_key)])


@pytest.mark.parametrize("end", [_end, _expire, _replace_keys])
def test_nobody_goes_it_with_a_token_that_is_no_longer_good(house: House, end: Callable[[House], None]) -> None:
    assert [house.ask("/mine", AUTHORIZATIONS[0]).status for _ in range(2)] == [200] * 2
    end(house)
    assert [house.ask("/mine", AUTHORIZATIONS[0]).status for _ in range(2)] == [401] * 2
    assert house.admitted == 1


def test_another_login_goes_on_when_one_ends(house: House) -> None:
    for _ in range(2):
        house.ask("/mine", AUTHORIZATIONS[1])
    house.tokens.end_login(UUID(int=101))
    assert [house.ask("/mine", AUTHORIZATIONS[1]).status for _ in range(2)] == [200] * 2
    assert house.admitted == 2, "its token is looked into once more"


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -1.0])
def test_numbers_that_mean_nothing_are_refused(number: float) -> None:
    made = ShortWay(Limiter(1), Verifier("i", "a"), address=(1.0, 1.0), person=(1.0, 1.0), policy=("p", "q"))
    for arguments in ((number, 1.0), (1.0, number)):
        with pytest.raises(ValueError, match="must be finite"):
            made.admit("Bearer x", "a", *arguments, 1.0)
    with pytest.raises(ValueError, match="above 0"):
        ShortWay(Limiter(1), Verifier("i", "a"), address=(number, 1.0), person=(1.0, 1.0), policy=("p", "q"))
