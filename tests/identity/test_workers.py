"""Several workers on one database: who is signed out on one is signed out on all, and what a token says follows."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from database import MigratedDatabase
from serving import until
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from chiron.server import app
from chiron.server.config import Settings, WorkerConfig
from chiron.server.platform import keys

SECONDS = 30.0
PASSWORD = "correct horse battery"
MESSAGE = {"client_id": f"{1:026d}", "kind": "text", "body": {"text": "Hello"}}


class Worker:
    def __init__(self, port: int) -> None:
        self.address = f"127.0.0.1:{port}"
        self.http = httpx.AsyncClient(base_url=f"http://{self.address}", trust_env=False, timeout=SECONDS)

    async def ask(self, method: str, path: str, session: dict[str, Any] | None = None, body: Any = None) -> Any:
        """The answer's JSON, with its status as `http`."""
        headers = {} if session is None else {"authorization": f"Bearer {session['access_token']}"}
        answer = await self.http.request(method, path, json=body, headers=headers)
        return (answer.json() if answer.content else {}) | {"http": answer.status_code}

    async def register(self, name: str) -> dict[str, Any]:
        account = {"email": f"{name}@example.org", "password": PASSWORD, "name": name}
        session: dict[str, Any] = await self.ask("POST", "/v1/people", None, account)
        return session

    async def verify(self, session: dict[str, Any]) -> dict[str, Any]:
        """Read the mail on the page of kept mail, and take a new token."""
        found: list[str] = []

        async def arrived() -> bool:
            mails = await self.ask("GET", f"/mail.json?to={session['person']['email']}")
            found.extend(re.findall(r"/#/verify/(\S+)", "".join(mail["text"] for mail in mails["items"])))
            return bool(found)

        await until(arrived, lambda: "no mail came")
        assert (await self.ask("POST", "/v1/verifications", None, {"token": found[-1]}))["http"] == 204
        return await self.refresh(session)

    async def refresh(self, session: dict[str, Any]) -> dict[str, Any]:
        token = {"refresh_token": session["refresh_token"]}
        refreshed: dict[str, Any] = await self.ask("POST", "/v1/logins/refresh", None, token)
        return refreshed

    @asynccontextmanager
    async def link(self, session: dict[str, Any]) -> AsyncIterator[ClientConnection]:
        url = f"ws://{self.address}/v1/realtime"
        async with connect(url, subprotocols=[Subprotocol("chiron.v1.json")], proxy=None) as link:
            welcome = await say(link, op="connect", id=1, token=session["access_token"])
            assert welcome["op"] == "welcome"
            yield link


async def say(link: ClientConnection, **frame: Any) -> dict[str, Any]:
    """The answer."""
    await link.send(json.dumps(frame))
    return await hear(link, lambda heard: heard.get("id") == frame["id"])


async def hear(link: ClientConnection, wanted: Any) -> dict[str, Any]:
    while True:
        frame: dict[str, Any] = json.loads(await link.recv())
        if wanted(frame):
            return frame


@asynccontextmanager
async def workers(database: MigratedDatabase, folder: Path, count: int) -> AsyncIterator[list[Worker]]:
    shared = keys.generate()
    servers, made = [], []
    for _ in range(count):
        config = WorkerConfig(
            database=database.dsn, keys=shared, tls_chain=b"", tls_key=b"", settings=Settings(data_dir=folder)
        )
        server = app.build(config)
        sock = socket.create_server(("127.0.0.1", 0))
        await server.start([(sock, False)])
        servers.append(server)
        made.append(Worker(sock.getsockname()[1]))
    try:
        yield made
    finally:
        for worker in made:
            await worker.http.aclose()
        for server in servers:
            await server.drain(2.0)
            await server.stop()


async def test_who_is_signed_out_on_one_worker_is_so_on_all_within_two_seconds(
    database: MigratedDatabase, tmp_path: Path
) -> None:
    async with asyncio.timeout(SECONDS), workers(database, tmp_path, 2) as (here, there):
        lost = await here.register("ada")
        lost = await here.verify(lost)
        mine = await here.ask("POST", "/v1/logins", None, {"email": "ada@example.org", "password": PASSWORD})
        async with there.link(lost) as link, there.link(mine) as kept:
            assert (await there.ask("GET", "/v1/me", lost))["http"] == 200
            logins = (await here.ask("GET", "/v1/logins", mine))["items"]
            (phone,) = (login["login"] for login in logins if not login["current"])
            began = asyncio.get_running_loop().time()
            assert (await here.ask("DELETE", f"/v1/logins/{phone}", mine))["http"] == 204
            # Here it is over with the answer.
            assert (await here.ask("GET", "/v1/me", lost))["code"] == "login_ended"
            close = await hear(link, lambda frame: frame["op"] == "close")
            assert asyncio.get_running_loop().time() - began < 2
            assert (close["code"], close["resumable"]) == (4004, False)
            assert (await there.ask("GET", "/v1/me", lost))["code"] == "login_ended"
            assert (await there.refresh(lost))["code"] == "login_ended"
            assert (await say(kept, op="command", id=2, name="conversation.list", params={}))["op"] == "ok"


