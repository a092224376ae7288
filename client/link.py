"""A realtime link that keeps itself open: `ClientConnection` over whatever transport there is, on asyncio."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from chiron.client import ulid
from chiron.client.api import Api
from chiron.client.errors import ClientError, HandshakeRefused, LinkLost, NotReachable, ServerRefused, SignedOut
from chiron.client.patience import Sleep, backoff
from chiron.client.transports import Choice, Ended, Name, Opener, Transport
from chiron.protocols.wire import connection, events, frames
from chiron.protocols.wire.errors import RemoteProtocolError

SILENCE = 2.5
"""The link is given up after so many ping intervals without a word."""
UNWELCOMED_SILENCE = 20.0
"""Seconds before the ping interval is known."""

ELSEWHERE = frozenset({400, 403, 404, 426, 501})
"""Statuses of a handshake after which asking again is of no use."""
REFRESH = frozenset({4001, 4003})
LOGIN_ENDED = 4004
STOP = frozenset({1002, 1003, 1007, 1009})
"""Close codes by their action (docs/protocol.md, "Closing"); with all others: reconnect."""

FRAME_BYTES = 65_536
"""The largest message to the server, which closes the link over a larger one."""
FRAME_OVERHEAD = 512
"""Of which everything but the body takes less than this."""


class Link:
    """Use it as an async context manager; it reconnects, resumes and sends again by itself until it is left.

    `transport` is what it runs over: `webtransport`, `websocket`, `websocket-h3` (RFC 9220), or `auto`, which is
    WebTransport where server and network have it, else WebSocket. All behave alike.
    `status` is told in words of what happens to the connection: `online`, `offline`. `sleep` makes the pauses.
    """

    def __init__(
        self,
        api: Api,
        *,
        device: str = "chiron.client",
        transport: Choice = "auto",
        status: Callable[[str], None] | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._api = api
        self._wire = connection.ClientConnection(device=device)
        self._opener = Opener(api, transport)
        self._transport: Transport | None = None
        self._status = status or (lambda _word: None)
        self._sleep = sleep
        self._attempt = 0
        """Number of links since the last one that was welcomed."""
        self._told: float | None = None
        """Seconds after which the server wants to be asked again; counts once."""
        self._closed = 0
        """Close code of the last link."""
        self._acks: dict[str, asyncio.Future[frames.Ack]] = {}
        self._answers: dict[int, asyncio.Future[frames.Ok | frames.Page]] = {}
        self._channels: dict[str, deque[events.Event]] = {}
        self._news = asyncio.Condition()
        self._write = asyncio.Event()
        self._online = asyncio.Event()
        self._token = ""
        self._failure: ClientError | None = None
        self._running: asyncio.Task[None] | None = None
        self._refreshing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Link:
        self._running = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._running is not None
        self._status = lambda _word: None  # whoever leaves knows
        tasks = [task for task in (self._running, self._refreshing) if task]
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result

    @property
    def personal(self) -> str | None:
        """Name of one's own channel, once the link was open."""
        return f"person:{self._wire.welcome.person}" if self._wire.welcome else None

    @property
    def transport(self) -> Name | None:
        """What the link runs over now; None while it is not open."""
        return self._transport.name if self._transport is not None else None

    async def online(self) -> frames.Welcome:
        """Wait until the link is open. Raises SignedOut."""
        while not (welcome := self._wire.welcome):
            self._check()
            await self._online.wait()
        return welcome

    async def network_changed(self) -> None:
        """Say that this machine may have another address, for instance when it woke up or found another network.

        Over HTTP/3 the link goes on from there without being lost. It finds that by itself too, but takes longer.
        """
        self._opener.network_changed()
        if self._transport is not None:
            with contextlib.suppress(OSError):  # there is no network yet; the transport finds out when there is
                await self._transport.network_changed()

    # Doing.

    async def send(self, channel: str, text: str, *, client_id: str | None = None) -> frames.Ack:
        """Send a text; returns when it is on the server's disk, however many links that takes. Raises ServerRefused,
        or LinkLost when the link is left first.

        With a `client_id` (a ULID) of your own, sending again after a restart of your program is harmless.
        """
        return await self.post(channel, "text", {"text": text}, client_id=client_id)

    def post(
        self, channel: str, kind: str, body: dict[str, Any], *, client_id: str | None = None, ref: str | None = None
    ) -> asyncio.Future[frames.Ack]:
        """Queue a record behind those queued before it; the future is its ack.

        Raises SignedOut, and ServerRefused for a body that no server takes.
        """
        self._check()
        try:
            size = len(msgspec.json.encode(body))
        except UnicodeEncodeError as error:
            raise ServerRefused("invalid", {"field": "body", "reason": "not a text in Unicode"}) from error
        if size > FRAME_BYTES - FRAME_OVERHEAD:
            raise ServerRefused("too_large", {"limit": FRAME_BYTES - FRAME_OVERHEAD})
        client_id = client_id or ulid.new()
        if client_id in self._acks:
            raise ValueError(f"{client_id} is being sent")
        future = self._acks[client_id] = asyncio.get_running_loop().create_future()
        self._wire.publish(channel, client_id, kind, body, self._now(), ref=ref)
        self._write.set()
        return future

    async def command(self, name: str, params: dict[str, Any] | None = None) -> Any:
        """Run a command of the server. Raises ServerRefused, LinkLost."""
        answer = await self._ask(lambda id: frames.Command(id=id, name=name, params=params or {}))
        return answer.result if isinstance(answer, frames.Ok) else None

    async def history(self, channel: str, *, before: int | None = None, limit: int = 100) -> frames.Page:
        """The newest records below `before` (None: of all). Raises ServerRefused, LinkLost."""
        below = before if before is not None else (1 << 53) - 1
        answer = await self._ask(lambda id: frames.Sync(id=id, channel=channel, before=below, limit=limit))
        assert isinstance(answer, frames.Page)
        return answer

    def mark(self, channel: str, *, received: int | None = None, read: int | None = None) -> None:
        """Say how far the channel was received and read."""
        self._wire.watermark(channel, received=received, read=read)
        self._write.set()

    # Listening.

    def attach(self, channel: str, after: int | None = None) -> None:
        """Collect what comes behind `after` (None: behind the head) for `listen`."""
        self._channels.setdefault(channel, deque())
        self._wire.attach(channel, after)
        self._write.set()

    def detach(self, channel: str) -> None:
        self._channels.pop(channel, None)
        self._wire.detach(channel)
        self._write.set()

    async def listen(self, channel: str) -> AsyncIterator[events.Event]:
        """Events of an attached channel, in order, for ever: records (`Delivered`), each once, and what else happens.

        The personal channel can be listened to without `attach`.
        """
        waiting = self._channels.setdefault(channel, deque())
        while True:
            while waiting:
                yield waiting.popleft()
            async with self._news:
                self._check()
                if not waiting:
                    await self._news.wait()

    # The link.

    async def _run(self) -> None:
        try:
            while True:
                try:
                    await self._converse()
                except ServerRefused as error:
                    if not error.temporary:
                        raise
                    self._told = error.retry_after
                except HandshakeRefused as error:
                    if error.status in ELSEWHERE:
                        raise
                    self._told = error.retry_after
                except (NotReachable, OSError, TimeoutError, RemoteProtocolError):
                    pass  # what else can be done but to try again
                self._consider_closing()
                pause, self._told = self._told, None
                await self._sleep(backoff(self._attempt) if pause is None else pause)
                self._attempt += 1
        except ClientError as error:
            self._failure = error
        finally:
            await self._fail_all(self._failure or LinkLost("the link was closed"))

    def _consider_closing(self) -> None:
        """What the close code of the link says about the next one. Raises SignedOut and LinkLost when there is none."""
        if self._closed == LOGIN_ENDED:
            raise SignedOut("the login has ended; sign in again")
        if self._closed in STOP:
            raise LinkLost(f"the server ended the link for good, with code {self._closed}")

    async def _converse(self) -> None:
        """One link, from its opening to its end."""
        refused, self._closed = self._closed in REFRESH, 0
        self._token = await self._api.access_token(newer_than=self._token if refused else "")
        transport = await self._opener.open()
        self._transport = transport
        try:
            self._wire.open(self._token)
            self._write.set()
            reader = asyncio.create_task(self._read(transport))
            writer = asyncio.create_task(self._send_out(transport))
            reader.add_done_callback(lambda _: writer.cancel())
            try:
                await asyncio.wait([reader, writer], return_when=asyncio.FIRST_EXCEPTION)
            finally:
                reader.cancel()
                results = await asyncio.gather(reader, writer, return_exceptions=True)
                await self._ended()
            for result in results:
                if isinstance(result, Exception):
                    raise result
        finally:
            await transport.close()

    async def _ended(self) -> None:
        self._online.clear()
        self._transport = None
        if self._wire.welcome is not None:
            self._status("offline")
        if (closing := self._wire.closing) is not None:
            self._closed = closing.code
            # Zero is no time but none: many may have been told so.
            self._told = closing.reconnect_in_ms / 1000 or None
        await self._handle(self._wire.lost())

    async def _read(self, transport: Transport) -> None:
        while True:
            welcome = self._wire.welcome
            try:
                async with asyncio.timeout(SILENCE * welcome.ping_ms / 1000 if welcome else UNWELCOMED_SILENCE):
                    message = await transport.receive()
            except Ended as error:
                self._closed = error.code
                return
            await self._handle(self._wire.receive(message, self._now()))
            self._write.set()

    async def _send_out(self, transport: Transport) -> None:
        while True:
            self._write.clear()
            try:
                for message in self._wire.to_send():
                    await transport.send(message)
            except Ended:
                return  # what came before the end is still to be read
            deadline = self._wire.deadline()
            try:
                async with asyncio.timeout_at(deadline):
                    await self._write.wait()
            except TimeoutError:
                await self._handle(self._wire.expire(self._now()))

    async def _handle(self, found: list[events.Event]) -> None:
        for event in found:
            match event:
                case events.Acknowledged(_, client_id, ack):
                    _settle(self._acks.pop(client_id, None), ack)
                case events.Declined(_, client_id, error):
                    _settle(self._acks.pop(client_id, None), _refusal(error))
                case events.Answered(id, frames.Error() as error):
                    _settle(self._answers.pop(id, None), _refusal(error))
                case events.Answered(id, answer):
                    _settle(self._answers.pop(id, None), answer)
                case events.Lost(id):
                    _settle(self._answers.pop(id, None), LinkLost("the link ended before the answer"))
                case events.TokenWanted():
                    self._refreshing = asyncio.create_task(self._refresh())
                case events.Welcomed():
                    self._attempt = 0
                    self._online.set()
                    self._status("online")
                case events.Troubled():
                    pass  # what follows from it is the close that comes next
                case _:
                    waiting = self._channels.get(event.channel or "")
                    if waiting is not None:
                        waiting.append(event)
        if found:
            async with self._news:
                self._news.notify_all()

    async def _refresh(self) -> None:
        # Without a newer token the server closes the link, and the next one begins with asking for a token.
        with contextlib.suppress(NotReachable, ServerRefused, SignedOut):
            self._token = await self._api.access_token(newer_than=self._token)
            self._wire.refresh(self._token)
            self._write.set()

    async def _ask(self, frame: Callable[[int], frames.Frame]) -> frames.Ok | frames.Page:
        await self.online()
        msgspec.json.encode(frame(0))  # what cannot be sent is this caller's mistake alone
        id = self._wire.request(frame)
        future: asyncio.Future[frames.Ok | frames.Page] = asyncio.get_running_loop().create_future()
        self._answers[id] = future
        self._write.set()
        return await future

    async def _fail_all(self, error: ClientError) -> None:
        self._failure = error
        waiting: list[asyncio.Future[Any]] = [*self._acks.values(), *self._answers.values()]
        for future in waiting:
            _settle(future, error)
        self._online.set()
        async with self._news:
            self._news.notify_all()

    def _check(self) -> None:
        if self._failure:
            raise self._failure

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _refusal(error: frames.Error) -> ServerRefused:
    retry_after = error.retry_after_ms / 1000 if error.retry_after_ms is not None else None
    return ServerRefused(error.code, error.params, temporary=error.temporary, retry_after=retry_after)


def _settle(future: asyncio.Future[Any] | None, outcome: object) -> None:
    if future is None or future.done():
        return
    if isinstance(outcome, BaseException):
        future.set_exception(outcome)
        future.exception()  # whoever stopped waiting has not "never retrieved" it
    else:
        future.set_result(outcome)
