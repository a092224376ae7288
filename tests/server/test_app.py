"""The server as an embedder has it: built in their own program, on their loop, on a socket that they bound."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
import pytest
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from database import MigratedDatabase
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from chiron.errors import SetupError
from chiron.server import app
from chiron.server.config import IdentitySettings, LimitSettings, Settings, WorkerConfig
from chiron.server.platform import base64url, keys

SECONDS = 30.0


class House:
    """A server that was started, and clients of it."""

    def __init__(self, server: app.App, port: int) -> None:
        self.server = server
        self.address = f"127.0.0.1:{port}"
        self.http = httpx.AsyncClient(base_url=f"http://{self.address}", trust_env=False, timeout=SECONDS)

    async def sign_up(self, name: str) -> dict[str, Any]:
        account = {"email": f"{name}@example.org", "password": "correct horse battery", "name": name}
        return await self.ask("POST", "/v1/people", None, account)

    async def ask(self, method: str, path: str, session: dict[str, Any] | None, body: Any = None) -> dict[str, Any]:
        """The answer's JSON, with its status as `http`."""
        headers = {} if session is None else {"authorization": f"Bearer {session['access_token']}"}
        answer = await self.http.request(method, path, json=body, headers=headers)
        return (answer.json() if answer.content else {}) | {"http": answer.status_code}

    @asynccontextmanager
    async def link(self, session: dict[str, Any]) -> AsyncIterator[ClientConnection]:
        url = f"ws://{self.address}/v1/realtime"
        async with connect(url, subprotocols=[Subprotocol("chiron.v1.json")], proxy=None) as link:
            await say(link, op="connect", id=1, token=session["access_token"])
            assert (await hear(link, "welcome"))["person"] == session["person"]["person"]
            yield link


async def say(link: ClientConnection, **frame: Any) -> None:
    await link.send(json.dumps(frame))


async def hear(link: ClientConnection, op: str) -> dict[str, Any]:
    """The next frame of this kind; others are passed over."""
    while True:
        frame: dict[str, Any] = json.loads(await link.recv())
        if frame["op"] == op:
            return frame


def settled(database: MigratedDatabase, held: keys.Keys) -> WorkerConfig:
    settings = Settings(identity=IdentitySettings(verification="off"))
    return WorkerConfig(database=database.dsn, keys=held, tls_chain=b"", tls_key=b"", settings=settings)


@asynccontextmanager
async def serving(database: MigratedDatabase, config: WorkerConfig | None = None) -> AsyncIterator[House]:
    server = app.build(config or settled(database, keys.generate()))
    sock = socket.create_server(("127.0.0.1", 0))
    await server.start([(sock, False)])
    house = House(server, sock.getsockname()[1])
    try:
        yield house
    finally:
        await house.http.aclose()
        await server.drain(2.0)
        await server.stop()


def test_an_embedder_serves_on_any_loop_and_leaves_nothing_running(database: MigratedDatabase) -> None:
    async def main() -> None:
        async with asyncio.timeout(SECONDS), serving(database) as house:
            ada = await house.sign_up("ada")
            assert (await house.ask("GET", "/v1/me", ada))["name"] == "ada"
            assert (await house.ask("GET", "/readyz", None))["http"] == 200
        assert asyncio.all_tasks() == {asyncio.current_task()}

    # The second one finds the account of the first.
    async def again() -> None:
        async with asyncio.timeout(SECONDS), serving(database) as house:
            assert (await house.sign_up("ada"))["code"] == "email_taken"

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
    with asyncio.Runner() as runner:
        runner.run(again())


async def test_what_rest_writes_a_link_hears_until_its_person_is_removed(database: MigratedDatabase) -> None:
    async with asyncio.timeout(SECONDS), serving(database) as house:
        ada, ben = await house.sign_up("ada"), await house.sign_up("ben")
        who = {"person": ben["person"]["person"]}
        group = await house.ask("POST", "/v1/conversations", ada, {"kind": "group", "title": "Group", "people": [who]})
        place = f"/v1/conversations/{group['id']}"
        async with house.link(ben) as link:
            await say(link, op="attach", id=2, channel=f"conv:{group['id']}", gen=1)
            assert (await hear(link, "attached"))["outcome"] == "complete"

            first = {"client_id": f"{1:026d}", "kind": "text", "body": {"text": "one"}}
            ack = await house.ask("POST", f"{place}/messages", ada, first)
            assert ack["http"] == 201
            heard = await hear(link, "delivery")
            assert (heard["message"], heard["offset"], heard["body"]) == (ack["message"], ack["offset"], first["body"])

            assert (await house.ask("DELETE", f"{place}/members/{who['person']}", ada))["http"] == 204
            assert (await hear(link, "detached"))["number"] == group["number"]
            second = {"client_id": f"{2:026d}", "kind": "text", "body": {"text": "two"}}
            assert (await house.ask("POST", f"{place}/messages", ada, second))["http"] == 201
            # Whatever came of the second message came before the answer to this.
            await say(link, op="sync", id=3, channel=f"conv:{group['id']}", after=0)
            frames = []
            while (frame := json.loads(await link.recv())).get("id") != 3:
                frames.append(frame)
            assert frame["code"] == "not_found"
            assert [each for each in frames if each["op"] == "delivery" and each["number"] == group["number"]] == []


