"""The open requests of a connection: their table, and how each of them ends."""

from __future__ import annotations

from collections.abc import Iterable

from chiron.protocols.http3 import events, framing, heads
from chiron.protocols.http3.errors import ConnectionFailed, ErrorCode
from chiron.protocols.http3.limits import Limits
from chiron.protocols.http3.records import Allowance, Exchange, Seen
from chiron.protocols.quic import endpoint as quic
from chiron.protocols.webtransport import Sessions, draft02
from chiron.protocols.webtransport.events import SessionClosed

# How a request goes
# ------------------
#
# A stream of the client that does not begin with a WebTransport header is a request: an Exchange, from its first byte
# until both halves of its stream are closed or given up. What the client does wrong with one message ends that stream
# alone (RFC 9114 §4.1.2); what it does wrong with the connection closes it, with the code that the RFC names. The owner
# hears of a request once its head is checked, so a request that is refused for what it is (too large, too many, too
# slow) is answered here, in a head without a body, and never shown. What follows a head it knows of: BodyReceived and
# TrailersReceived to the end, or one Aborted.
#
# A response that is complete before its request is stops the rest of it with H3_NO_ERROR (RFC 9114 §4.1). A CONNECT
# is a tunnel: its halves end independently, no body is counted, and no time is measured.
#
# Each request that a client wastes (cancels, sends broken, has refused) costs one of its allowance, which comes back
# with time; beyond it the connection closes with H3_EXCESSIVE_LOAD, so opening and resetting streams wins nothing.

BODYLESS = frozenset({204, 205, 304})

_LARGE_COST = 10.0
"""What a field section that is too large costs: with references a few KiB may have said many MiB (RFC 9204 §7.1)."""
_LIMITS = Limits()


