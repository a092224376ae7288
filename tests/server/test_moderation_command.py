"""`chiron moderation`, as the operator and as moderators run it."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import UUID

from commands import Outcome, chiron, nobody
from community import Community
from database import MigratedDatabase
from resident import PASSWORD, Residence, Resident, residence


class Desk:
    """A moderator's command line, and what lies on their desk."""

    def __init__(self, home: Residence, community: Community, folder: Path) -> None:
        self.home = home
        self.community = community
        self._operator = ("--database", community.database.dsn, "--data-dir", str(folder))

    async def operate(self, *arguments: str) -> Outcome:
        return await chiron("moderation", *arguments, *self._operator)

    async def moderate(self, who: Resident, *arguments: str) -> Outcome:
        return await chiron(
            *("moderation", *arguments, "--server", self.home.address),
            CHIRON_EMAIL=who.email,
            CHIRON_PASSWORD=PASSWORD,
        )

    async def hold(self, author: Resident, reader: Resident) -> str:
        group = await self.community.group(UUID(author.id), [UUID(reader.id)])
        return str(await self.community.hold(group, UUID(author.id)))


async def test_the_operator_says_who_moderates(database: MigratedDatabase, tmp_path: Path) -> None:
    async with residence(database.dsn, tmp_path / "server") as home:
        desk = Desk(home, await Community.found(database), tmp_path / "data")
        mia = await home.move_in("Mia")
        for said in ("a moderator now", "a moderator already"):
            assert (await desk.operate("grant", mia.email.upper())).output == f"{mia.email.upper()} is {said}.\n"
        assert mia.email in (await desk.operate("moderators")).output
        assert (await desk.operate("revoke", mia.email)).output == f"{mia.email} is no moderator any more.\n"
        refused = await desk.moderate(mia, "held")
        assert (refused.status, "You may not do that." in refused.said) == (1, True)


async def test_a_moderator_reads_and_decides(database: MigratedDatabase, tmp_path: Path) -> None:
    async with residence(database.dsn, tmp_path / "server") as home:
        desk = Desk(home, await Community.found(database), tmp_path / "data")
        mia, ada = await home.move_in("Mia"), await home.move_in("Ada")
        await desk.community.appoint(UUID(mia.id))
        first, second = await desk.hold(ada, mia), await desk.hold(ada, mia)
        shown = await desk.moderate(mia, "held")
        assert shown.output.index(first) < shown.output.index(second)
        assert "    A heron.\n    for abuse (abuse 0.90, hate 0.00" in shown.output
        [line, _] = (await desk.moderate(mia, "held", "--json")).output.splitlines()
        assert json.loads(line)["message"] == first
        assert (await desk.moderate(mia, "release", first)).output == f"Released {first}.\n"
        assert (await desk.moderate(mia, "refuse", second)).output == f"Refused {second}.\n"
        changed = await desk.moderate(mia, "refuse", first)
        assert (changed.status, "decided otherwise" in changed.said) == (1, True)
        logins = (await home.http.get("/v1/logins", headers=mia.bearer)).json()["items"]
        assert {login["device"] for login in logins} == {""}, "each command has signed out again"


async def test_nobody_is_granted_it_by_an_address_that_nobody_has_verified(
    database: MigratedDatabase, tmp_path: Path
) -> None:
    place = ("--database", database.dsn, "--data-dir", str(tmp_path))
    outcome = await chiron("moderation", "grant", "nobody@example.org", *place)
    assert outcome.status == 1
    assert "Nobody here has verified the address nobody@example.org." in " ".join(outcome.said.split())


async def test_without_a_server_the_status_says_so() -> None:
    outcome = await chiron("moderation", "held", "--server", nobody(), CHIRON_EMAIL="a@b.org", CHIRON_PASSWORD=PASSWORD)
    assert outcome.status == 69


async def test_the_commands_are_explained() -> None:
    outcome = await chiron("moderation", "-h")
    assert outcome.status == 0
    for command in ("held", "release", "refuse", "grant", "revoke", "moderators"):
        assert command in outcome.output