async def test_signing_out_ends_the_links_of_the_login_and_its_tokens(database: MigratedDatabase) -> None:
    async with asyncio.timeout(SECONDS), serving(database) as house:
        ada = await house.sign_up("ada")
        login = {"email": "ada@example.org", "password": "correct horse battery"}
        other = await house.ask("POST", "/v1/logins", None, login)
        async with house.link(ada) as link, house.link(other) as kept:
            assert (await house.ask("DELETE", "/v1/logins/current", ada))["http"] == 204
            assert (await hear(link, "close"))["code"] == 4004
            with pytest.raises(ConnectionClosed) as closed:
                await link.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 4004
            assert (await house.ask("GET", "/v1/me", ada))["code"] == "login_ended"
            refreshed = await house.ask("POST", "/v1/logins/refresh", None, {"refresh_token": ada["refresh_token"]})
            assert refreshed["code"] == "login_ended"
            await say(kept, op="command", id=2, name="conversation.list")
            assert (await hear(kept, "ok"))["result"]["items"] == []


async def test_a_link_takes_a_newer_token_of_its_person_alone(database: MigratedDatabase) -> None:
    async with asyncio.timeout(SECONDS), serving(database) as house:
        ada, ben = await house.sign_up("ada"), await house.sign_up("ben")
        async with house.link(ada) as link:
            newer = await house.ask("POST", "/v1/logins/refresh", None, {"refresh_token": ada["refresh_token"]})
            await say(link, op="refresh", id=2, token=newer["access_token"], gen=1)
            assert (await hear(link, "ok"))["id"] == 2
            await say(link, op="refresh", id=3, token=ben["access_token"], gen=2)
            assert (await hear(link, "error"))["code"] == "forbidden"


async def test_rfc7517_the_published_keys_check_the_tokens(database: MigratedDatabase) -> None:
    async with asyncio.timeout(SECONDS), serving(database) as house:
        ada = await house.sign_up("ada")
        (key,) = (await house.ask("GET", "/.well-known/jwks.json", None))["keys"]
        signed, _, signature = ada["access_token"].rpartition(".")
        header, claims = (json.loads(base64url.decode(part)) for part in signed.split("."))
        assert header == {"alg": "EdDSA", "typ": "at+jwt", "kid": key["kid"]}
        assert claims["sub"] == ada["person"]["person"]
        assert claims["exp"] - claims["iat"] == ada["expires_in"]
        public = Ed25519PublicKey.from_public_bytes(base64url.decode(key["x"]))
        public.verify(base64url.decode(signature), signed.encode())  # raises when it does not


async def test_a_token_is_accepted_until_its_key_leaves_and_links_stay(
    database: MigratedDatabase,
) -> None:
    first = keys.generate(time.time())
    config = settled(database, first)
    async with asyncio.timeout(SECONDS), serving(database, config) as house:

        async def published() -> list[str]:
            return [key["kid"] for key in (await house.ask("GET", "/.well-known/jwks.json", None))["keys"]]

        ada = await house.sign_up("ada")
        async with house.link(ada) as link:
            second = keys.replaced(first, keys.PURPOSES, time.time())
            house.server.reload(msgspec.structs.replace(config, keys=second))
            assert await published() == [key.kid for key in second.signing]
            assert (await house.ask("GET", "/v1/me", ada))["http"] == 200
            # The login's secret was sealed by the key before.
            newer = await house.ask("POST", "/v1/logins/refresh", None, {"refresh_token": ada["refresh_token"]})
            assert newer["http"] == 200

            third = keys.rotated(second, time.time() + 3600, 660.0)
            house.server.reload(msgspec.structs.replace(config, keys=third))
            assert await published() == [second.signing[0].kid]
            assert (await house.ask("GET", "/v1/me", ada))["code"] == "unauthenticated"
            assert (await house.ask("GET", "/v1/me", newer))["http"] == 200
            await say(link, op="command", id=2, name="conversation.list")
            assert (await hear(link, "ok"))["id"] == 2


async def test_other_limits_hold_at_once(database: MigratedDatabase) -> None:
    config = settled(database, keys.generate())
    async with asyncio.timeout(SECONDS), serving(database, config) as house:
        assert (await house.ask("GET", "/v1/me", None))["http"] == 401
        limits = LimitSettings(address_per_second=0.1, address_burst=2.0)
        strict = msgspec.structs.replace(config.settings, limits=limits)
        house.server.reload(msgspec.structs.replace(config, settings=strict))
        assert 429 in [(await house.ask("GET", "/v1/me", None))["http"] for _ in range(5)]


async def test_a_listener_with_tls_needs_a_certificate(database: MigratedDatabase) -> None:
    server = app.build(WorkerConfig(database=database.dsn, keys=keys.generate(), tls_chain=b"", tls_key=b""))
    with socket.create_server(("127.0.0.1", 0)) as sock:
        with pytest.raises(SetupError, match="certificate"):
            await server.start([(sock, True)])
        await server.stop()
