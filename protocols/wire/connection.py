"""The client's side of the realtime protocol, without I/O: frames and times in, events and frames out.

Theory of operation. A connection outlives the links it runs over. `open` starts a link, `lost` ends it; between them
the owner gives each message to `receive`, sends what `to_send` returns, and calls `expire` at `deadline`. What must
survive a link is kept per channel:

- `after`, the offset seen last. It moves by one at a time, whether the next record came live, from a page, or as the
  ack of one's own publish (acks overtake deliveries, so records wait in `ahead` until their offset is next). Whatever
  is at or below `after` is a repeat and ignored; whatever leaves a gap makes the channel attach again from `after`.
- `outbox`, the publishes without an answer, in order. `n` numbers them anew on every link. When the server refuses one
  for now, it refuses all behind it too (`after_failed`); once those answers are in, the outbox is sent again from its
  head, with the same numbers.

States of a channel, and what moves it:

    DETACHED  → ATTACHING   a link was welcomed, or the owner asked
    ATTACHING → ATTACHED    outcome complete
    ATTACHING → SYNCING     outcome more
    ATTACHING → ATTACHING   outcome truncated or epoch_changed (from the new start); a gap (from `after`)
    ATTACHED  → SYNCING     lag
    ATTACHED  → ATTACHING   a gap
    SYNCING   → ATTACHING   the last page
    any       → DETACHED    the link was lost
    any       → gone        outcome denied, `detached`, or the owner's `detach`

The table says nothing about publishing: a channel need not be attached for that.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from chiron.protocols.wire import events, frames
from chiron.protocols.wire.errors import LocalProtocolError, RemoteProtocolError

RETRY_SECONDS = 1.0
"""Pause before a publish is sent again when the server named none."""

SYNC_LIMIT = 500


class State(enum.Enum):
    DETACHED = enum.auto()
    ATTACHING = enum.auto()
    ATTACHED = enum.auto()
    SYNCING = enum.auto()


@dataclass(slots=True)
class Publication:
    client_id: str
    kind: str
    body: dict[str, Any]
    ref: str | None = None
    n: int = 0
    """Its number on this link; 0 before it was sent there."""
    waiting: bool = False
    """Sent and not answered."""


@dataclass(slots=True)
class Channel:
    name: str
    state: State = State.DETACHED
    wanted: bool = False
    number: int = 0
    generation: int = 0
    after: int | None = None
    ahead: dict[int, frames.Delivery] = field(default_factory=dict)
    outbox: deque[Publication] = field(default_factory=deque)
    n: int = 0
    """Number of the newest publish on this link."""
    resume_at: float | None = None
    """When the outbox is sent again after a temporary refusal; nothing new is sent before."""
    received: int | None = None
    read: int | None = None


@dataclass(frozen=True, slots=True)
class _Publishing:
    channel: Channel
    publication: Publication


@dataclass(frozen=True, slots=True)
class _Attaching:
    channel: Channel
    generation: int


@dataclass(frozen=True, slots=True)
class _Syncing:
    channel: Channel


@dataclass(frozen=True, slots=True)
class _Quiet:
    """Answers that nobody waits for: refresh, detach, watermark."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """The owner waits for the answer."""


class _Tagged(msgspec.Struct):
    """What every frame has."""

    op: str


_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[frames.ServerFrame] = msgspec.json.Decoder(frames.ServerFrame)
_tag = msgspec.json.Decoder(_Tagged)
_KNOWN = frozenset(str(kind.__struct_config__.tag) for kind in frames.ServerFrame.__args__)


class ClientConnection:
    """One person's realtime connection. Times (`now`) are seconds of any monotonic clock."""

    def __init__(self, *, device: str = "") -> None:
        self._device = device
        self._channels: dict[str, Channel] = {}
        self._numbers: dict[int, Channel] = {}
        self._personal: Channel | None = None
        self._waiting: dict[int, _Publishing | _Attaching | _Syncing | _Quiet | _Asked] = {}
        self._out: list[frames.Frame] = []
        self._next_id = 1
        self._connect_id = 0
        self._generation = 0
        self._in_flight = 32
        self.welcome: frames.Welcome | None = None
        """What the server said on this link; None while there is none."""
        self.epoch: str | None = None
        self.closing: frames.Close | None = None
        """The server's last word on this link."""

    # The link.

    def open(self, token: str) -> None:
        """A transport was opened: the first thing to send is `connect`."""
        if self.welcome or self._connect_id:
            raise LocalProtocolError("the link is open")
        self.closing = None
        resume = None
        if self._personal and self._personal.after is not None and self.epoch:
            resume = frames.Resume(epoch=self.epoch, offset=self._personal.after)
        self._connect_id = self._id()
        self._out.append(frames.Connect(id=self._connect_id, token=token, device=self._device, resume=resume))

    def lost(self) -> list[events.Event]:
        """The transport ended. Publishes and attachments wait for the next link; other requests are `Lost`."""
        lost: list[events.Event] = [events.Lost(id) for id, what in self._waiting.items() if isinstance(what, _Asked)]
        self._waiting.clear()
        self._out.clear()
        self._connect_id = 0
        self.welcome = None
        for channel in self._all():
            channel.state = State.DETACHED
            channel.n = 0
            channel.resume_at = None
            for publication in channel.outbox:
                publication.n, publication.waiting = 0, False
        return lost

    def to_send(self) -> list[bytes]:
        """Messages for the transport, in order."""
        out = [_encoder.encode(frame) for frame in self._out]
        self._out.clear()
        return out

    def deadline(self) -> float | None:
        """When to call `expire`; None: there is nothing to wait for."""
        return min(
            (
                channel.resume_at
                for channel in self._all()
                # Answers that are still due come first, and pump by themselves.
                if channel.resume_at is not None and not any(publication.waiting for publication in channel.outbox)
            ),
            default=None,
        )

    def expire(self, now: float) -> list[events.Event]:
        for channel in self._all():
            if channel.resume_at is not None and channel.resume_at <= now:
                self._pump(channel, now)
        return []

    def refresh(self, token: str) -> None:
        """Give the link a newer access token of the same person."""
        if self.welcome:
            self._generation += 1
            self._request(lambda id: frames.Refresh(id=id, token=token, gen=self._generation), _Quiet())

    # Channels.

    def attach(self, name: str, after: int | None = None) -> None:
        """Deliver what comes behind `after` (None: behind the head) until `detach`, over any number of links."""
        channel = self._channel(name)
        if not channel.wanted:
            channel.wanted, channel.after = True, after
            if self.welcome:
                self._attach(channel)

    def detach(self, name: str) -> None:
        channel = self._channels.get(name)
        if channel is None or not channel.wanted:
            return
        channel.wanted = False
        if self.welcome and channel.state is not State.DETACHED:
            self._request(lambda id: frames.Detach(id=id, channel=name, gen=channel.generation), _Quiet())
        channel.state = State.DETACHED

    def publish(
        self, name: str, client_id: str, kind: str, body: dict[str, Any], now: float, *, ref: str | None = None
    ) -> None:
        """Send a record, however often it takes; the answer is `Acknowledged` or `Declined`. `client_id` is a ULID."""
        channel = self._channel(name)
        channel.outbox.append(Publication(client_id, kind, body, ref))
        self._pump(channel, now)

    def unanswered(self, name: str) -> int:
        channel = self._channels.get(name)
        return len(channel.outbox) if channel else 0

    def watermark(self, name: str, *, received: int | None = None, read: int | None = None) -> None:
        """Say how far the channel was received and read; repeated by itself on the next link."""
        channel = self._channel(name)
        channel.received = max(filter(None, (channel.received, received)), default=None)
        channel.read = max(filter(None, (channel.read, read)), default=None)
        self._watermark(channel)

    def request(self, frame: Callable[[int], frames.Frame]) -> int:
        """Ask something (`Sync`, `Command`); `Answered` or `Lost` carries the id. Raises LocalProtocolError."""
        if not self.welcome:
            raise LocalProtocolError("there is no link")
        return self._request(frame, _Asked())

    # Input.

    def receive(self, message: str | bytes, now: float) -> list[events.Event]:
        """One message of the server. Raises RemoteProtocolError."""
        try:
            if _tag.decode(message).op not in _KNOWN:
                return []
            frame = _decoder.decode(message)
        except msgspec.MsgspecError as error:
            raise RemoteProtocolError(str(error)) from error
        found: list[events.Event] = []
        match frame:
            case frames.Delivery():
                self._delivered(self._numbers.get(frame.number), frame, found)
            case frames.Ack():
                self._acknowledged(frame, now, found)
            case frames.Error():
                self._failed(frame, now, found)
            case frames.Event():
                channel = self._numbers.get(frame.number)
                found.append(events.Happened(channel.name if channel else None, frame.kind, frame.body))
            case frames.Page():
                self._paged(frame, found)
            case frames.Attached():
                self._attached(frame, found)
            case frames.Ok():
                if isinstance(self._waiting.pop(frame.id, None), _Asked):
                    found.append(events.Answered(frame.id, frame))
            case frames.Lag():
                channel = self._numbers.get(frame.number)
                if channel and channel.state is State.ATTACHED:
                    self._sync(channel)
            case frames.Detached():
                channel = self._numbers.get(frame.number)
                if channel:
                    self._leave(channel, frame.reason, found)
            case frames.Welcome():
                self._welcomed(frame, now, found)
            case frames.TokenExpiring():
                found.append(events.TokenWanted(frame.expires_in_ms / 1000))
            case frames.Ping():
                self._out.append(frames.Pong())
            case frames.Close():
                self.closing = frame
        return found

    def _welcomed(self, welcome: frames.Welcome, now: float, found: list[events.Event]) -> None:
        if not self._connect_id:
            raise RemoteProtocolError("a second welcome")
        self._connect_id = 0
        self.welcome = welcome
        self._in_flight = max(2, welcome.limits.in_flight // 2)
        restored = self.epoch is not None and self.epoch != welcome.epoch
        self.epoch = welcome.epoch
        personal = self._personal or self._channel(f"person:{welcome.person}")
        self._personal = personal
        personal.number, personal.wanted = welcome.number, True
        self._numbers[welcome.number] = personal
        found.append(events.Welcomed(welcome))
        self._resumed(personal, welcome.outcome, welcome.head, None, found)
        for channel in list(self._channels.values()):
            if channel is personal:
                continue
            if channel.wanted:
                if restored:
                    found.append(events.Forgotten(channel.name, 1, restored=True))
                    channel.after, channel.ahead = None, {}
                self._attach(channel)
            self._watermark(channel)
            self._pump(channel, now)

    def _attached(self, frame: frames.Attached, found: list[events.Event]) -> None:
        what = self._waiting.pop(frame.id, None)
        if not isinstance(what, _Attaching) or what.generation != what.channel.generation or not what.channel.wanted:
            return
        channel = what.channel
        channel.number = frame.number
        self._numbers[frame.number] = channel
        self._resumed(channel, frame.outcome, frame.head, frame.from_, found)

    def _resumed(
        self, channel: Channel, outcome: frames.Outcome, head: int, origin: int | None, found: list[events.Event]
    ) -> None:
        match outcome:
            case "complete":
                channel.state = State.ATTACHED
                if channel.after is None:
                    channel.after = head
                found.append(events.Caught(channel.name, head))
                self._release(channel, found)
            case "more":
                self._sync(channel)
            case "truncated":
                channel.after = max((origin or 1) - 1, channel.after or 0)
                found.append(events.Forgotten(channel.name, channel.after + 1, restored=False))
                self._attach(channel)
            case "epoch_changed":
                found.append(events.Forgotten(channel.name, 1, restored=True))
                channel.after, channel.ahead = None, {}
                self._attach(channel)
            case "denied":
                self._leave(channel, "denied", found)

    def _leave(self, channel: Channel, reason: str, found: list[events.Event]) -> None:
        channel.wanted, channel.state = False, State.DETACHED
        channel.ahead.clear()
        found.append(events.Left(channel.name, reason))

    def _delivered(self, channel: Channel | None, record: frames.Delivery, found: list[events.Event]) -> None:
        if channel is None or channel.after is None or channel.state is not State.ATTACHED:
            return
        if record.offset > channel.after + 1:
            channel.ahead[record.offset] = record
            self._release(channel, found)
            if record.offset > channel.after:
                self._attach(channel)
        elif record.offset == channel.after + 1:
            channel.ahead[record.offset] = record
            self._release(channel, found)

    def _release(self, channel: Channel, found: list[events.Event]) -> None:
        """Hand out what is next, and forget repeats."""
        assert channel.after is not None
        while (record := channel.ahead.pop(channel.after + 1, None)) is not None:
            channel.after += 1
            found.append(events.Delivered(channel.name, record))
        for offset in [offset for offset in channel.ahead if offset <= channel.after]:
            del channel.ahead[offset]

    def _acknowledged(self, ack: frames.Ack, now: float, found: list[events.Event]) -> None:
        what = self._waiting.pop(ack.id, None)
        if not isinstance(what, _Publishing):
            return
        channel, publication = what.channel, what.publication
        channel.outbox.remove(publication)
        found.append(events.Acknowledged(channel.name, publication.client_id, ack))
        if self.welcome and channel.wanted and channel.after is not None and ack.offset > channel.after:
            channel.ahead[ack.offset] = frames.Delivery(
                number=channel.number,
                offset=ack.offset,
                message=ack.message,
                ordinal=ack.ordinal,
                time=ack.time,
                author=self.welcome.person,
                kind=publication.kind,
                body=publication.body,
                ref=publication.ref,
                client_id=publication.client_id,
                verdict=ack.verdict,
            )
            if channel.state is State.ATTACHED:
                self._release(channel, found)
        self._pump(channel, now)

    def _failed(self, error: frames.Error, now: float, found: list[events.Event]) -> None:
        what = self._waiting.pop(error.id, None) if error.id is not None else None
        match what:
            case _Publishing(channel, publication):
                publication.waiting = False
                if error.temporary:
                    pause = (error.retry_after_ms or RETRY_SECONDS * 1000) / 1000
                    channel.resume_at = max(channel.resume_at or 0.0, now + pause)
                else:
                    channel.outbox.remove(publication)
                    found.append(events.Declined(channel.name, publication.client_id, error))
                self._pump(channel, now)
            case _Attaching(channel, generation) if generation == channel.generation:
                # Not an outcome but a failure to find one: the next link, or a later attach, asks again.
                channel.state = State.DETACHED
                channel.resume_at = now + (error.retry_after_ms or RETRY_SECONDS * 1000) / 1000
            case _Syncing(channel) if channel.state is State.SYNCING:
                channel.state = State.DETACHED
                channel.resume_at = now + (error.retry_after_ms or RETRY_SECONDS * 1000) / 1000
            case _Asked():
                assert error.id is not None
                found.append(events.Answered(error.id, error))
            case None:
                found.append(events.Troubled(error))

    def _paged(self, page: frames.Page, found: list[events.Event]) -> None:
        what = self._waiting.pop(page.id, None)
        if isinstance(what, _Asked):
            found.append(events.Answered(page.id, page))
        if not isinstance(what, _Syncing) or what.channel.state is not State.SYNCING:
            return
        channel = what.channel
        if channel.after is None or channel.after < page.floor:
            found.append(events.Forgotten(channel.name, page.floor + 1, restored=False))
            channel.after = page.floor
        for record in page.items:
            if record.offset > channel.after:
                channel.ahead[record.offset] = record
        before = channel.after
        self._release(channel, found)
        if page.more and channel.after > before:
            self._sync(channel)
        elif channel is self._personal:
            channel.state = State.ATTACHED
        else:
            self._attach(channel)

    # Output.

    def _attach(self, channel: Channel) -> None:
        channel.state = State.ATTACHING
        channel.generation += 1
        generation = channel.generation
        epoch = self.epoch if channel.after is not None else None
        self._request(
            lambda id: frames.Attach(id=id, channel=channel.name, gen=generation, epoch=epoch, after=channel.after),
            _Attaching(channel, generation),
        )

    def _sync(self, channel: Channel) -> None:
        channel.state = State.SYNCING
        after = channel.after or 0
        self._request(
            lambda id: frames.Sync(id=id, channel=channel.name, after=after, limit=SYNC_LIMIT), _Syncing(channel)
        )

    def _watermark(self, channel: Channel) -> None:
        if self.welcome and (channel.received or channel.read):
            self._request(
                lambda id: frames.Watermark(id=id, channel=channel.name, received=channel.received, read=channel.read),
                _Quiet(),
            )

    def _pump(self, channel: Channel, now: float) -> None:
        """Send what the outbox holds, in order, as far as the number in flight allows."""
        if not self.welcome:
            return
        if channel.resume_at is not None:
            if channel.resume_at > now or any(publication.waiting for publication in channel.outbox):
                return
            channel.resume_at = None
            if channel.wanted and channel.state is State.DETACHED:
                self._attach(channel)
        in_flight = sum(publication.waiting for publication in channel.outbox)
        for publication in channel.outbox:
            if in_flight >= self._in_flight:
                return
            if publication.waiting:
                continue
            if not publication.n:
                channel.n += 1
                publication.n = channel.n
            publication.waiting = True
            in_flight += 1
            self._publish(channel, publication)

    def _publish(self, channel: Channel, publication: Publication) -> None:
        self._request(
            lambda id: frames.Publish(
                id=id,
                channel=channel.name,
                client_id=publication.client_id,
                n=publication.n,
                kind=publication.kind,
                body=publication.body,
                ref=publication.ref,
            ),
            _Publishing(channel, publication),
        )

    def _request(
        self,
        frame: Callable[[int], frames.Frame],
        what: _Publishing | _Attaching | _Syncing | _Quiet | _Asked,
    ) -> int:
        id = self._id()
        self._waiting[id] = what
        self._out.append(frame(id))
        return id

    def _id(self) -> int:
        self._next_id += 1
        return self._next_id

    def _channel(self, name: str) -> Channel:
        return self._channels.setdefault(name, Channel(name))

    def _all(self) -> list[Channel]:
        return list(self._channels.values())
