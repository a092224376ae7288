"""A whole worker that is served over UDP alone: people talk over WebTransport, and over WebSocket on HTTP/3."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal

import pytest
from database import MigratedDatabase
from h3_visitor import Visitor, visit
from websockets.frames import Frame, Opcode

from chiron.protocols.wire import records
from chiron.server import app
from chiron.server.config import IdentitySettings, Settings, WorkerConfig
from chiron.server.edge import udp
from chiron.server.edge.certificates import Certificate
from chiron.server.platform import keys

SECONDS = 60.0
ENGINES: list[Literal["native", "aioquic"]] = ["native", "aioquic"]


@asynccontextmanager
async def serving(
    database: MigratedDatabase, certificate: Certificate, engine: Literal["native", "aioquic"]
) -> AsyncIterator[tuple[app.App, int]]:
    config = WorkerConfig(
        database=database.dsn,
        keys=keys.generate(),
        tls_chain=certificate.chain,
        tls_key=certificate.key,
        quic_chain=certificate.chain,
        quic_key=certificate.key,
        settings=Settings(identity=IdentitySettings(verification="off"), quic=True, quic_engine=engine),
    )
    server = app.build(config)
    sock = udp.bind("127.0.0.1", 0)
    port = sock.getsockname()[1]
    async with asyncio.timeout(SECONDS):
        await server.start([], datagram_sockets=[sock])
        try:
            yield server, port
        finally:
            await server.drain(2.0)
            await server.stop()


async def ask(visitor: Visitor, method: str, path: str, session: Any = None, body: Any = None) -> dict[str, Any]:
    """The answer's JSON, with its status as `http`."""
    headers = [] if session is None else [("authorization", f"Bearer {session['access_token']}")]
    if body is not None:
        headers.append(("content-type", "application/json"))
    content = None if body is None else json.dumps(body).encode()
    answer = await visitor.answer(visitor.ask(path, *headers, method=method, body=content))
    return (json.loads(answer.body) if answer.body else {}) | {"http": answer.status}


class Talk:
    """A link, whatever carries it."""

    def __init__(self, visitor: Visitor, say: Callable[[bytes], None], heard: Callable[[], list[bytes]]) -> None:
        self._visitor = visitor
        self._say = say
        self._heard = heard
        self._passed = 0

    def say(self, **frame: Any) -> None:
        self._say(json.dumps(frame).encode())

    async def hear(self, op: str) -> dict[str, Any]:
        """The next frame of this kind; others are passed over."""
        while True:
            await self._visitor.until(lambda: len(self._heard()) > self._passed)
            frame: dict[str, Any] = json.loads(self._heard()[self._passed])
            self._passed += 1
            if frame["op"] == op:
                return frame


async def webtransport(visitor: Visitor) -> tuple[int, Talk]:
    session, status = await visitor.session()
    assert status == 200
    stream = visitor.open(session)

    def heard() -> list[bytes]:
        return records.Decoder(1 << 20).receive(bytes(visitor.lanes[stream].data))

    return session, Talk(visitor, lambda data: visitor.write(stream, records.encode(data)), heard)


async def websocket(visitor: Visitor) -> tuple[int, Talk]:
    await visitor.until(lambda: visitor.settings is not None)
    fields = (("sec-websocket-version", "13"), ("sec-websocket-protocol", "chiron.v1.json"))
    stream = visitor.ask("/v1/realtime", *fields, method="CONNECT", protocol="websocket", end=False)
    assert await visitor.head(stream) == 200

    def heard() -> list[bytes]:
        return texts(bytes(visitor.answers[stream].body))

    return stream, Talk(
        visitor, lambda data: visitor.send(stream, Frame(Opcode.TEXT, data).serialize(mask=True)), heard
    )


def texts(data: bytes) -> list[bytes]:
    """The messages of a server's whole text frames, which are short."""
    found = []
    while len(data) >= 2:
        length, start = data[1], 2
        if length == 126:
            length, start = int.from_bytes(data[2:4], "big"), 4
        if len(data) < start + length:
            break
        if data[0] & 0x0F == Opcode.TEXT:
            found.append(data[start : start + length])
        data = data[start + length :]
    return found


@pytest.mark.parametrize("engine", ENGINES)
async def test_two_people_talk_over_http3_alone(
    database: MigratedDatabase, certificate: Certificate, engine: Literal["native", "aioquic"]
) -> None:
    async with serving(database, certificate, engine) as (server, port), visit(port) as ada, visit(port) as ben:
        account = {"password": "correct horse battery", "name": "Somebody"}
        people = {
            name: await ask(ada, "POST", "/v1/people", None, account | {"email": f"{name}@example.org"})
            for name in ("ada", "ben")
        }
        assert [each["http"] for each in people.values()] == [201, 201]
        who = {"person": people["ben"]["person"]["person"]}
        group = await ask(
            ada, "POST", "/v1/conversations", people["ada"], {"kind": "group", "title": "Group", "people": [who]}
        )
        channel = f"conv:{group['id']}"
        session, hers = await webtransport(ada)
        stream, his = await websocket(ben)
        for name, talk in (("ada", hers), ("ben", his)):
            talk.say(op="connect", id=1, token=people[name]["access_token"])
            await talk.hear("welcome")
            talk.say(op="attach", id=2, channel=channel, gen=1)
            assert (await talk.hear("attached"))["outcome"] == "complete"
        for n, (talk, other) in enumerate([(hers, his), (his, hers)]):
            body = {"text": f"number {n}"}
            talk.say(op="publish", id=3, channel=channel, client_id=f"{n:026d}", n=1, kind="text", body=body)
            ack = await talk.hear("ack")
            delivery = await other.hear("delivery")
            assert (delivery["offset"], delivery["body"]) == (ack["offset"], body)
        assert (await ask(ada, "GET", "/v1/realtime"))["code"] == "upgrade_required"
        assert (await ask(ada, "GET", "/v1/me"))["code"] == "unauthenticated"

        draining = asyncio.create_task(server.drain(10.0))
        for talk in (hers, his):
            assert (await talk.hear("close"))["code"] == 1001
        assert ada.http is not None
        ada.http.close_session(session)
        ada.turn()
        ben.send(stream, Frame(Opcode.CLOSE, (1001).to_bytes(2, "big")).serialize(mask=True), end=True)
        for visitor in (ada, ben):
            await visitor.until(lambda: ada.closed and ben.closed)
        await draining
