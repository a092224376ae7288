"""The server inside another program: `examples/embed.py`, as whoever embeds it runs it."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
from serving import Server, servers, until

from chiron.client import Api, Delivered, Link
from chiron.errors import SetupError
from chiron.server import embedding, live
from chiron.server.embedding import Settings, serving
from chiron.server.platform.clock import SystemClock
from chiron.server.platform.keys import PUBLISHED_BEFORE, SIGNING_LIFE

EXAMPLE = Path(__file__).parents[2] / "examples" / "embed.py"
PASSWORD = "correct horse battery"


@pytest.fixture
async def program() -> AsyncIterator[Server]:
    """The example, running; `stop` ends it as Ctrl-C does."""
    async with servers() as make:
        server = make()
        environment = {"PATH": "/usr/bin:/bin", "CHIRON_IDENTITY_VERIFICATION": "off"}
        with server.log.open("ab") as log:
            server.process = await asyncio.create_subprocess_exec(
                *(sys.executable, str(EXAMPLE), "--data-dir", str(server.data), "--port", str(server.secure)),
                *("--plain", f"127.0.0.1:{server.plain}"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
            )
        await server.until_ready()
        yield server


async def verified(server: Server, name: str) -> Api:
    api = Api(server.address)
    email = f"{name.lower()}@example.org"
    await api.register(email, PASSWORD, name)
    found: list[str] = []

    async def look() -> bool:
        async with httpx.AsyncClient(base_url=server.address, trust_env=False) as http:
            mails = (await http.get("/mail.json", params={"to": email})).json()["items"]
        found[:] = [part for mail in mails for part in mail["text"].split() if "/#/verify/" in part]
        return bool(found)

    await until(look, lambda: f"no mail\n{server.tail()}")
    await api.verify(found[0].rpartition("/")[2])
    return api


async def test_a_program_answers_and_adds_a_route_and_a_command(program: Server) -> None:
    ada = await verified(program, "Ada")
    conversation = (await ada.direct("coach@example.org"))["id"]
    async with Link(ada) as link:
        channel = f"conv:{conversation}"
        link.attach(channel, 0)
        ack = await link.send(channel, "I am afraid of the exam.")
        async for event in link.listen(channel):
            if isinstance(event, Delivered) and event.record.author != ada.person["person"]:
                assert event.record.ref == ack.message
                assert "I am afraid of the exam." in event.record.body["text"]
                break
        answer = await link.command("coach.ask", {"question": "Why?"})
        assert answer is not None
        assert answer["answer"].startswith("You said: Why?")
    async with httpx.AsyncClient(base_url=program.address, trust_env=False) as http:
        about = await http.get("/v1/coach")
        assert about.json() == {"name": "Coach", "email": "coach@example.org", "answered": 1}
        document = (await http.get("/openapi.json")).json()
        assert document["paths"]["/v1/coach"]["get"]["summary"] == "Who answers here"
    await ada.close()
    assert await program.stop(signal.SIGINT) == 0, program.tail()


async def test_a_program_has_its_data_again_the_next_time(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with servers() as make:
        server = make()
        settings = Settings(
            data_dir=server.data, host="127.0.0.1", port=server.secure, plain=f"127.0.0.1:{server.plain}", metrics=None
        )
        for _ in range(2):
            async with serving(settings) as inside:
                assert inside.plain == server.address
                api = Api(inside.plain)
                await api.register("ada@example.org", PASSWORD, "Ada")
                with pytest.raises(SetupError, match=r"in use|already"):
                    async with serving(settings):
                        pass
                await api.close()
        async with serving(settings), httpx.AsyncClient(base_url=server.address, trust_env=False) as http:

            async def all_sent() -> bool:
                mails = (await http.get("/mail.json", params={"to": "ada@example.org"})).json()["items"]
                return len(mails) == 2

            await until(all_sent, lambda: "what was put before the stop is not sent after the start")


async def test_keys_change_by_themselves_inside_a_program_too(monkeypatch: pytest.MonkeyPatch) -> None:
    later = timedelta()

    class Moved(SystemClock):
        def now(self) -> datetime:
            return super().now() + later

    monkeypatch.setattr(embedding, "SystemClock", Moved)
    monkeypatch.setattr(live, "LOOK_SECONDS", 0.05)
    async with servers() as make:
        server = make()
        settings = Settings(
            data_dir=server.data, host="127.0.0.1", port=server.secure, plain=f"127.0.0.1:{server.plain}", metrics=None
        )
        async with serving(settings) as inside:
            assert inside.plain is not None
            api = Api(inside.plain)
            (first,) = (await api.jwks())["keys"]
            later = timedelta(seconds=SIGNING_LIFE - PUBLISHED_BEFORE + 60)

            async def published() -> bool:
                return len((await api.jwks())["keys"]) == 2

            await until(published, lambda: "the next key is not in the key set")
            assert first in (await api.jwks())["keys"]
            await api.close()
