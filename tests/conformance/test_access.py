"""Nobody reads or does what they may not: every route, command and frame, asked by everybody.

The policy is `tests/peers/access.py`, which `docs/access.md` is made of. What must change nothing is asked first, all
of it, so that one picture of the tables is what they look like after each answer; what changes something comes then,
each with people and conversations of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import access
import pytest
from access import ANONYMOUS, ANOTHERS, OWN, SIGNED_IN
from cast import FRAMES, Cast, Cell, Findings, Place, frame_of, request_of, rows, said, word
from community import IDS, Address, Community, Conversing, Somebody, essence, without_ids
from database import MigratedDatabase
from serving import until

from chiron.server import app
from chiron.server.extension import Extension
from chiron.server.gateway.commands import Commands
from chiron.server.gateway.gateway import Gateway
from chiron.server.ports import ANYONE, Call, Command, Route

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "access.md"
PROTOCOL = (ROOT / "docs" / "protocol.md").read_text()


@pytest.fixture
async def community(database: MigratedDatabase) -> Community:
    return await Community.found(database)


@pytest.fixture
async def cast(community: Community) -> Cast:
    cast = Cast(community)
    await cast.gather()
    return cast


# --- the page and the lists -------------------------------------------------------------------------------------------


def test_the_page_is_what_the_policy_says() -> None:
    assert PAGE.read_text() == access.page(), "run `make docs`"


class Served:
    """What an app hands to its gateway and its links."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.routes: dict[str, Route] = {}
        self.commands: dict[str, Command] = {}
        gateway, commands = Gateway, Commands

        def keep_routes(routes: Iterable[Route], **more: Any) -> Any:
            routes = list(routes)
            self.routes = {f"{route.method} {re.sub(r':[a-z]+}', '}', route.path)}": route for route in routes}
            return gateway(routes, **more)

        def keep_commands(served: Iterable[Command], **more: Any) -> Any:
            served = list(served)
            self.commands = {command.name: command for command in served}
            return commands(served, **more)

        monkeypatch.setattr(app, "Gateway", keep_routes)
        monkeypatch.setattr(app, "Commands", keep_commands)


NOT_ROUTES = {"GET /", "GET /v1/realtime"}
"""What the gateway answers besides."""


def policy_of(kind: str) -> dict[str, str]:
    """Rules by operation."""
    return {row.operation: row.rule for row in rows(*access.TABLES, kind=kind)}


