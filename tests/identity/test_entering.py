"""Verified people as client programs make them: the demo's by themselves, a person by reading their mail."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import httpx
import pytest
from database import MigratedDatabase
from resident import residence

from chiron.client import Api, ServerRefused, demo, terminal
from chiron.client.errors import ClientError


async def test_the_demo_verifies_its_people_and_again_changes_nothing(
    database: MigratedDatabase, tmp_path: Path
) -> None:
    async with residence(database.dsn, tmp_path) as home:
        made: list[str] = []
        await demo.make(home.address, report=made.append)
        assert [line for line in made if line.startswith("Made ")][:4] == [
            f"Made {name}" for name in demo.PEOPLE.values()
        ]
        made.clear()
        await demo.make(home.address, report=made.append)
        assert made == ["Made the conversations"]
        api = Api(home.address)
        person = await api.log_in(demo.ADA, demo.PASSWORD)
        assert person["verified"]
        assert {conversation["kind"] for conversation in (await api.conversations())["items"]} == {"direct", "group"}
        await api.close()


async def test_the_demo_says_why_it_cannot_be_made(
    database: MigratedDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hidden(_: Api, __: str) -> list[object]:
        raise ServerRefused("not_found")

    monkeypatch.setattr(Api, "kept_mail", hidden)
    async with residence(database.dsn, tmp_path) as home:
        with pytest.raises(ClientError, match="identity.verification"):
            await demo.make(home.address)


async def test_registering_in_a_terminal_waits_until_the_mail_was_read(
    database: MigratedDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "POLL", 0.01)
    async with residence(database.dsn, tmp_path) as home:
        await demo.make(home.address)
        said: list[str] = []
        api = Api(home.address)
        entering = asyncio.create_task(
            terminal.sign_in(api, "new@example.org", "correct horse battery", name="New", report=said.append)
        )
        token = await home.token("new@example.org", "verify")
        assert not entering.done()
        assert "new@example.org" in said[0]
        async with httpx.AsyncClient(base_url=home.address, trust_env=False) as http:
            assert re.search(r"/mail\b", " ".join(said))
            assert (await http.post("/v1/verifications", json={"token": token})).status_code == 204
        await asyncio.wait_for(entering, 30)
        assert said[-1].startswith("Confirmed")
        # What only verified people may do.
        assert (await api.direct(demo.ADA))["kind"] == "direct"
        await api.close()