class Exchanges:
    """What both halves of a connection stand on: its state, and the steps that end a request."""

    def __init__(
        self,
        endpoint: quic.Streams,
        connection: int,
        *,
        client: bool = False,
        limits: Limits | None = None,
        now: float,
    ) -> None:
        self.limits = limits or _LIMITS
        self._endpoint = endpoint
        self._connection = connection
        self._client = client
        self._now = now
        self._over = False
        self._connected = False
        self._exchanges: dict[int, Exchange] = {}
        self._timed: dict[int, Exchange] = {}
        """Those of whose request something is still to come."""
        self._stalled: dict[int, tuple[float, int]] = {}
        """Responses that wait for credit: since when, and how many bytes there were."""
        self._openings: dict[int, tuple[bytes, float]] = {}
        """Streams that have not yet said of which type they are, and since when."""
        self._seen = {kind: Seen(kind) for kind in range(4)}
        self._waste = Allowance(self.limits.cancellations, self.limits.cancellations_per_second, now)
        self._priorities: dict[int, str] = {}
        self._goaway: int | None = None
        """Requests from this stream on are rejected; for a client: will not be answered."""
        self._goaway_at = now
        self._settings: framing.Settings | None = None
        self._heads = None if client else heads.reader(self.limits)
        self._framing = framing.Framing(endpoint, connection, client=client, limits=self.limits)
        requests = self._requests = self._seen[0]
        self._sessions = Sessions(
            endpoint, connection, self.limits.webtransport, lambda stream: not client and stream not in requests
        )

    def goaway(self) -> None:
        """Take no request that has not come yet (RFC 9114 §5.2). The owner closes once `requests` is 0."""
        if self._goaway is None and not self._over:
            self._goaway = self._seen[0].next
            self._goaway_at = self._now
            self._framing.send_goaway(0 if self._client else self._goaway)

    def close(self, code: int = ErrorCode.H3_NO_ERROR, reason: str = "") -> None:
        """End the connection. Of all that follows only Closed is told."""
        if not self._over:
            self._over = True
            self._endpoint.close(self._connection, code, reason)

    # --- the small steps ---------------------------------------------------------------------------------------------

    def _send_head(
        self, exchange: Exchange, status: int, headers: Iterable[tuple[str, str]], body: bytes, end: bool
    ) -> bool:
        bodyless = status in BODYLESS
        length = len(body) if end and not bodyless else None
        content = b"" if bodyless or exchange.method == "HEAD" else body
        data = heads.answer(status, headers, length, content)
        exchange.responded = status >= 200
        return self._send(exchange, data, end)

    def _send(self, exchange: Exchange, data: bytes, end: bool) -> bool:
        stream = exchange.stream
        more = self._endpoint.send(self._connection, stream, data, end)
        if not more and not exchange.tunnel and not self._client and stream not in self._stalled:
            self._stalled[stream] = (self._now, self._endpoint.buffered(self._connection, stream))
        if end:
            self._finish_sending(exchange)
        return more

    def _end_sending(self, exchange: Exchange) -> None:
        if exchange.sending:
            self._send(exchange, b"", True)

    def _finish_sending(self, exchange: Exchange) -> None:
        exchange.sending = False
        if exchange.received:
            self._drop(exchange)
        elif not self._client and not exchange.tunnel:
            self._endpoint.stop(self._connection, exchange.stream, ErrorCode.H3_NO_ERROR)  # RFC 9114 §4.1
            self._drop(exchange)

    def _finish_receiving(self, exchange: Exchange) -> None:
        exchange.received = True
        self._timed.pop(exchange.stream, None)
        if not exchange.sending:
            self._drop(exchange)

    def _drop(self, exchange: Exchange) -> None:
        """Forget a request of which nothing more is sent or read."""
        exchange.received = True
        exchange.sending = False
        if self._exchanges.pop(exchange.stream, None) is not None:
            self._timed.pop(exchange.stream, None)
            if exchange.message is not framing.WHOLE:
                self._framing.forget(exchange.message)
            if exchange.protocol == draft02.PROTOCOL:
                self._sessions.end(exchange.stream)

    def _give_up(self, exchange: Exchange, code: int) -> None:
        """End a stream in both directions."""
        if exchange.sending:
            self._endpoint.reset(self._connection, exchange.stream, code)
        if not exchange.message.receiving_ended:
            self._endpoint.stop(self._connection, exchange.stream, code)
        self._stalled.pop(exchange.stream, None)
        self._drop(exchange)

    def _fail(self, exchange: Exchange, code: int) -> list[events.Event]:
        """The peer broke a message: its stream ends with `code` (RFC 9114 §4.1.2)."""
        happened = self._told(exchange, code)
        self._give_up(exchange, code)
        self._wasted()
        return happened

    def _abort(self, exchange: Exchange, code: int) -> list[events.Event]:
        """The peer cancelled a request: what is left of it is cancelled, and the owner told the peer's `code`."""
        happened = self._told(exchange, code)
        known = exchange.head or self._client
        self._give_up(exchange, ErrorCode.H3_REQUEST_CANCELLED if known else ErrorCode.H3_REQUEST_INCOMPLETE)
        self._wasted()
        return happened

    def _told(self, exchange: Exchange, code: int) -> list[events.Event]:
        """What the owner, if it knows of a request, is told of its end."""
        if self._sessions.is_open(exchange.stream):
            return [SessionClosed(exchange.stream, 0, "", False)]
        return [events.Aborted(exchange.stream, code)] if exchange.head or self._client else []

    def _refuse(self, exchange: Exchange, status: int) -> list[events.Event]:
        """Answer a request that the owner does not know of."""
        self._send_head(exchange, status, (), b"", True)
        self._drop(exchange)
        self._wasted(_LARGE_COST if status == 431 else 1.0)
        return []

    def _cut_off(self, exchange: Exchange, status: int) -> list[events.Event]:
        """Answer a request that came too slowly or is too long, unless the owner has; it is told if it knows of it."""
        if exchange.responded:
            return self._fail(exchange, ErrorCode.H3_REQUEST_CANCELLED)
        happened = self._told(exchange, ErrorCode.H3_REQUEST_CANCELLED)
        self._refuse(exchange, status)
        return happened

    def _wasted(self, cost: float = 1.0) -> None:
        if not self._client and not self._waste.take(self._now, cost):
            raise ConnectionFailed(ErrorCode.H3_EXCESSIVE_LOAD, "too many requests were cancelled or refused")