async def test_every_route_and_command_has_its_expectation_and_its_rule(
    community: Community, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = Served(monkeypatch)
    async with community.serve(tmp_path) as address:
        document = (await address.http.get("/openapi.json")).json()
    described = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    ruled = {operation: route.rule.name for operation, route in served.routes.items()}
    expected = policy_of(access.HTTP)
    assert {operation: expected.get(operation) for operation in ruled} == ruled
    assert set(expected) == set(ruled) | NOT_ROUTES, "an expectation of nothing"
    assert described <= set(expected)
    assert {name: command.rule.name for name, command in served.commands.items()} == policy_of(access.COMMAND)
    for operation, route in served.routes.items():
        verified = [row for row in rows(*access.TABLES, kind=access.HTTP) if row.operation == operation]
        assert route.rule.verified == any(cell[1] == "unverified" for cell in verified[0].cells.values()), operation


async def test_what_an_extension_adds_is_seen(
    community: Community, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(_: Call) -> None:
        return None

    served = Served(monkeypatch)
    more = Extension(
        [Route("GET", "/v1/herons/{heron:uuid}", nothing, ANYONE)], [Command("heron.see", nothing, ANYONE)]
    )
    async with community.serve(tmp_path, extension=more):
        pass
    assert set(served.routes) - set(policy_of(access.HTTP)) == {"GET /v1/herons/{heron}"}
    assert set(served.commands) - set(policy_of(access.COMMAND)) == {"heron.see"}


def test_every_frame_has_its_expectation() -> None:
    section = PROTOCOL.partition("## Commands and answers")[2].partition("\n## ")[0]
    frames = re.findall(r"^\| `([a-z]+)` \|", section.partition("\n\n**")[0], re.MULTILINE)
    assert len(frames) >= 9
    assert set(frames) == set(policy_of(access.FRAME))


# --- over HTTP --------------------------------------------------------------------------------------------------------


BLIND = ("not_found", "unverified", "unauthenticated")
"""Who gets these learns nothing of what is there: neither by it nor by what they send."""


async def test_every_cell_over_http(community: Community, cast: Cast, tmp_path: Path) -> None:
    cells: list[Cell] = []
    for row in rows(access.IN_CONVERSATIONS):
        cells += await cast.in_conversations(row)
    for row in rows(access.ACCOUNTS):
        cells += await cast.of_accounts(row)
    for row in rows(access.LOGINS):
        cells += await cast.of_logins(row)
    for row in rows(access.MODERATION):
        cells += await cast.of_moderation(row)
    findings = Findings()
    async with community.serve(tmp_path) as address:
        before = await community.state()
        for cell in cells:
            if not cell.changes:
                await unchanging(findings, address, cell, cast.nowhere())
                findings.check(await community.state() == before, f"{cell} changed something")
        for cell in cells:
            if cell.changes:
                before = await community.state()
                answer = await address.http.request(**cell.request)
                findings.check(word(answer) == cell.expected, cell, answer.text)
                await community.until_changed(before, str(cell))
    findings.report(least=500)


async def unchanging(findings: Findings, address: Address, cell: Cell, nowhere: Place) -> None:
    answer = await address.http.request(**cell.request)
    findings.check(word(answer) == cell.expected, cell, answer.text)
    said = essence(answer)
    if cell.expected in BLIND or (cell.column == SIGNED_IN and cell.row.rule == "moderator"):
        for blind in attempts(cell, nowhere):
            other = essence(await address.http.request(**blind))
            findings.check(other == said, f"{cell} with {blind}", f"{other} instead of {said}")
    if cell.row.operation.startswith("GET "):
        head = await address.http.request(**cell.request | {"method": "HEAD"})
        findings.check(not head.content and essence(head)[::2] == said[::2], f"HEAD of {cell}", head.headers)


def attempts(cell: Cell, nowhere: Place) -> Iterator[dict[str, Any]]:
    """The same request where nothing is, and with what cannot be read."""
    if "{conversation}" in cell.row.operation or "{login}" in cell.row.operation or cell.row.rule == "moderator":
        yield replace(cell, place=nowhere).request
    request = cell.request
    if "json" in request:
        del request["json"]
        yield request | {"content": b"{", "headers": request["headers"] | {"content-type": "application/json"}}
        yield request | {"content": b'{"x": 1}', "headers": request["headers"] | {"content-type": "text/plain"}}
    else:
        yield request | {"params": {"limit": "many", "after": "-1", "cursor": "of my own making"}}


async def test_nobody_learns_who_is_here_by_adding_them(community: Community, cast: Cast, tmp_path: Path) -> None:
    owner, unverified = cast.people["owner", True], cast.people["stranger", False]
    [place] = await cast.places("owner", True)
    async with community.serve(tmp_path) as address:

        async def tried(who: dict[str, Any]) -> list[Any]:
            people = {"kind": "direct", "people": [who]}
            members = f"/v1/conversations/{place.conversation}/members"
            answers = [
                await address.http.post("/v1/conversations", json=people, headers=owner.bearer),
                await address.http.post(members, json={"person": who}, headers=owner.bearer),
            ]
            return [(status, text.replace(str(who.get("email")), "EMAIL")) for status, text, _ in map(essence, answers)]

        before = await community.state()
        hidden = await tried({"person": str(unverified.id)})
        assert hidden == await tried({"person": str(IDS.new())})
        assert [status for status, _ in hidden] == [404, 404]
        hidden = await tried({"email": unverified.email})
        assert hidden == await tried({"email": "nobody@example.org"})
        assert [status for status, _ in hidden] == [404, 404]
        assert await community.state() == before
        members = f"/v1/conversations/{place.conversation}/members"
        gone = [
            essence(await address.http.delete(f"{members}/{person}", headers=owner.bearer))
            for person in (cast.outsider.id, unverified.id, IDS.new())
        ]
        assert gone[0] == gone[1] == gone[2]
        assert gone[0][0] == 404


async def test_options_and_other_methods_say_the_same_of_what_is_there_and_what_is_not(
    community: Community, cast: Cast, tmp_path: Path
) -> None:
    findings = Findings()
    [place] = await cast.places("member", True)
    place = replace(place, login=cast.boss.logins[0].id)
    async with community.serve(tmp_path) as address:
        before = await community.state()
        for operation in policy_of(access.HTTP):
            if "/mail" in operation:
                continue
            path = operation.partition(" ")[2]
            others = [method for method in ("PUT", "PATCH") if f"{method} {path}" not in policy_of(access.HTTP)]
            for method in ("OPTIONS", others[0]):
                there = request_of(operation, place)["url"]
                answers = [
                    essence(await address.http.request(method, url, headers=headers))
                    for url in (there, request_of(operation, cast.nowhere())["url"])
                    for headers in ({}, cast.outsider.bearer)
                ]
                same = all(answer == answers[0] for answer in answers)
                expected = 204 if method == "OPTIONS" else 404 if path in ("/", "/v1/realtime") else 405
                findings.check(same and answers[0][0] == expected, f"{method} {there}", answers)
                findings.check(method != "OPTIONS" or not answers[0][1], f"{method} {there}", answers)
        findings.check(await community.state() == before, "something changed")
    findings.report(least=50)


# --- over links -------------------------------------------------------------------------------------------------------


class Talking:
    """Links of everybody, each opened when it is first used; who has not connected gets a new one each time."""

    def __init__(self, address: Address, stack: AsyncExitStack) -> None:
        self._address = address
        self._stack = stack
        self._links: dict[UUID, Conversing] = {}

    async def ask(self, who: Somebody | None, **frame: Any) -> tuple[str, str]:
        """The answer in a word, and all of it without ids."""
        if who is None:
            async with self._address.link(None) as link:
                answer = await link.ask(**frame)
                if link.closed is None:
                    await link.hear()
                return said(answer, link), ""
        if who.id not in self._links:
            self._links[who.id] = await self._stack.enter_async_context(self._address.link(who.access))
        link = self._links[who.id]
        answer = await link.ask(**frame)
        return said(answer, link), without_ids(json.dumps({**answer, "id": 0}))


async def test_every_cell_over_a_link(community: Community, cast: Cast, tmp_path: Path) -> None:
    cells: list[tuple[Cell, str]] = []
    for row in rows(access.COMMANDS_IN_CONVERSATIONS, access.FRAMES_IN_CONVERSATIONS):
        cells += [(cell, "") for cell in await cast.in_conversations(row)]
    for row in rows(access.COMMANDS):
        cells += [(cell, "") for cell in await cast.of_accounts(row)]
    for row in rows(access.PERSONAL):
        for cell in await cast.of_logins(row):
            whose = {OWN: cell.who.id if cell.who else None, ANOTHERS: cast.boss.id, ANONYMOUS: cast.boss.id}
            cells.append((cell, f"person:{whose.get(cell.column, IDS.new())}"))
    findings = Findings()
    async with community.serve(tmp_path) as address, AsyncExitStack() as stack:
        talking = Talking(address, stack)
        before, marks = await community.state(), await community.marks()
        for cell, channel in cells:
            if cell.changes:
                continue
            answer, whole = await talking.ask(cell.who, **frame_of(cell.row, cell.place, channel))
            findings.check(answer == cell.expected.replace("ignored", "ok"), f"{cell} {channel}", whole or answer)
            if cell.who is not None and cell.expected in (*BLIND, "denied", "ignored") and cell.column != OWN:
                nowhere = f"person:{IDS.new()}" if channel else ""
                _, other = await talking.ask(cell.who, **frame_of(cell.row, cast.nowhere(), nowhere))
                findings.check(other == whole, f"{cell} {channel}", f"{other} instead of {whole}")
            findings.check(await community.state() == before, f"{cell} changed something")
        # Watermarks are written behind, in their order: when this one is, those of people who are no members were, too.
        [place] = await cast.places("member", True)
        member = cast.people["member", True]
        await talking.ask(member, op="watermark", **FRAMES["watermark"](f"conv:{place.conversation}"))

        async def marked() -> bool:
            return (await community.marks())[place.conversation, member.id][1] > 0

        await until(marked, lambda: "a member's watermark was not written")
        later = await community.marks()
        findings.check({key: later[key] for key in marks} == marks, "a watermark of somebody who is no member")
        for cell, channel in cells:
            if cell.changes:
                before = await community.state()
                answer, whole = await talking.ask(cell.who, **frame_of(cell.row, cell.place, channel))
                findings.check(answer == cell.expected, cell, whole)
                await community.until_changed(before, str(cell))
    findings.report(least=500)


async def test_a_link_speaks_for_who_connected_it(community: Community, tmp_path: Path) -> None:
    [connect, refresh, command, pong] = rows(access.LINK)
    ada = await community.person()
    newer = community.token(ada.id, ada.logins[0].id)
    async with community.serve(tmp_path) as address:
        for row, frame in (
            (connect, {"op": "connect", "token": "of my own making"}),
            (refresh, {"op": "refresh", "token": newer, "gen": 1}),
            (command, {"op": "command", "name": "conversation.list"}),
            (pong, {"op": "pong"}),
        ):
            async with address.link(None) as link:
                answer = await link.ask(**frame)
                assert (await link.until_closed(5.0)) is not None
                assert said(answer, link) == row.expected(ANONYMOUS)
        async with address.link(None) as link:
            assert said(await link.ask(op="connect", token=ada.access), link) == connect.expected(SIGNED_IN)
            await link.say(op="pong")
            assert pong.expected(SIGNED_IN) == "nothing"
            answer = await link.ask(op="command", name="conversation.list")
            assert said(answer, link) == command.expected(SIGNED_IN)
            assert said(await link.ask(op="refresh", token=newer, gen=1), link) == refresh.expected(SIGNED_IN)
