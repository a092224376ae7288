"""From the domains to whoever listens: `ports.Publisher` on the hub."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol
from uuid import UUID

from chiron._core import Frame, Hub
from chiron.server.platform.timers import Timers
from chiron.server.ports import Clock, Record
from chiron.server.realtime import frames

TELL_INTERVAL = 1.0
"""Seconds between two rounds of events of one person's own channel."""


class Audience(Protocol):
    """The links, as the publisher knows them."""

    def touched(self) -> None:
        """Frames were queued: flush, and look after gaps and overflows."""
        ...

    def dropped(self, links: Iterable[int], number: int) -> None: ...
    def login_ended(self, login: UUID) -> None: ...


class _Listener:
    """A person with links here, and what they are yet to be told: the newest by key."""

    __slots__ = ("links", "number", "pending", "told_at")

    def __init__(self, number: int) -> None:
        self.number = number
        self.links = 0
        self.told_at = float("-inf")
        self.pending: dict[str, tuple[str, bytes]] = {}


class Publisher:
    """Each frame is made once, whoever listens. Without an audience (`attend`) there is nobody to publish to."""

    def __init__(self, hub: Hub, timers: Timers, clock: Clock) -> None:
        self._hub = hub
        self._clock = clock
        self._audience: Audience | None = None
        self._listeners: dict[UUID, _Listener] = {}
        self._people: dict[int, UUID] = {}
        self._telling = timers.kind(self._tell_now)

    def attend(self, audience: Audience) -> None:
        """The links are built after the domains that publish to them, so they make themselves known."""
        self._audience = audience

    def arrived(self, person: UUID, number: int) -> None:
        """A link of the person opened; `number` is that of their own channel."""
        listener = self._listeners.setdefault(person, _Listener(number))
        listener.links += 1
        self._people[number] = person

    def left(self, person: UUID) -> None:
        """A link that had arrived ended."""
        listener = self._listeners[person]
        listener.links -= 1
        if listener.links == 0:
            del self._listeners[person]
            del self._people[listener.number]
            self._telling.cancel(listener.number)

    def publish(self, record: Record, *, link: int = 0) -> None:
        if record.verdict == "hold":
            whole = (str(record.author), frames.delivery(record))
            redacted = frames.delivery(record.redacted())
            self._hub.publish(record.number, redacted, record.offset, link, author=whole)
        else:
            self._hub.publish(record.number, frames.delivery(record), record.offset, link)
        self._touched()

    def event(self, number: int, kind: str, key: str, body: bytes, *, link: int = 0) -> None:
        self._hub.publish_event(number, f"{kind} {key}", Frame.event(number, kind, body), link)
        self._touched()

    def tell(self, person: UUID, kind: str, key: str, body: bytes) -> None:
        listener = self._listeners.get(person)
        if listener is None:
            return
        waits = bool(listener.pending)
        listener.pending[f"{kind} {key}"] = (kind, body)
        if waits:
            return
        free_at = listener.told_at + TELL_INTERVAL
        if self._clock.monotonic() >= free_at:
            self._tell_now(listener.number)
        else:
            self._telling.set(listener.number, free_at)

    def revoke(self, number: int, person: UUID) -> None:
        links = self._hub.drop(number, str(person), Frame.detached(number, "removed"))
        if self._audience is not None:
            self._audience.dropped(links, number)
        self._touched()

    def end_login(self, login: UUID) -> None:
        if self._audience is not None:
            self._audience.login_ended(login)

    def _tell_now(self, number: int) -> None:
        person = self._people.get(number)
        if person is None:
            return
        listener = self._listeners[person]
        pending, listener.pending = listener.pending, {}
        listener.told_at = self._clock.monotonic()
        for key, (kind, body) in pending.items():
            self._hub.publish_event(number, key, Frame.event(number, kind, body))
        self._touched()

    def _touched(self) -> None:
        if self._audience is not None:
            self._audience.touched()


__all__ = ["TELL_INTERVAL", "Audience", "Publisher"]