@pytest.mark.parametrize("how", ["links", "requests"])
async def test_until_an_address_is_verified_its_person_talks_to_nobody(
    database: MigratedDatabase, tmp_path: Path, how: str
) -> None:
    async with asyncio.timeout(SECONDS), workers(database, tmp_path, 1) as (worker,):
        ada, new = await worker.verify(await worker.register("ada")), await worker.register("new")
        assert (ada["person"]["verified"], new["person"]["verified"]) == (True, False)
        who = {"email": "ada@example.org"}
        direct = {"kind": "direct", "people": [who]}

        # Nobody finds them either, by whatever they go by.
        for found in ({"email": "new@example.org"}, {"person": new["person"]["person"]}):
            refused = await worker.ask("POST", "/v1/conversations", ada, {"kind": "direct", "people": [found]})
            assert refused["http"] == 404

        if how == "requests":
            assert (await worker.ask("GET", "/v1/me", new))["http"] == 200
            assert (await worker.ask("GET", "/v1/conversations", new))["items"] == []
            for method, path, body in (
                ("POST", "/v1/conversations", direct),
                ("PUT", "/v1/me/profiles/mentor", {"state": "active"}),
            ):
                refused = await worker.ask(method, path, new, body)
                assert (refused["http"], refused["code"]) == (403, "unverified")
            new = await worker.verify(new)
            made = await worker.ask("POST", "/v1/conversations", new, direct)
            assert made["http"] == 201
            said = await worker.ask("POST", f"/v1/conversations/{made['id']}/messages", new, MESSAGE)
            assert said["http"] == 201
            assert (await worker.ask("PUT", "/v1/me/profiles/mentor", new, {"state": "active"}))["http"] == 200
            return

        group = await worker.ask("POST", "/v1/conversations", ada, {"kind": "group", "title": "G", "people": []})
        publish = {"op": "publish", "channel": f"conv:{group['id']}", **MESSAGE}
        async with worker.link(new) as link:
            create = {"op": "command", "name": "conversation.create", "params": direct}
            assert (await say(link, id=2, **create))["code"] == "unverified"
            assert (await say(link, id=3, n=1, **publish))["code"] == "unverified"
            # The link follows what its newest token says.
            verified = await worker.verify(new)
            assert (await say(link, id=4, **create))["code"] == "unverified"
            assert (await say(link, op="refresh", id=5, token=verified["access_token"], gen=1))["op"] == "ok"
            made = await say(link, id=6, **create)
            assert made["op"] == "ok"
            heard = await say(link, id=7, n=1, **(publish | {"channel": f"conv:{made['result']['id']}"}))
            assert heard["op"] == "ack"


async def test_a_password_by_mail_signs_out_everywhere_and_lets_its_owner_in(
    database: MigratedDatabase, tmp_path: Path
) -> None:
    async with asyncio.timeout(SECONDS), workers(database, tmp_path, 1) as (worker,):
        ada = await worker.verify(await worker.register("ada"))
        async with worker.link(ada) as link:
            assert (await worker.ask("POST", "/v1/resets", None, {"email": "ADA@example.org"}))["http"] == 202
            assert (await worker.ask("POST", "/v1/resets", None, {"email": "eve@example.org"}))["http"] == 202
            found: list[str] = []

            async def arrived() -> bool:
                mails = await worker.ask("GET", "/mail.json")
                assert not [mail for mail in mails["items"] if "eve" in mail["to"]]
                found.extend(re.findall(r"/#/reset/(\S+)", "".join(mail["text"] for mail in mails["items"])))
                return bool(found)

            await until(arrived, lambda: "no mail came")
            wanted = {"token": found[0], "password": "another horse entirely"}
            assert (await worker.ask("POST", "/v1/resets/password", None, wanted))["http"] == 204
            assert (await hear(link, lambda frame: frame["op"] == "close"))["code"] == 4004
            assert (await worker.ask("POST", "/v1/resets/password", None, wanted))["code"] == "link_expired"
        login = {"email": "ada@example.org", "password": wanted["password"]}
        assert (await worker.ask("POST", "/v1/logins", None, login))["http"] == 201
        assert (await worker.ask("POST", "/v1/logins", None, login | {"password": PASSWORD}))["code"] == "credentials"
