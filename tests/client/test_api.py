from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from scripted import Answer, Asked, Rest

from chiron.client import Api, NotReachable, ServerRefused, SignedOut
from chiron.errors import CODES

ME = {"person": "0193", "number": 1, "name": "Ada"}


def session(number: int, *, expires_in: float = 600) -> dict[str, Any]:
    return {
        "access_token": f"access {number}",
        "refresh_token": f"refresh {number}",
        "expires_in": expires_in,
        "person": ME,
    }


def problem(code: str, **params: Any) -> Answer:
    return CODES[code].status, {"type": f"about:blank#{code}", "code": code, "params": params}, {}


class Community:
    """What a server does with logins: each refresh token works once, and the newest access token alone is good."""

    def __init__(self, *, expires_in: float = 600) -> None:
        self.number = 1
        self.refreshes = 0
        self.expires_in = expires_in
        self.ended = False
        self.complaint = "token_expired"
        self.good: set[str] = {"access 1"}

    async def __call__(self, asked: Asked) -> Answer:
        if asked.target == "/v1/logins":
            return 201, session(1, expires_in=self.expires_in), {}
        if asked.target == "/v1/logins/refresh":
            self.refreshes += 1
            await asyncio.sleep(0)
            if self.ended or asked.body["refresh_token"] != f"refresh {self.number}":
                return problem("login_ended")
            self.number += 1
            self.good = {f"access {self.number}"}
            return 200, session(self.number), {}
        if asked.token not in self.good:
            return problem(self.complaint)
        return 200, {"items": []}, {}


@pytest.fixture
async def api(rest: Rest) -> AsyncIterator[Api]:
    made = Api(rest.address)
    yield made
    await made.close()


def answering(*answers: Answer) -> Callable[[Asked], Any]:
    left = list(answers)

    async def answer(_: Asked) -> Answer:
        return left.pop(0)

    return answer


# --- addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "origin"),
    [
        ("https://example.org", "https://example.org"),
        ("https://example.org/", "https://example.org"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("example.org", "https://example.org"),
    ],
)
async def test_an_address_is_an_origin(given: str, origin: str) -> None:
    api = Api(given)
    assert api.origin == origin
    await api.close()


@pytest.mark.parametrize(
    "given",
    [
        *("", "http://", "ftp://example.org", "https://example.org/chat", "https://example.org?a=b", "http://h:99999"),
        *("http://h:0", "http://[::1", "https://ada:secret@example.org"),
    ],
)
def test_what_is_no_origin_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match="is not a server's address"):
        Api(given)


