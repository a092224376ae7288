"""The other side of a client, scripted: an HTTP server and a realtime server in the test's own loop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import h11
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request as Handshake
from websockets.http11 import Response as HandshakeResponse

from chiron.client.transports import Choice
from chiron.client.trust import Trust

DEADLINE = 20.0

Answer = tuple[int, Any, dict[str, str]]
"""Status, body (bytes as they are, else JSON; None: empty) and header fields."""


@dataclass(frozen=True)
class Asked:
    method: str
    target: str
    token: str
    body: Any


@dataclass
class Rest:
    """An HTTP server that answers as `answer` says; keeps what it was asked."""

    address: str
    asked: list[Asked] = field(default_factory=list)
    answer: Callable[[Asked], Awaitable[Answer]] | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER)
        body = b""
        request: h11.Request | None = None
        while not isinstance(event := connection.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(65536))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
            else:  # the client has gone
                writer.close()
                return
        assert request is not None
        token = dict(request.headers).get(b"authorization", b"").decode().removeprefix("Bearer ")
        asked = Asked(request.method.decode(), request.target.decode(), token, json.loads(body) if body else None)
        self.asked.append(asked)
        assert self.answer is not None
        status, content, fields = await self.answer(asked)
        data = content if isinstance(content, bytes) else b"" if content is None else json.dumps(content).encode()
        head = [*fields.items(), ("content-length", str(len(data))), ("connection", "close")]
        writer.write(connection.send(h11.Response(status_code=status, headers=head)) or b"")
        writer.write((connection.send(h11.Data(data)) or b"") + (connection.send(h11.EndOfMessage()) or b""))
        writer.close()


# --- the realtime server ----------------------------------------------------------------------------------------------


class Carrier(Protocol):
    """The server's end of what a link runs over: a `websockets.ServerConnection`, or what looks like one."""

    async def recv(self) -> str | bytes: ...

    async def send(self, message: str, /) -> None: ...

    async def close(self, code: int = 1000, /) -> None: ...

    async def wait_closed(self) -> None: ...


class Peer:
    """The server's end of one link."""

    def __init__(self, socket: Carrier) -> None:
        self.carrier = self._socket = socket
        self._id = 0
        self.ended = asyncio.Event()

    async def receive(self, op: str) -> dict[str, Any]:
        """The next frame, which must be this one; pongs are passed over."""
        async with asyncio.timeout(DEADLINE):
            while (frame := json.loads(await self._socket.recv()))["op"] == "pong":
                pass
        assert frame["op"] == op, frame
        return cast("dict[str, Any]", frame)

    async def send(self, op: str, **members: Any) -> None:
        await self._socket.send(json.dumps({"op": op, **members}))

    async def welcome(self, *, ping_ms: int = 60_000, epoch: str = "e", head: int = 0) -> dict[str, Any]:
        """Receive `connect` and welcome whoever sent it."""
        connect = await self.receive("connect")
        limits = {"frame_bytes": 65536, "text_bytes": 16384, "in_flight": 32, "rate": 50, "burst": 200}
        await self.send(
            "welcome",
            id=connect["id"],
            link="1",
            person="ada",
            number=1,
            epoch=epoch,
            head=head,
            outcome="complete",
            time=0,
            ping_ms=ping_ms,
            token_ms=600_000,
            limits=limits,
        )
        return connect

    async def ack(self, publish: dict[str, Any], offset: int) -> None:
        await self.send("ack", id=publish["id"], message=f"m{offset}", offset=offset, ordinal=offset, time=0)

    async def close(self, code: int, *, reconnect_in_ms: int = 0, resumable: bool = True) -> None:
        await self.send("close", code=code, reason="", reconnect_in_ms=reconnect_in_ms, resumable=resumable)
        await self.drop(code)

    async def drop(self, code: int = 1011) -> None:
        """End without a word."""
        await self._socket.close(code)
        self.ended.set()

    async def until_left(self) -> None:
        async with asyncio.timeout(DEADLINE):
            await self._socket.wait_closed()
        self.ended.set()


class Realtime:
    """A realtime server over WebSocket on TCP; the test plays each link by hand."""

    transport: Choice = "websocket"
    offer: dict[str, Any] | None = None

    def __init__(self) -> None:
        self._server: Server | None = None
        self._peers: asyncio.Queue[Peer] = asyncio.Queue()
        self.refusals: list[tuple[int, dict[str, str]]] = []
        """Status and header fields with which the next handshakes are refused."""
        self.port = 0

    async def open(self) -> None:
        self._server = await serve(
            self._serve,
            "127.0.0.1",
            self.port,
            process_request=self._admit,
            subprotocols=["chiron.v1.json"],  # type: ignore[list-item]
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def link(self) -> Peer:
        """The next link that is opened."""
        async with asyncio.timeout(DEADLINE):
            return await self._peers.get()

    async def _serve(self, socket: ServerConnection) -> None:
        peer = Peer(socket)
        self._peers.put_nowait(peer)
        await socket.wait_closed()

    def _admit(self, connection: ServerConnection, request: Handshake) -> HandshakeResponse | None:
        assert request.path == "/v1/realtime"
        if not self.refusals:
            return None
        status, fields = self.refusals.pop(0)
        response = connection.respond(status, "")
        for name, value in fields.items():
            response.headers[name] = value
        return response


class SignedIn:
    """An `Api` that has tokens to give: `token 1`, and another one whenever that is asked for."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.tls = None
        self.trust = Trust()
        self.offer: dict[str, Any] | None = None
        """Where it says that there is WebTransport."""
        self.transport: Choice = "websocket"
        """What its links shall run over."""
        self.number = 1
        self.failures: list[Exception] = []
        """What the next requests for a token raise."""

    async def transports(self) -> dict[str, Any]:
        return {"webtransport": self.offer}

    async def access_token(self, *, newer_than: str = "") -> str:
        if self.failures:
            raise self.failures.pop(0)
        if newer_than == f"token {self.number}":
            self.number += 1
        return f"token {self.number}"


class Pauses:
    """Stands for `asyncio.sleep`: a pause lasts until the test lets it end, at once by default."""

    def __init__(self) -> None:
        self.taken: list[float] = []
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self._taken = asyncio.Condition()

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)
        async with self._taken:
            self._taken.notify_all()
        await self.goes_on.wait()

    async def reach(self, count: int) -> list[float]:
        """Wait for so many pauses."""
        async with asyncio.timeout(DEADLINE), self._taken:
            await self._taken.wait_for(lambda: len(self.taken) >= count)
        return self.taken
