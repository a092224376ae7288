"""A token that is not good opens nothing, and one whose login has ended no more, on no route and no link."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import access
import httpx
import msgspec
import pytest
from cast import NEEDS_SOMEBODY, Findings, Place, request_of, rows, said, word
from community import Address, Community, Somebody, bearer, client_id, essence
from database import MigratedDatabase
from resident import PASSWORD
from serving import until

from chiron.server.platform import base64url
from chiron.server.platform.keys import generate


@pytest.fixture
async def community(database: MigratedDatabase) -> Community:
    return await Community.found(database)


def unsigned(token: str) -> str:
    """The same claims, by `alg` none (RFC 8725 §3.1: what no verifier may take)."""
    header = base64url.encode(b'{"alg":"none","typ":"at+jwt"}')
    return f"{header}.{token.split('.')[1]}."


async def test_every_token_that_is_not_good_is_refused_everywhere(community: Community, tmp_path: Path) -> None:
    ada, ben = await community.person(logins=2), await community.person("Ben")
    login, ended = ada.logins[0].id, ada.logins[1]
    foreign = Community(community.database, generate(), "")
    forged = msgspec.structs.replace(foreign.keys.signing[0], kid=community.keys.signing[0].kid)
    forger = Community(community.database, msgspec.structs.replace(foreign.keys, signing=[forged]), "")
    retired = foreign.token(ada.id, login)
    bad: dict[str, list[str]] = {
        "garbage": ["of-my-own-making", "a.b.c", "of my own making"],
        "a refresh token": [ada.logins[0].refresh],
        "without signature": [unsigned(ada.access), ada.access.rpartition(".")[0] + "."],
        "of another key": [forger.token(ada.id, login)],
        "of a key that was retired": [retired],
        "for another audience": [community.token(ada.id, login, audience="another")],
        "expired": [community.token(ada.id, login, seconds=-60)],
        "of a login that has ended": [ended.access],
        "of another person": [ben.access],
    }
    headers: dict[str, list[dict[str, str]]] = {
        "none": [{}],
        "of another scheme": [{"authorization": f"{scheme} {ada.access}"} for scheme in ("Basic", "Token", "DPoP")],
        "in the address": [{}],
        **{name: [bearer(token) for token in given] for name, given in bad.items()},
    }
    findings = Findings()
    both = msgspec.structs.replace(community.keys, signing=[*community.keys.signing, *foreign.keys.signing])
    async with community.serve(tmp_path, keys=both) as address:
        # Known to be good, which the server may remember.
        for token in (retired, ended.access):
            assert (await address.http.get("/v1/me", headers=bearer(token))).status_code == 200
        address.server.reload(msgspec.structs.replace(address.config, keys=community.keys))
        assert (await address.http.delete(f"/v1/logins/{ended.id}", headers=ada.bearer)).status_code == 204
        before = await community.state()
        place = Place(await community.group(ben.id, [ada.id]), ben.id, ben.id, login)
        before = await community.state()
        assert set(headers) == {row.operation for row in rows(access.CREDENTIALS)}
        for row in rows(access.CREDENTIALS):
            expected = row.expected(access.HTTP)
            for given in headers[row.operation] if expected != "-" else []:
                query = {"access_token": ada.access} if row.operation == "in the address" else {}
                for operation in NEEDS_SOMEBODY:
                    answer = await address.http.request(**request_of(operation, place), params=query, headers=given)
                    got = word(answer)
                    findings.check(got == expected and answer.status_code == 401, f"{operation} {row.operation}", got)
                    challenge = answer.headers.get("www-authenticate", "")
                    findings.check(challenge.startswith("Bearer"), f"{operation} {row.operation}", challenge)
                for operation in ("GET /livez", "GET /.well-known/jwks.json", "GET /docs"):
                    request = request_of(operation, place)
                    without = essence(await address.http.request(**request))
                    findings.check(essence(await address.http.request(**request, headers=given)) == without, operation)
            for token in bad.get(row.operation, []):
                if row.expected("connect") != "-":
                    async with address.link(None) as link:
                        refusal = await link.ask(op="connect", token=token)
                        await link.until_closed(5.0)
                        got = said(refusal, link)
                        findings.check(got == row.expected("connect"), f"connect {row.operation}", got)
                async with address.link(ada.access) as link:
                    got = said(await link.ask(op="refresh", token=token, gen=1), link)
                    findings.check(got == row.expected("refresh"), f"refresh {row.operation}", got)
                    got = said(await link.ask(op="command", name="conversation.list"), link)
                    findings.check(got == "ok", f"after refresh {row.operation}", got)
        findings.check(await community.state() == before, "something changed")
    findings.report(least=700)


async def test_a_token_that_was_good_expires_all_the_same(community: Community, tmp_path: Path) -> None:
    ada = await community.person()
    token = community.token(ada.id, ada.logins[0].id, seconds=2)
    async with community.serve(tmp_path) as address:

        async def ask() -> str:
            answer = await address.http.get("/v1/me", headers=bearer(token))
            return word(answer)

        assert await ask() == "200"

        async def expired() -> bool:
            return await ask() == "token_expired"

        await until(expired, lambda: "it is still good", seconds=10.0)
        assert (await address.http.get("/v1/me", headers=ada.bearer)).status_code == 200


# --- logins that end --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ending:
    """`ada` has two logins; the second ends, and the first does not, unless `both`."""

    name: str
    do: Callable[[Address, Community, Somebody], Awaitable[httpx.Response]]
    status: int = 204
    both: bool = False


async def _reset(address: Address, community: Community, ada: Somebody) -> httpx.Response:
    proof = {"token": await community.proof(ada, "reset"), "password": PASSWORD[::-1]}
    return await address.http.post("/v1/resets/password", json=proof)


async def _reuse(address: Address, community: Community, ada: Somebody) -> httpx.Response:
    first = {"refresh_token": ada.logins[1].refresh}
    second = {"refresh_token": (await address.http.post("/v1/logins/refresh", json=first)).json()["refresh_token"]}
    assert (await address.http.post("/v1/logins/refresh", json=second)).status_code == 200
    return await address.http.post("/v1/logins/refresh", json=first)


ENDINGS = [
    Ending(
        "one",
        lambda address, _, ada: address.http.delete(f"/v1/logins/{ada.logins[1].id}", headers=ada.bearer),
    ),
    Ending(
        "current",
        lambda address, _, ada: address.http.delete("/v1/logins/current", headers=bearer(ada.logins[1].access)),
    ),
    Ending("others", lambda address, _, ada: address.http.delete("/v1/logins/others", headers=ada.bearer)),
    Ending(
        "password",
        lambda address, _, ada: address.http.put(
            "/v1/me/password", json={"current": PASSWORD, "password": PASSWORD[::-1]}, headers=ada.bearer
        ),
    ),
    Ending("reset", _reset, both=True),
    Ending("reuse", _reuse, status=401),
]


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: ending.name)
async def test_a_login_that_ends_is_over_for_every_route_and_its_links_close(
    ending: Ending, community: Community, tmp_path: Path
) -> None:
    ada, ben = await community.person(logins=2), await community.person("Ben")
    kept, ended = ada.logins
    place = Place(await community.group(ben.id, [ada.id]), ben.id, ben.id, kept.id)
    async with community.serve(tmp_path) as address, address.links(kept.access, ended.access, ended.access) as links:
        assert (await ending.do(address, community, ada)).status_code == ending.status
        before = await community.state()
        for login, link, over in ((ended, links[1], True), (ended, links[2], True), (kept, links[0], ending.both)):
            if not over:
                assert (await address.http.get("/v1/me", headers=bearer(login.access))).status_code == 200
                assert (await link.ask(op="command", name="conversation.list"))["op"] == "ok"
                continue
            for operation in NEEDS_SOMEBODY:
                answer = await address.http.request(**request_of(operation, place), headers=bearer(login.access))
                assert word(answer) == "login_ended", operation
            assert await link.until_closed(2.0) == 4004
            async with address.link(None) as another:
                refusal = await another.ask(op="connect", token=login.access)
                assert await another.until_closed(2.0) == 4004
                assert refusal["code"] == "login_ended"
            answer = await address.http.post("/v1/logins/refresh", json={"refresh_token": login.refresh})
            assert answer.json()["code"] == "login_ended"
        # The sender of mails takes from the outbox meanwhile what endings have put there.
        after = await community.state()
        assert before | {"outbox_mail": None} == after | {"outbox_mail": None}


async def test_a_login_that_ended_in_one_process_is_over_in_another_within_two_seconds(
    community: Community, tmp_path: Path
) -> None:
    ada, ben = await community.person(logins=2), await community.person("Ben")
    kept, ended = ada.logins
    place = Place(await community.group(ben.id, [ada.id]), ben.id, ben.id, kept.id)
    async with (
        community.serve(tmp_path / "one") as one,
        community.serve(tmp_path / "two") as two,
        two.links(kept.access, ended.access) as links,
    ):
        assert (await one.http.delete(f"/v1/logins/{ended.id}", headers=ada.bearer)).status_code == 204

        async def refused() -> bool:
            answer = await two.http.get("/v1/me", headers=bearer(ended.access))
            return word(answer) == "login_ended"

        async with asyncio.timeout(2.0):
            assert await links[1].until_closed(2.0) == 4004
            await until(refused, lambda: "it is not refused", seconds=2.0)
        for operation in NEEDS_SOMEBODY:
            answer = await two.http.request(**request_of(operation, place), headers=bearer(ended.access))
            assert word(answer) == "login_ended", operation
        assert (await two.http.get("/v1/me", headers=bearer(kept.access))).status_code == 200
        assert (await links[0].ask(op="command", name="conversation.list"))["op"] == "ok"


async def test_who_was_removed_in_one_process_is_told_nothing_more_in_another(
    community: Community, tmp_path: Path
) -> None:
    ada, ben = await community.person(), await community.person("Ben")
    group = await community.group(ada.id, [ben.id])
    place = f"/v1/conversations/{group}"
    async with (
        community.serve(tmp_path / "one") as one,
        community.serve(tmp_path / "two") as two,
        two.link(ben.access) as link,
    ):
        assert (await link.ask(op="attach", channel=f"conv:{group}", gen=1))["outcome"] == "complete"
        removal = await one.http.delete(f"{place}/members/{ben.id}", headers=ada.bearer)
        assert removal.status_code == 204
        for text in ("a secret", "another secret"):
            message = {"client_id": client_id(), "kind": "text", "body": {"text": text}}
            said = await two.http.post(f"{place}/messages", json=message, headers=ada.bearer)
            assert said.status_code == 201
        # What was published before the answer to this is heard before it, or was held back and is not there any more.
        assert (await link.ask(op="sync", channel=f"conv:{group}", after=0))["code"] == "not_found"
        assert (await link.ask(op="attach", channel=f"conv:{group}", gen=2))["outcome"] == "denied"
        assert not [frame for frame in link.heard if "secret" in json.dumps(frame)]
