"""Attachments of links to channels: attach, catch up, sync.

How an attachment misses nothing and repeats nothing. The hub is told first, and from then on holds back what is
published; only then is the log read. A record that was committed before the read's snapshot is in the read, one that
was committed after it is published after it, thus held back; the hub drops by offset what is in both, and releases the
rest when the read has reached it. Whoever may not see the channel is found out by the read itself, in whose snapshot
membership is checked: a removal that commits earlier makes the read refuse, one that commits later finds the attachment
in the hub and drops it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple
from uuid import UUID

import structlog

from chiron._core import Attach, Detach, Frame, Hub, Sync
from chiron.errors import ChironError, Refused, Unavailable
from chiron.server.ports import ChannelAuthority, ChannelView, Page, Principal, Record
from chiron.server.realtime import frames

Outcome = Literal["complete", "more", "truncated", "denied", "epoch_changed"]

MISSED = 256
"""Records that an attachment catches up with by itself; a client that missed more reads them with `sync`."""

PAGE_BYTES = 65_536
"""About how large a page may become (a single record may be larger)."""

QUEUED_BYTES = 65_536
"""No page is read for a link that has so much waiting."""

ENVELOPE_BYTES = 320
"""About what a delivery adds to the body of its record."""

log = structlog.get_logger(__name__)


NAMES = 4096
"""Channels whose names are kept parsed: every publish says one."""


class Channel(NamedTuple):
    """`person:<id>` or `conv:<id>`."""

    kind: str
    target: UUID

    def __str__(self) -> str:
        return f"{self.kind}:{self.target}"

    @classmethod
    @lru_cache(maxsize=NAMES)
    def parse(cls, text: str) -> Channel:
        """Raises Refused invalid."""
        kind, _, target = text.partition(":")
        try:
            channel = cls(kind, UUID(target))
        except ValueError:
            raise Refused("invalid", field="channel", reason="not a channel") from None
        if str(channel) != text:
            raise Refused("invalid", field="channel", reason="not a channel")
        return channel


@dataclass(slots=True)
class Attachment:
    """What a link wants of a channel, from `attach` to `detach`; the hub holds what it gets."""

    link: int
    principal: Principal
    channel: Channel
    generation: int
    number: int = 0
    """0 until the channel was seen."""
    head: int = 0
    ended: ChironError | None = None
    """Set by whatever ended it while it was read: that is then the answer."""


def resume(view: ChannelView, ours: str, epoch: str | None, after: int | None) -> tuple[Outcome, int]:
    """What a client that saw offset `after` of `epoch` last gets, and after which offset its deliveries begin."""
    if after is None:
        return "complete", view.head
    if epoch != ours or after > view.head:
        return "epoch_changed", after
    if after < view.floor:
        return "truncated", after
    if view.head - after > MISSED:
        return "more", after
    return "complete", after


class Channels:
    """`channels` is how many one link may have attached. `reads` bounds how many reads of the log run at once for all
    links, so that a storm of them leaves the database to others."""

    def __init__(
        self,
        hub: Hub,
        authorities: Mapping[str, ChannelAuthority],
        *,
        epoch: str,
        touched: Callable[[], None],
        channels: int,
        reads: int = 8,
    ) -> None:
        self._hub = hub
        self._authorities = authorities
        self._epoch = epoch
        self._touched = touched
        self._most = channels
        self._reads = asyncio.Semaphore(reads)
        self._held: dict[int, dict[Channel, Attachment]] = {}

    def authority(self, channel: Channel) -> ChannelAuthority:
        """Raises Refused not_found."""
        authority = self._authorities.get(channel.kind)
        if authority is None:
            raise Refused("not_found", what="channel")
        return authority

    def begin(self, link: int, principal: Principal, event: Attach) -> Attachment:
        """Take an `attach` in the order in which it came; from here on it stands in the place of an older one.

        Raises Refused invalid when the generation is not newer.
        """
        return self._hold(link, principal, Channel.parse(event.channel), event.generation)

    async def attach(self, held: Attachment, event: Attach, answer: Callable[[Frame], None]) -> None:
        """Look the channel up and catch up with it. `answer` is called once, before the first delivery.

        Until then errors are raised: Refused invalid when the attachment was ended meanwhile by `detach` or a newer
        `attach`, and what the authority raises.
        """
        outcome: Outcome
        origin = None
        if held.ended is not None:
            raise held.ended
        try:
            async with self._reads:
                view = await self.authority(held.channel).view(held.principal, held.channel.target)
                outcome, after = resume(view, self._epoch, event.epoch, event.after)
                if outcome == "complete":
                    self._enter(held, view, after)
                    page = await self._read(held, after)
                    if page.more:
                        outcome = "more"
                elif outcome == "truncated":
                    origin = view.floor + 1
        except ChironError as error:
            self._leave(held)
            if error.code != "not_found":
                raise
            view, outcome = ChannelView(0, 0, 0), "denied"
        except BaseException:
            self._leave(held)
            raise
        if outcome != "complete":
            self._leave(held)
        head = max(view.head, held.head)
        answer(
            Frame.attached(event.id, event.channel, view.number, event.generation, outcome, self._epoch, head, origin)
        )
        if outcome == "complete":
            await self._catch_up(held, page)

    async def look(
        self, principal: Principal, epoch: str | None, after: int | None
    ) -> tuple[ChannelView, Outcome, int]:
        """The person's own channel, what resuming it comes to, and where its deliveries begin."""
        channel = Channel("person", principal.person)
        async with self._reads:
            view = await self.authority(channel).view(principal, channel.target)
        return view, *resume(view, self._epoch, epoch, after)

    async def follow(self, link: int, principal: Principal, view: ChannelView, after: int) -> None:
        """Attach the personal channel of a link that `look` saw complete; catches up with what came since.

        Nothing is done where the client has attached it itself, behind `connect`, or where the link is gone.
        """
        try:
            held = self._hold(link, principal, Channel("person", principal.person), 0)
            self._enter(held, view, after)
        except Refused:
            return
        await self._refill(held, after)

    async def refill(self, link: int, number: int, generation: int, after: int) -> None:
        """The hub saw a gap behind `after` in what it was given to deliver: read on from there."""
        for held in self._held.get(link, {}).values():
            if held.number == number and held.generation == generation:
                await self._refill(held, after)
                return

    def detach(self, link: int, event: Detach) -> None:
        """An attachment of a newer generation stays."""
        channel = Channel.parse(event.channel)
        held = self._held.get(link, {}).get(channel)
        if held is not None and held.generation <= event.generation:
            held.ended = Refused("invalid", field="gen", reason="the channel was detached")
            self._leave(held)

    def dropped(self, links: Iterable[int], number: int) -> None:
        """The hub dropped these links' attachments to a channel: the person may no longer see it."""
        for link in links:
            for held in tuple(self._held.get(link, {}).values()):
                if held.number == number:
                    held.ended = Refused("not_found", what="channel")
                    self._leave(held)

    def forget(self, link: int) -> None:
        """The link has ended."""
        for held in tuple(self._held.pop(link, {}).values()):
            held.ended = Refused("not_found", what="link")
            if held.number:
                self._hub.detach(link, held.number, held.generation)

    async def sync(self, link: int, principal: Principal, event: Sync) -> Frame:
        """One page of the log, no larger than a link may have waiting."""
        channel = Channel.parse(event.channel)
        authority = self.authority(channel)
        if (event.after is None) == (event.before is None):
            raise Refused("invalid", field="after", reason="give either after or before")
        if self._hub.queued(link) > QUEUED_BYTES:
            raise Unavailable("busy", retry_after=0.25)
        async with self._reads:
            page = await authority.read(
                principal, channel.target, after=event.after, before=event.before, limit=event.limit
            )
        records = _fitting(page.records, newest=event.before is not None)
        more = page.more or len(records) < len(page.records)
        return frames.page(event.id, event.channel, page, records, more, self._epoch)

    def _hold(self, link: int, principal: Principal, channel: Channel, generation: int) -> Attachment:
        held = self._held.setdefault(link, {})
        older = held.get(channel)
        if older is not None:
            if older.generation >= generation:
                raise Refused("invalid", field="gen", reason=f"attached as {older.generation} already")
            older.ended = Refused("invalid", field="gen", reason="attached again since")
            self._leave(older)
        elif len(held) >= self._most:
            raise Refused("invalid", field="channel", reason=f"a link has at most {self._most} channels")
        held[channel] = attachment = Attachment(link, principal, channel, generation)
        return attachment

    def _enter(self, held: Attachment, view: ChannelView, after: int) -> None:
        if held.ended is not None:
            raise held.ended
        held.number, held.head = view.number, view.head
        if not self._hub.attach(held.link, view.number, held.generation, after):
            raise Refused("not_found", what="link")

    def _leave(self, held: Attachment) -> None:
        if held.number:
            self._hub.detach(held.link, held.number, held.generation)
        channels = self._held.get(held.link)
        if channels is not None and channels.get(held.channel) is held:
            del channels[held.channel]

    async def _read(self, held: Attachment, after: int) -> Page:
        authority = self.authority(held.channel)
        page = await authority.read(held.principal, held.channel.target, after=after, before=None, limit=MISSED)
        if held.ended is not None:
            raise held.ended
        held.head = max(held.head, page.view.head)
        return page

    async def _refill(self, held: Attachment, after: int) -> None:
        try:
            async with self._reads:
                page = await self._read(held, after)
        except Exception as error:
            self._give_up(held, after, error)
        else:
            await self._catch_up(held, page)

    async def _catch_up(self, held: Attachment, page: Page) -> None:
        """Hand the hub what was read until it is live."""
        after: int | None = None
        try:
            while True:
                items = [frames.delivery(record) for record in page.records]
                if not self._hub.fill(held.link, held.number, held.generation, items):
                    break
                if page.more:
                    after = page.records[-1].offset
                else:
                    after = self._hub.go_live(held.link, held.number, held.generation)
                self._touched()
                if after is None:
                    break
                async with self._reads:
                    page = await self._read(held, after)
        except Exception as error:
            self._give_up(held, after or 0, error)

    def _give_up(self, held: Attachment, after: int, error: Exception) -> None:
        """The log cannot be read behind what was delivered: say so, and leave the rest to `sync` and `attach`."""
        if held.ended is not None:
            return
        if not isinstance(error, ChironError):
            log.error("catching up failed", link=held.link, channel=str(held.channel), exc_info=error)
        if isinstance(error, Refused):
            frame = Frame.detached(held.number, "removed")
        else:
            frame = Frame.lag(held.number, max(held.head, after))
        self._leave(held)
        self._hub.send_frame(held.link, frame)
        self._touched()


def _fitting(records: Iterable[Record], *, newest: bool) -> list[Record]:
    """As many records, from the end that a page is read from, as fit into one."""
    ordered = list(records)
    kept: list[Record] = []
    size = 0
    for record in reversed(ordered) if newest else ordered:
        size += len(record.body) + ENVELOPE_BYTES
        if kept and size > PAGE_BYTES:
            break
        kept.append(record)
    if newest:
        kept.reverse()
    return kept
