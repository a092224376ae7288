"""`docs/protocol.md` is what somebody writes a client from: what its tables say is what the server does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast, get_args

import msgspec
import pytest

from chiron.errors import CODES
from chiron.protocols.wire import frames
from chiron.server.chat import bodies, decisions, model
from chiron.server.chat.api import ChatApi
from chiron.server.chat.service import Chat
from chiron.server.identity.api import IdentityApi
from chiron.server.identity.model import Me, Session
from chiron.server.moderation.api import ModerationApi
from chiron.server.moderation.model import Decision, Held
from chiron.server.ports import REASONS, VERDICTS, Command, Route
from chiron.server.realtime.link import Close, LinkLimits

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "protocol.md").read_text()


def section(title: str) -> str:
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, f"there is no section {title}"
    return found[1]


def prose(title: str) -> str:
    """A section with every run of white space as one blank."""
    return " ".join(section(title).split())


def rows(title: str) -> list[list[str]]:
    """Cells of the rows of all tables of a section, without headings."""
    lines = [line for line in section(title).splitlines() if line.startswith("| ") and not line.startswith("|--")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [row for row in cells if re.match(r"`|\d", row[0])]


def code(cell: str) -> str:
    """The one term in backquotes with which a cell begins."""
    return cell.split("`")[1]


def members(text: str) -> dict[str, bool]:
    """Names in backquotes, and whether each may be left out: `` `a`, `b`? ``."""
    bare = re.sub(r"\([^()]*\)|`\{[^`]*\}`", "", text)
    return {name: optional == "?" for name, optional in re.findall(r"`(\w+)`(\??)", bare)}


def schema(kind: type[msgspec.Struct]) -> dict[str, bool]:
    return {field.encode_name: not field.required for field in msgspec.structs.fields(kind)}


def tagged(union: Any) -> dict[str, type[msgspec.Struct]]:
    return {str(kind.__struct_config__.tag): kind for kind in get_args(union)}


CLIENT, SERVER = tagged(frames.ClientFrame), tagged(frames.ServerFrame)


def test_the_commands_are_the_frames_of_clients() -> None:
    table = {code(row[0]): row[1] for row in rows("Commands and answers") if len(row) == 3 and code(row[0]) in CLIENT}
    assert set(table) == set(CLIENT)
    for op, cell in table.items():
        documented = members(cell)
        # `after` or `before`: each alone may be left out.
        wanted = schema(CLIENT[op]) | ({"after": False, "before": False} if op == "sync" else {})
        assert documented == wanted, op


def test_every_command_is_answered_by_a_frame_of_the_server() -> None:
    answers = {code(row[2]) for row in rows("Commands and answers") if code(row[0]) in CLIENT and "`" in row[2]}
    assert answers <= set(SERVER)


def test_what_the_server_sends_is_the_frames_of_the_server() -> None:
    told = {code(row[0]): members(row[1]) for row in rows("What the server sends on its own")}
    answers = {"welcome", "attached", "ok", "ack", "page"}
    assert set(told) | answers == set(SERVER)
    for op, documented in told.items():
        assert documented == schema(SERVER[op]), op


@pytest.mark.parametrize("op", ["welcome", "ack", "page"])
def test_answers_have_the_members_of_their_frames(op: str) -> None:
    listed = re.search(rf"`{op}`(?: has|:) (.*?)\. ", prose("Commands and answers"))
    assert listed is not None
    assert set(members(listed[1])) == set(schema(SERVER[op]))


def test_the_limits_of_a_welcome_are_named_and_kept() -> None:
    text = prose("Commands and answers")
    listed = re.search(r"`limits` `\{([^}]*)\}`", text)
    assert listed is not None
    assert listed[1].split(", ") == [field.name for field in msgspec.structs.fields(frames.Limits)]
    limits = LinkLimits()
    assert f"within {limits.connect:.0f} s" in text
    assert f"attaches at most {limits.channels:,} channels" in text
    assert limits.text_bytes == bodies.TEXT_BYTES
    assert f"1 to {bodies.TEXT_BYTES:,} bytes of UTF-8" in text
    assert f"{limits.warning:.0f} s before expiry" in text
    assert f"{limits.grace:.0f} s after expiry" in text


def test_the_outcomes_of_attach() -> None:
    outcomes = [code(row[0]) for row in rows("Commands and answers") if code(row[0]) not in CLIENT]
    assert tuple(outcomes) == get_args(frames.Outcome)


def test_the_errors_are_those_of_the_one_table() -> None:
    documented = {
        code(name): (int(status), temporary == "yes", action) for name, status, temporary, action in rows("Errors")
    }
    assert documented == {name: (row.status, row.temporary, row.action) for name, row in CODES.items()}


def test_every_close_code_says_whether_it_can_be_resumed_and_what_to_do() -> None:
    documented = {int(row[0]): (row[2] == "yes", row[3]) for row in rows("Closing")}
    assert len(documented) == len(rows("Closing")), "each code has exactly one action"
    for close in Close:
        assert documented[close.code][0] == close.resumable
    # The rest is closed by the core, before or behind whatever the link is doing: RFC 6455 §7.4.1.
    assert set(documented) - {close.code for close in Close} == {1002, 1003, 1007, 1009}
    for resumable, action in documented.values():
        assert action in {"reconnect", "refresh", "stop"}
        assert resumable or action != "reconnect"


def offered() -> tuple[list[Route], list[Command]]:
    """What the domains offer. Nothing of it is called, so nothing needs to be behind it."""
    unused = cast(Any, None)
    chat = ChatApi(cast(Chat, None), "e1")
    rest = [*IdentityApi(unused, unused, unused, list).routes(), *ModerationApi(unused).routes()]
    return [*chat.routes(), *rest], chat.commands()


def plain(path: str) -> str:
    """Without types of places, and without what every conversation's path begins with, as the page writes it."""
    return re.sub(r":\w+\}", "}", path).replace("/v1/conversations/{conversation}/", "…/")


