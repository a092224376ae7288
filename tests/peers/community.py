"""People in every role, put into a database by the server's own statements, and servers that they use.

It is quicker than moving in, and makes what cannot be reached by asking: members whose address is not verified.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import httpx
import msgspec
from database import MigratedDatabase
from resident import PASSWORD, UNLIMITED
from serving import until
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from chiron._core import Signer
from chiron.server import app
from chiron.server.chat import bodies, membership, store
from chiron.server.chat.batch import Change
from chiron.server.config import ISSUER, Settings, WorkerConfig
from chiron.server.extension import Extension
from chiron.server.identity import store as identity
from chiron.server.identity import tokens
from chiron.server.identity.passwords import Passwords
from chiron.server.identity.proofs import LIFETIME, Proofs, Purpose
from chiron.server.moderation import store as moderation
from chiron.server.moderation.model import Detail
from chiron.server.platform.clock import SystemClock
from chiron.server.platform.ids import UuidV7
from chiron.server.platform.keys import KeyRing, Keys, generate
from chiron.server.ports import Judgement, Judgements, Tx

CLOCK = SystemClock()
IDS = UuidV7(CLOCK)

_numbers = itertools.count(1)


def client_id() -> str:
    """Another one each time."""
    return f"{next(_numbers):026d}"


@dataclass(frozen=True, slots=True)
class Login:
    id: UUID
    access: str
    refresh: str


@dataclass(frozen=True, slots=True)
class Somebody:
    id: UUID
    name: str
    email: str
    verified: bool
    logins: tuple[Login, ...]

    @property
    def access(self) -> str:
        return self.logins[0].access

    @property
    def bearer(self) -> dict[str, str]:
        return bearer(self.access)


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


class Community:
    """One database, the keys of its servers, and who is in it."""

    def __init__(self, database: MigratedDatabase, keys: Keys, password: str) -> None:
        self.database = database
        self.keys = keys
        self._password = password
        self._ring = KeyRing(keys, Signer)
        self._access = tokens.AccessTokens(self._ring.sign, ISSUER, ISSUER, IDS)

    @classmethod
    async def found(cls, database: MigratedDatabase) -> Self:
        passwords = Passwords()
        try:
            return cls(database, generate(), await passwords.hash(PASSWORD))
        finally:
            passwords.close()

    # --- people -------------------------------------------------------------------------------------------------------

    async def person(self, name: str = "Ada", *, verified: bool = True, logins: int = 1) -> Somebody:
        """Their password is PASSWORD."""
        id, now = IDS.new(), CLOCK.now()
        email = f"{name.lower()}-{next(_numbers)}@example.org"

        async def work(tx: Tx) -> tuple[Login, ...]:
            await identity.insert_person(
                tx,
                id=id,
                email=email,
                name=name,
                password=self._password,
                locale="en",
                zone="UTC",
                now=now,
                verified_at=now if verified else None,
            )
            return tuple([await self._login(tx, id, verified) for _ in range(logins)])

        return Somebody(id, name, email, verified, await self.database.pool.run(work))

    async def _login(self, tx: Tx, person: UUID, verified: bool) -> Login:
        login, secret, now = IDS.new(), tokens.new_secret(), CLOCK.now()
        sealed = self._ring.sealer.seal(secret, login.bytes)
        await identity.insert_login(tx, id=login, person=person, secret=sealed, device="kettle", now=now)
        access = self._access.issue(person, login, now, verified=verified)
        return Login(login, access, tokens.refresh_token(secret, login, 1))

    def token(self, person: UUID, login: UUID, *, seconds: int = tokens.ACCESS_SECONDS, audience: str = ISSUER) -> str:
        """An access token of this server's newest key that is good for that long, or was until that long ago."""
        issued = CLOCK.now() - timedelta(seconds=tokens.ACCESS_SECONDS - seconds)
        return tokens.AccessTokens(self._ring.sign, ISSUER, audience, IDS).issue(person, login, issued, verified=True)

    async def proof(self, person: Somebody, purpose: Purpose) -> str:
        """The token of a link as it would have been mailed."""
        id, now = IDS.new(), CLOCK.now()
        expires_at = now + LIFETIME[purpose]

        async def work(tx: Tx) -> None:
            await identity.put_proof(
                tx, id=id, person=person.id, purpose=purpose, email=person.email, now=now, expires_at=expires_at
            )

        await self.database.pool.run(work)
        return Proofs(lambda: self.keys.sealing).token(id, purpose, person.email)

    # --- conversations ------------------------------------------------------------------------------------------------

    async def group(
        self,
        owner: UUID,
        others: Sequence[UUID] = (),
        *,
        left: UUID | None = None,
        removed: UUID | None = None,
    ) -> UUID:
        """With a message of the first of the others, said while everybody was there."""
        conversation, now = IDS.new(), CLOCK.now()
        people = {person: "" for person in (*others, left, removed) if person is not None}

        async def work(tx: Tx) -> UUID:
            await _do(tx, membership.CreateGroup(conversation, owner, IDS, now, "Reeds", people))
            await store.write(tx, [_text(conversation, others[0] if others else owner)])
            if left is not None:
                await _do(tx, membership.Leave(conversation, left, IDS, now))
            if removed is not None:
                await _do(tx, membership.RemoveMember(conversation, owner, IDS, now, removed))
            return conversation

        return await self.database.pool.run(work)

    async def direct(self, one: UUID, other: UUID) -> UUID:
        """With a message of the other one. There is one for two people: make it once."""
        conversation, now = IDS.new(), CLOCK.now()

        async def work(tx: Tx) -> UUID:
            await _do(tx, membership.CreateDirect(conversation, one, IDS, now, other))
            await store.write(tx, [_text(conversation, other)])
            return conversation

        return await self.database.pool.run(work)

    # --- moderation ---------------------------------------------------------------------------------------------------

    async def appoint(self, person: UUID) -> None:
        """Make somebody a moderator."""
        await self.database.pool.run(lambda tx: moderation.grant(tx, person, CLOCK.now()))

    async def hold(self, conversation: UUID, sender: UUID) -> UUID:
        """A message of somebody that waits for a decision."""
        held = Judgement("hold", "hold", ("abuse",))
        entry = msgspec.structs.replace(_text(conversation, sender), judgements=Judgements(held, held))

        async def work(tx: Tx) -> UUID:
            [written] = await store.write(tx, [entry])
            assert written.record is not None
            kept = moderation.Kept(
                message=entry.id,
                conversation=conversation,
                kind=written.kind,
                offset=written.record.offset,
                sender=sender,
                verdict="hold",
                done="hold",
                reasons=["abuse"],
                scores=[0.9, 0.0, 0.0, 0.0, 0.0],
                severity=0,
                detail=Detail(),
                created_at=entry.time,
            )
            await moderation.insert(tx, [kept])
            return entry.id

        return await self.database.pool.run(work)

    # --- what there is ------------------------------------------------------------------------------------------------

    async def state(self) -> dict[str, tuple[int, Any]]:
        """Of every table: its rows, and a sum over what is in them."""

        async def look(tx: Tx) -> dict[str, tuple[int, Any]]:
            tables = await tx.fetch(
                "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') "
                "AND NOT relispartition ORDER BY relname"
            )
            sums = " UNION ALL ".join(
                f"SELECT '{table['relname']}' AS name, count(*) AS rows, "
                f'sum(hashtextextended(t::text, 0)::numeric) AS total FROM "{table["relname"]}" t'
                for table in tables
            )
            return {row["name"]: (row["rows"], row["total"]) for row in await tx.fetch(sums)}

        return await self.database.pool.read(look)

    async def until_changed(self, before: object, what: str) -> None:
        """Some things are written a little later."""

        async def changed() -> bool:
            return (await self.state()) != before

        await until(changed, lambda: f"{what} changed nothing", seconds=10.0)

    async def marks(self) -> dict[tuple[UUID, UUID], tuple[int, int]]:
        """Watermarks (received, read) of everybody who is or was a member, by conversation and person."""

        async def look(tx: Tx) -> dict[tuple[UUID, UUID], tuple[int, int]]:
            rows = await tx.fetch("SELECT conversation, person, received, read FROM member")
            return {(row["conversation"], row["person"]): (row["received"], row["read"]) for row in rows}

        return await self.database.pool.read(look)

    # --- servers ------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def serve(
        self, folder: Path, *, extension: Extension | None = None, keys: Keys | None = None, **settings: Any
    ) -> AsyncIterator[Address]:
        """A worker on this database. Limits are none worth mentioning; addresses must be verified."""
        config = WorkerConfig(
            database=self.database.dsn,
            keys=keys or self.keys,
            tls_chain=b"",
            tls_key=b"",
            settings=Settings(data_dir=folder, limits=UNLIMITED, **settings),
        )
        server = app.build(config, extend=None if extension is None else lambda _: extension)
        plain, watched = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
        await server.start([(plain, False)], metrics_sockets=[watched])
        address = Address(server, config, plain.getsockname()[1], watched.getsockname()[1])
        try:
            yield address
        finally:
            await address.http.aclose()
            await server.drain(2.0)
            await server.stop()


