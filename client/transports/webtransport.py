"""WebTransport over HTTP/3: frames are records on one stream that we open; ephemeral events also come as datagrams.

The server may open streams of its own; each holds records too. Datagrams that overtake the first record, which is the
welcome, are dropped. The session's close code is the link's.
"""

from __future__ import annotations

import asyncio
from collections import deque

from chiron.client.errors import HandshakeRefused, NotReachable
from chiron.client.http3 import Connection
from chiron.client.http3.streams import HIGH_WATER, LOW_WATER, Outgoing
from chiron.client.transports.transport import Ended, Name
from chiron.protocols.wire import records
from chiron.protocols.wire.errors import RemoteProtocolError

RECORD_MOST = 1 << 20
"""Bytes of a record: a page of the log has some 64 KiB, and a longer one may end it."""


class WebTransport:
    """One open session, with a connection of its own."""

    name: Name = "webtransport"

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._session = -1
        self._stream = -1
        self._outgoing = Outgoing(self._send)
        self._decoders: dict[int, records.Decoder] = {}
        self._messages: deque[bytes] = deque()
        self._size = 0
        self._paused: set[int] = set()
        self._heard = False
        self._ended: Ended | RemoteProtocolError | None = None
        self._news = asyncio.Event()

    @classmethod
    async def open(cls, connection: Connection, authority: str, path: str) -> WebTransport:
        """Raises NotReachable, HandshakeRefused; the connection is closed then."""
        made = cls(connection)
        try:
            session, head = await connection.session(authority, path, made)
            if session is None:
                raise HandshakeRefused(
                    f"https://{authority} has no realtime here: it answers {head.status} to WebTransport",
                    head.status,
                    head.retry_after,
                )
            made._session = session
            if made._ended is None:  # else `receive` tells how
                made._stream = connection.open_session_stream(session)
        except BaseException:
            connection.close()
            raise
        return made

    async def receive(self) -> bytes:
        while not self._messages:
            if self._ended is not None:
                raise self._ended
            self._news.clear()
            await self._news.wait()
        message = self._messages.popleft()
        self._size -= len(message)
        if self._paused and self._size < LOW_WATER:
            for stream in self._paused:
                self._connection.resume_stream(stream)
            self._paused.clear()
        return message

    async def send(self, message: bytes) -> None:
        try:
            await self._outgoing.write(records.encode(message))
        except NotReachable as error:
            raise Ended from error

    async def network_changed(self) -> None:
        await self._connection.rebind()

    async def close(self) -> None:
        self._connection.close_session(self._session)
        self._connection.close()

    def _send(self, data: bytes, end: bool) -> bool:
        return self._connection.send_stream(self._stream, data, end)

    # --- called by the connection ------------------------------------------------------------------------------------

    def received(self, stream: int, data: bytes, end: bool) -> None:
        decoder = self._decoders.get(stream)
        if decoder is None:
            decoder = self._decoders[stream] = records.Decoder(RECORD_MOST)
        try:
            found = decoder.receive(data)
        except RemoteProtocolError as error:
            self._end(error)
            return
        for message in found:
            self._put(message)
        if self._size > HIGH_WATER and stream not in self._paused:
            self._paused.add(stream)
            self._connection.pause_stream(stream)
        if end:
            del self._decoders[stream]
            self._paused.discard(stream)
            if stream == self._stream and self._ended is None:
                # Nothing more is to be said; the session's end follows.
                self._connection.send_stream(stream, b"", True)

    def datagram(self, data: bytes) -> None:
        if self._heard and self._size <= HIGH_WATER:
            self._put(data)

    def aborted(self, stream: int) -> None:
        self._decoders.pop(stream, None)
        self._paused.discard(stream)
        if stream == self._stream:
            self._end(Ended())

    def writable(self, stream: int) -> None:
        if stream == self._stream:
            self._outgoing.writable()

    def closed(self, code: int, failure: NotReachable | None) -> None:
        self._end(Ended(code))
        self._outgoing.fail(failure or NotReachable("the session is over"))

    def _put(self, message: bytes) -> None:
        self._heard = True
        self._messages.append(message)
        self._size += len(message)
        self._news.set()

    def _end(self, how: Ended | RemoteProtocolError) -> None:
        self._ended = self._ended or how
        self._news.set()