def test_commands_and_routes_are_all_there() -> None:
    routes, commands = offered()
    table = rows("Commands by name")
    assert [code(row[0]) for row in table] == [command.name for command in commands]
    listed = {code(row[3]) for row in table}
    listed |= {code(row[0]) for row in (*rows("Accounts"), *rows("Moderation"))}
    listed |= set(re.findall(r"`((?:GET|POST|PUT) …[^`?]*)", section("Commands by name")))
    assert listed == {f"{route.method} {plain(route.path)}" for route in routes}


@pytest.mark.parametrize(
    ("title", "name", "kind"),
    [
        ("Commands by name", "Conversation", model.Conversation),
        ("Commands by name", "Member", model.Member),
        ("Accounts", "Session", Session),
        ("Accounts", "Me", Me),
        ("Moderation", "Held", Held),
        ("Moderation", "Decision", Decision),
    ],
)
def test_results_have_their_members(title: str, name: str, kind: type[msgspec.Struct]) -> None:
    listed = re.search(rf"(?:^|\s){name}: `\{{([^`]*)\}}`", section(title))
    assert listed is not None
    names = [re.sub(r":.*", "", member) for member in re.split(r",\s*", listed[1])]
    documented = {member.removesuffix("?"): member.endswith("?") for member in names}
    assert documented == schema(kind)


def test_the_kinds_of_records_have_their_members() -> None:
    text = prose("What the server sends on its own")
    kinds: dict[str, type[msgspec.Struct]] = {
        "text": bodies.Text,
        "member.added": bodies.MemberAdded,
        "member.removed": bodies.MemberRemoved,
        "member.left": bodies.MemberLeft,
        "membership.removed": bodies.Membership,
        "watermark": model.WatermarkMoved,
        "head": model.Head,
        "newest record as": model.Last,
    }
    for kind, body in kinds.items():
        listed = re.search(rf"{re.escape(kind)}`? `\{{([^}}]*)\}}`", text)
        assert listed is not None, kind
        names = listed[1].split(", ")
        assert {name.removesuffix("?"): name.endswith("?") for name in names} == schema(body), kind


def test_every_verdict_and_every_reason_is_named() -> None:
    assert ["allow", *(code(row[0]) for row in rows("Verdicts"))] == list(VERDICTS)
    listed = re.search(r"are among ((?:`\w+`,? ?)*)\)", prose("Verdicts"))
    assert listed is not None
    assert re.findall(r"`(\w+)`", listed[1]) == list(REASONS)
    text = prose("Verdicts")
    assert f"`{decisions.KIND}`" in text
    kind = re.search(r"message\.decided` `\{([^}]*)\}`", prose("What the server sends on its own"))
    assert kind is not None
    members = {name.removesuffix("?"): name.endswith("?") for name in kind[1].split(", ")}
    assert members == schema(bodies.Decided)


def test_sizes_of_lists() -> None:
    text = prose("Commands by name")
    assert f"(at most {model.MEMBERS:,} members)" in text
    assert f"Titles have 1 to {model.TITLE_CHARACTERS} characters" in text
    assert "`limit` (1–200, default 50)" in text
    for kind in (model.Paging, model.MembersOf):
        (limit,) = (field for field in msgspec.structs.fields(kind) if field.name == "limit")
        assert limit.default == 50
        assert limit.type == model.PageSize