class Address:
    """A server that can be asked."""

    def __init__(self, server: app.App, config: WorkerConfig, port: int, metrics: int) -> None:
        self.server = server
        self.config = config
        self.port = port
        self.metrics = metrics
        self.http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60.0)

    @asynccontextmanager
    async def link(self, token: str | None) -> AsyncIterator[Conversing]:
        """A link that is connected, unless there is no token."""
        url = f"ws://127.0.0.1:{self.port}/v1/realtime"
        async with connect(url, subprotocols=[Subprotocol("chiron.v1.json")], proxy=None) as socket:
            link = Conversing(socket)
            if token is not None:
                assert (await link.ask(op="connect", token=token))["op"] == "welcome"
            yield link

    @asynccontextmanager
    async def links(self, *tokens: str) -> AsyncIterator[list[Conversing]]:
        async with AsyncExitStack() as stack:
            yield [await stack.enter_async_context(self.link(token)) for token in tokens]


class Conversing:
    """A link, one question at a time."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self.heard: list[dict[str, Any]] = []
        """Everything, in order."""
        self.closed: int | None = None
        """The code that the server closed it with."""

    async def say(self, **frame: Any) -> None:
        await self.say_raw(json.dumps(frame))

    async def say_raw(self, message: str) -> None:
        await self._socket.send(message)

    async def ask(self, **frame: Any) -> dict[str, Any]:
        """What answers the frame; where the link is closed instead, its last frame."""
        id = next(self._ids)
        await self.say(id=id, **frame)
        return await self.hear(id)

    async def hear(self, id: int | None = None) -> dict[str, Any]:
        """The answer to a frame, or the link's last frame; other frames are passed over."""
        last: dict[str, Any] = {}
        try:
            async with asyncio.timeout(60.0):
                while True:
                    last = json.loads(await self._socket.recv())
                    self.heard.append(last)
                    if last["op"] != "ping" and id is not None and last.get("id") == id:
                        return last
        except ConnectionClosed as closed:
            self.closed = closed.rcvd.code if closed.rcvd is not None else None
            return last

    async def until_closed(self, seconds: float) -> int | None:
        """The code. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            await self.hear()
        return self.closed


ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def without_ids(text: str) -> str:
    return ID.sub("ID", text)


def essence(answer: httpx.Response) -> tuple[int, str, list[tuple[str, str]]]:
    """All of an answer but ids and what changes with every request: status, content, header fields in their order."""
    content = re.sub(r'"request_id":"[^"]*"', '"request_id":""', without_ids(answer.text))
    varying = {"x-request-id", "date"}
    return answer.status_code, content, [field for field in answer.headers.multi_items() if field[0] not in varying]


async def _do(tx: Tx, change: Change[Any]) -> None:
    effect = await change.run(tx)
    if effect.entries:
        await store.write(tx, effect.entries)


def _text(conversation: UUID, sender: UUID) -> store.Entry:
    body = bodies.canonical("text", b'{"text": "A heron."}')
    return store.Entry(
        id=IDS.new(),
        conversation=conversation,
        sender=sender,
        client_id=client_id(),
        kind="text",
        body=body,
        body_hash=bodies.digest("text", None, body),
        time=CLOCK.now(),
    )