def test_a_file_without_a_certificate_is_no_authority(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(ValueError, match="holds no PEM certificate"):
        Api("https://localhost", ca=tmp_path / "ca.pem")


async def test_no_proxy_stands_between_this_machine_and_itself(rest: Rest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    rest.answer = answering((201, session(1), {}))
    api = Api(rest.address)
    assert await api.log_in("ada@example.org", "secret") == ME
    await api.close()


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", CODES)
async def test_each_code_of_the_table_is_an_error_that_says_whether_to_try_again(
    rest: Rest, api: Api, code: str
) -> None:
    rest.answer = answering(problem(code, field="email", reason="too long"))
    with pytest.raises(ServerRefused) as refusal:
        await api.log_in("ada@example.org", "secret")
    row = CODES[code]
    assert (refusal.value.code, refusal.value.temporary, refusal.value.action) == (code, row.temporary, row.action)
    assert refusal.value.params == {"field": "email", "reason": "too long"}
    assert str(refusal.value).endswith(".")


async def test_a_code_that_this_client_does_not_know_is_shown_as_it_is(rest: Rest, api: Api) -> None:
    rest.answer = answering((409, {"code": "too_late"}, {}))
    with pytest.raises(ServerRefused, match=re.escape("The server refuses: too_late.")) as refusal:
        await api.log_in("ada@example.org", "secret")
    assert not refusal.value.temporary


async def test_retry_after_is_told_in_seconds(rest: Rest, api: Api) -> None:
    status, body, _ = problem("limited")
    rest.answer = answering((status, body, {"retry-after": "7"}))
    with pytest.raises(ServerRefused) as refusal:
        await api.log_in("ada@example.org", "secret")
    assert (refusal.value.temporary, refusal.value.retry_after) == (True, 7.0)


@pytest.mark.parametrize(
    "answer",
    [
        (200, b"<html>", {}),
        (502, b"<html>Bad gateway", {}),
        (404, {"detail": "Not Found"}, {}),
        (500, {"code": 7}, {}),
        (200, [], {}),
        (200, b"\xff\xfe", {}),
        (201, {"access_token": "a"}, {}),
        (500, None, {}),
    ],
)
async def test_what_is_not_chiron_is_not_reachable(rest: Rest, api: Api, answer: Answer) -> None:
    rest.answer = answering(answer)
    with pytest.raises(NotReachable, match="not like Chiron"):
        await api.log_in("ada@example.org", "secret")


async def test_nobody_listens() -> None:
    nobody = Api("http://127.0.0.1:9")
    with pytest.raises(NotReachable, match=r"http://127\.0\.0\.1:9 does not answer: "):
        await nobody.log_in("ada@example.org", "secret")
    await nobody.close()


# --- tokens -----------------------------------------------------------------------------------------------------------


async def test_signing_in_is_by_what_was_given(rest: Rest, api: Api) -> None:
    rest.answer = answering((201, session(1), {}))
    assert await api.register("ada@example.org", "secret", "Ada", device="test") == ME
    assert api.person == ME
    assert api.refresh_token == "refresh 1"
    assert rest.asked == [
        Asked(
            "POST",
            "/v1/people",
            "",
            {"email": "ada@example.org", "password": "secret", "name": "Ada", "device": "test"},
        )
    ]


async def test_without_a_login_there_is_no_token(api: Api) -> None:
    with pytest.raises(SignedOut):
        await api.access_token()


async def test_a_token_that_is_about_to_expire_is_exchanged_once_for_all_who_wait(rest: Rest, api: Api) -> None:
    rest.answer = community = Community(expires_in=10)
    await api.log_in("ada@example.org", "secret")
    await asyncio.gather(*(api.conversations() for _ in range(10)))
    assert community.refreshes == 1
    assert {asked.token for asked in rest.asked if "conversations" in asked.target} == {"access 2"}
    assert await api.access_token() == "access 2"


@pytest.mark.parametrize("complaint", ["token_expired", "unauthenticated"])
async def test_a_token_that_the_server_refuses_is_exchanged_once_and_the_requests_repeated(
    rest: Rest, api: Api, complaint: str
) -> None:
    rest.answer = community = Community()
    await api.log_in("ada@example.org", "secret")
    community.good, community.complaint = set(), complaint
    await asyncio.gather(*(api.conversations() for _ in range(10)))
    assert community.refreshes == 1


async def test_a_request_is_repeated_once_and_not_for_ever(rest: Rest, api: Api) -> None:
    async def never_content(asked: Asked) -> Answer:
        if "logins" in asked.target:
            return 201, session(len(rest.asked)), {}
        return problem("token_expired")

    rest.answer = never_content
    await api.log_in("ada@example.org", "secret")
    with pytest.raises(ServerRefused, match="expired"):
        await api.conversations()
    assert [asked.target.partition("?")[0] for asked in rest.asked] == [
        "/v1/logins",
        "/v1/conversations",
        "/v1/logins/refresh",
        "/v1/conversations",
    ]


async def test_a_login_that_has_ended_is_signed_out(rest: Rest, api: Api) -> None:
    rest.answer = community = Community()
    await api.log_in("ada@example.org", "secret")
    community.ended, community.good = True, set()
    with pytest.raises(SignedOut, match="sign in again"):
        await api.conversations()


async def test_a_server_that_is_away_ends_no_login(rest: Rest, api: Api) -> None:
    rest.answer = community = Community(expires_in=10)
    await api.log_in("ada@example.org", "secret")
    rest.answer = answering(problem("unavailable"))
    with pytest.raises(ServerRefused) as refusal:
        await api.conversations()
    assert refusal.value.temporary
    rest.answer = community
    assert await api.conversations() == {"items": []}


async def test_signing_out_forgets_the_tokens(rest: Rest, api: Api) -> None:
    rest.answer = answering((201, session(1), {}), (204, None, {}))
    await api.log_in("ada@example.org", "secret")
    await api.log_out()
    assert (rest.asked[1].method, rest.asked[1].target) == ("DELETE", "/v1/logins/current")
    with pytest.raises(SignedOut):
        await api.conversations()


# --- operations -------------------------------------------------------------------------------------------------------

C = "/v1/conversations"


@pytest.mark.parametrize(
    ("call", "asked"),
    [
        (lambda api: api.conversations(), ("GET", f"{C}?limit=50", None)),
        (lambda api: api.conversations(cursor="a b", limit=2), ("GET", f"{C}?limit=2&cursor=a+b", None)),
        (
            lambda api: api.direct("bob@example.org"),
            ("POST", C, {"kind": "direct", "people": [{"email": "bob@example.org"}]}),
        ),
        (
            lambda api: api.group("T", ["bob@example.org", "0193"]),
            ("POST", C, {"kind": "group", "title": "T", "people": [{"email": "bob@example.org"}, {"person": "0193"}]}),
        ),
        (lambda api: api.conversation("c"), ("GET", f"{C}/c", None)),
        (lambda api: api.members("c"), ("GET", f"{C}/c/members?limit=200", None)),
        (lambda api: api.add("c", "0193"), ("POST", f"{C}/c/members", {"person": {"person": "0193"}})),
        (lambda api: api.remove("c", "0193"), ("DELETE", f"{C}/c/members/0193", None)),
        (lambda api: api.leave("c"), ("DELETE", f"{C}/c/members/me", None)),
        (
            lambda api: api.publish("c", "01J", "Hello"),
            ("POST", f"{C}/c/messages", {"client_id": "01J", "kind": "text", "body": {"text": "Hello"}}),
        ),
        (lambda api: api.history("c", before=0), ("GET", f"{C}/c/messages?before=0&limit=100", None)),
        (lambda api: api.watermark("c", read=3), ("PUT", f"{C}/c/watermark", {"read": 3})),
    ],
)
async def test_each_operation_is_one_request(
    rest: Rest, api: Api, call: Callable[[Api], Any], asked: tuple[str, str, Any]
) -> None:
    rest.answer = Community()
    await api.log_in("ada@example.org", "secret")
    await call(api)
    last = rest.asked[-1]
    assert (last.method, last.target, last.body) == asked
    assert last.token == "access 1"
