"""What the frames of clients' realtime connections do: `ports.Links` for the edge, `Audience` for the publisher."""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import orjson
import structlog

from chiron._core import (
    Attach,
    Command,
    Connect,
    Detach,
    Frame,
    Hub,
    Malformed,
    Publish,
    Refresh,
    Sync,
    Watermark,
)
from chiron.errors import ChironError, Refused, Unavailable
from chiron.server.platform.clock import milliseconds
from chiron.server.platform.timers import Timers
from chiron.server.ports import (
    ChannelAuthority,
    ChannelView,
    Clock,
    Commands,
    Ids,
    LinkTransport,
    Principal,
    TokenVerifier,
)
from chiron.server.realtime import frames
from chiron.server.realtime.channels import Channel, Channels, Outcome
from chiron.server.realtime.link import TABLE, Close, Input, Link, LinkLimits, Pending, State
from chiron.server.realtime.publisher import Publisher
from chiron.server.realtime.publishing import Publishing

RECONNECT = 2.0
"""Seconds, at random up to: when a client that was closed outside a drain may come back."""

SLICE = 256
"""Links that a drain closes before it lets the loop go on."""

TOGETHER = 0.25
"""Seconds: links whose turn comes within so long are looked at, and pinged, in one."""

log = structlog.get_logger(__name__)


class Links:
    """All links of a worker. `epoch` is the database's; `rng` spreads what clients would otherwise do at once."""

    def __init__(
        self,
        hub: Hub,
        *,
        publisher: Publisher,
        authorities: Mapping[str, ChannelAuthority],
        commands: Commands,
        tokens: TokenVerifier,
        transport: LinkTransport,
        timers: Timers,
        clock: Clock,
        ids: Ids,
        epoch: str,
        rng: random.Random,
        limits: LinkLimits | None = None,
    ) -> None:
        self._hub = hub
        self._publisher = publisher
        self._commands = commands
        self._tokens = tokens
        self._transport = transport
        self._clock = clock
        self._epoch = epoch
        self._rng = rng
        self._limits = limits or LinkLimits()
        self._failures = frames.Failures(ids, rng)
        self._channels = Channels(hub, authorities, epoch=epoch, touched=self.touched, channels=self._limits.channels)
        self._publishing = Publishing(
            self._channels,
            self._failures,
            answer=self._answer,
            spawn=self._spawn,
            require_fresh=tokens.require_fresh,
            lines=self._limits.channels,
        )
        self._links: dict[int, Link] = {}
        self._by_login: dict[UUID, set[Link]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._sweeping = False
        self._draining = False
        self._liveness = timers.kind(self._look_alive)
        self._expiry = timers.kind(self._look_at_token)
        self._handlers: dict[type, Callable[[Link, Any], None]] = {
            Attach: self._attach,
            Command: self._command,
            Connect: self._connect,
            Detach: self._detach,
            Malformed: self._malformed,
            Publish: self._publish,
            Refresh: self._refresh,
            Sync: self._sync,
            Watermark: self._watermark,
        }
        publisher.attend(self)

    @property
    def failures(self) -> Counter[str]:
        """Errors that links were sent, by code."""
        return self._failures.sent

    # --- the edge -----------------------------------------------------------------------------------------------------

    def opened(self, link: int, *, address: str) -> None:
        now = self._clock.monotonic()
        self._links[link] = Link(link, address, now)
        self._liveness.set(link, now + self._limits.connect)

    def received(self, link: int, events: Sequence[Any]) -> None:
        found = self._links.get(link)
        if found is None:
            return
        found.heard = self._clock.monotonic()
        self._dispatch(found, events)

    def closed(self, link: int) -> None:
        found = self._links.pop(link, None)
        if found is not None:
            self._quit(found)

    # --- the publisher ------------------------------------------------------------------------------------------------

    def touched(self) -> None:
        self._transport.wake()
        if not self._sweeping:
            self._sweeping = True
            asyncio.get_running_loop().call_soon(self._sweep)

    def dropped(self, links: Iterable[int], number: int) -> None:
        self._channels.dropped(links, number)

    def login_ended(self, login: UUID) -> None:
        for link in tuple(self._by_login.get(login, ())):
            self._step(link, Input.LOGIN_ENDED)

    # --- the app ------------------------------------------------------------------------------------------------------

    def reload(self, limits: LinkLimits) -> None:
        """What links that connect from now on may do; how many channels stays as it was."""
        self._limits = limits

    async def drain(self, *, window: float, grace: float) -> None:
        """Close every link resumably, each told to come back at its own time within `window` seconds.

        What is in flight is finished first, for at most `grace` seconds; what comes meanwhile is answered `draining`.
        """
        self._draining = True
        links = list(self._links.values())
        self._rng.shuffle(links)
        for position, link in enumerate(links):
            link.reconnect_in = window * (position + self._rng.random()) / len(links)
            link.leaving = True
            self._leave_when_idle(link)
            if position % SLICE == SLICE - 1:
                await asyncio.sleep(0)
        if self._tasks:
            await asyncio.wait(tuple(self._tasks), timeout=grace)
        for link in tuple(self._links.values()):
            self._step(link, Input.DRAINED)

    async def stop(self) -> None:
        """Give up what is still running, and wait until it is gone."""
        self._draining = True
        for link in tuple(self._links.values()):
            self._step(link, Input.DRAINED)
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def __len__(self) -> int:
        return len(self._links)

    # --- states -------------------------------------------------------------------------------------------------------

    def _step(self, link: Link, input: Input) -> bool:
        """Whether the link goes on."""
        target = TABLE[link.state].get(input)
        if isinstance(target, Close):
            self._close(link, target)
            return False
        if target is not None:
            link.state = target
        return target is not None

    def _close(self, link: Link, close: Close) -> None:
        if close.refusal is not None:
            refusal = ChironError(close.refusal)
            for pending in link.pending:
                if pending.task is not None:
                    self._hub.send_frame(link.id, self._failures.frame(pending.id, refusal))
        self._quit(link)
        reconnect_in = 0.0
        if close.resumable:
            reconnect_in = self._rng.uniform(0, RECONNECT) if link.reconnect_in is None else link.reconnect_in
        log.debug("link ended", link=link.id, address=link.address, code=close.code)
        frame = Frame.close(close.code, close.reason, round(reconnect_in * 1000), close.resumable)
        self._hub.send_frame(link.id, frame)
        self._transport.end(link.id, close.code, close.reason)

    def _quit(self, link: Link) -> None:
        """Leave everything that the link took part in; harmless to repeat."""
        link.state = State.ENDED
        link.pending.clear()
        link.lines.clear()
        for task in link.tasks:
            task.cancel()
        self._liveness.cancel(link.id)
        self._expiry.cancel(link.id)
        self._channels.forget(link.id)
        if link.principal is not None:
            if link.number:
                self._publisher.left(link.principal.person)
            self._speak_for(link, None)

    def _speak_for(self, link: Link, principal: Principal | None) -> None:
        if link.principal is not None:
            links = self._by_login[link.principal.login]
            links.discard(link)
            if not links:
                del self._by_login[link.principal.login]
        link.principal = principal
        if principal is not None:
            self._by_login.setdefault(principal.login, set()).add(link)

    def _leave_when_idle(self, link: Link) -> None:
        if link.leaving and not link.pending:
            self._step(link, Input.DRAINED)

    def _sweep(self) -> None:
        self._sweeping = False
        for id in self._hub.take_overflown():
            if (link := self._links.get(id)) is not None:
                self._step(link, Input.OVERFLOWN)
        for id, number, generation, after in self._hub.take_gaps():
            if (link := self._links.get(id)) is not None:
                self._spawn(self._channels.refill(id, number, generation, after), link)

    # --- timers -------------------------------------------------------------------------------------------------------

    def _look_alive(self, id: int) -> None:
        link = self._links[id]
        self._step(link, Input.LATE)
        if link.state is not State.OPEN:
            return
        now = self._clock.monotonic()
        interval = self._limits.ping
        silent = now - link.heard
        if silent >= 2 * interval:
            self._step(link, Input.SILENT)
            return
        if silent < interval and link.pinged:
            due = link.heard + interval
        else:
            link.pinged = True
            self._hub.send_frame(id, Frame.ping())
            self.touched()
            due = min(now + interval, link.heard + 2 * interval)
        self._look_alive_at(id, due)

    def _look_alive_at(self, id: int, due: float) -> None:
        """At `due`, or a little later together with others: to wake the loop for one costs as much as for many."""
        self._liveness.set(id, math.ceil(due / TOGETHER) * TOGETHER)

    def _look_at_token(self, id: int) -> None:
        link = self._links[id]
        if link.state is not State.OPEN:
            return
        left = self._token_left(link)
        if left <= self._limits.warning and not link.warned:
            link.warned = True
            self._hub.send_frame(id, Frame.token_expiring(max(0, round(left * 1000))))
            self.touched()
        if not link.warned:
            self._expiry.set(id, self._clock.monotonic() + left - self._limits.warning)
        elif left > -self._limits.grace:
            self._expiry.set(id, self._clock.monotonic() + left + self._limits.grace)
        else:
            self._step(link, Input.EXPIRED)

    def _token_left(self, link: Link) -> float:
        return link.who().expires_at - self._clock.now().timestamp()

    # --- frames -------------------------------------------------------------------------------------------------------

    def _dispatch(self, link: Link, events: Sequence[Any]) -> None:
        """A frame behind the one that ended the link is not looked at."""
        for event in events:
            if link.state is State.ENDED:
                return
            handle = self._handlers.get(type(event))
            # The rest is `pong`, which was heard, and what concerns the edge alone.
            if handle is not None:
                handle(link, event)

    def _connect(self, link: Link, event: Connect) -> None:
        if link.state is not State.WAITING:
            self._refuse(link, event.id, Refused("protocol", reason="connect comes once"))
            return
        pending = Pending(event.id)
        link.pending.add(pending)
        try:
            if self._draining:
                raise Unavailable("draining")
            principal = self._tokens.verify(event.token)
        except Exception as error:
            self._turn_away(link, pending, error)
            return
        self._step(link, Input.CONNECT)
        self._liveness.cancel(link.id)
        self._speak_for(link, principal)
        pending.task = self._spawn(self._join(link, pending, principal, event), link)

    def _turn_away(self, link: Link, pending: Pending, error: Exception) -> None:
        refusal = self._failures.explain(error, doing="connect", link=link.id)
        self._answer(link, pending, self._failures.frame(pending.id, refusal, "link"))
        if refusal.code == "login_ended":
            self._step(link, Input.LOGIN_ENDED)
        elif refusal.code == "draining":
            self._step(link, Input.DRAINED)
        else:
            # Until the person's channel is looked up, only a token that is not good is refused for good.
            self._step(link, Input.FAILED if refusal.row.temporary else Input.REFUSED)

    async def _join(self, link: Link, pending: Pending, principal: Principal, event: Connect) -> None:
        try:
            view, outcome, after = await self._channels.look(principal, event.epoch, event.offset)
        except Exception as error:
            self._turn_away(link, pending, error)
            return
        self._step(link, Input.JOINED)
        now = self._clock.monotonic()
        limits = self._limits
        link.number = view.number
        self._publisher.arrived(principal.person, view.number)
        self._look_alive_at(link.id, now + limits.ping * self._rng.uniform(0.5, 1))
        held_back = self._hub.bind(link.id, str(principal.person), now, rate=limits.rate, burst=limits.burst)
        self._answer(link, pending, Frame.welcome(event.id, self._welcome(link, view, outcome)))
        self._look_at_token(link.id)
        self._transport.received(link.id, held_back)
        if outcome == "complete" and link.state is State.OPEN:
            await self._channels.follow(link.id, principal, view, after)

    def _welcome(self, link: Link, view: ChannelView, outcome: Outcome) -> bytes:
        limits = self._limits
        return orjson.dumps(
            {
                "link": str(link.id),
                "person": str(link.who().person),
                "number": view.number,
                "epoch": self._epoch,
                "head": view.head,
                "outcome": outcome,
                "time": milliseconds(self._clock.now()),
                "ping_ms": round(limits.ping * 1000),
                "token_ms": max(0, round(self._token_left(link) * 1000)),
                "limits": {
                    "frame_bytes": limits.frame_bytes,
                    "text_bytes": limits.text_bytes,
                    "in_flight": limits.in_flight,
                    "rate": limits.rate,
                    "burst": limits.burst,
                },
            }
        )

    def _malformed(self, link: Link, event: Malformed) -> None:
        if self._step(link, Input.COMMAND):
            self._refuse(link, event.id, Refused(event.code, field=event.field, reason=event.reason))

    def _attach(self, link: Link, event: Attach) -> None:
        pending = self._begin(link, event.id)
        if pending is None:
            return
        try:
            held = self._channels.begin(link.id, link.who(), event)
        except ChironError as error:
            self._answer(link, pending, self._failures.frame(event.id, error))
            return

        def answer(frame: Frame) -> None:
            self._answer(link, pending, frame)

        async def work() -> None:
            async with link.reading:
                await self._channels.attach(held, event, answer)

        pending.task = self._spawn(self._until_answered(link, pending, work, "attach"), link)

    def _detach(self, link: Link, event: Detach) -> None:
        pending = self._begin(link, event.id)
        if pending is not None:
            try:
                self._channels.detach(link.id, event)
            except ChironError as error:
                self._answer(link, pending, self._failures.frame(event.id, error))
            else:
                self._answer(link, pending, Frame.ok(event.id))

    def _sync(self, link: Link, event: Sync) -> None:
        pending = self._begin(link, event.id)
        if pending is not None:

            async def work() -> None:
                async with link.reading:
                    self._answer(link, pending, await self._channels.sync(link.id, link.who(), event))

            pending.task = self._spawn(self._until_answered(link, pending, work, "sync"), link)

    def _watermark(self, link: Link, event: Watermark) -> None:
        pending = self._begin(link, event.id)
        if pending is not None:
            principal = link.who()

            async def work() -> None:
                self._tokens.require_fresh()
                channel = Channel.parse(event.channel)
                authority = self._channels.authority(channel)
                await authority.watermark(principal, channel.target, received=event.received, read=event.read)
                self._answer(link, pending, Frame.ok(event.id))

            self._spawn(self._until_answered(link, pending, work, "watermark"))

    def _command(self, link: Link, event: Command) -> None:
        pending = self._begin(link, event.id)
        if pending is None:
            return
        if event.retry_after_ms > 0:
            self._answer(link, pending, self._failures.frame(event.id, frames.limited(event.retry_after_ms)))
            return
        principal = link.who()

        async def work() -> None:
            result = await self._commands.run(event.name, principal, event.params)
            self._answer(link, pending, Frame.ok(event.id, result))

        self._spawn(self._until_answered(link, pending, work, event.name))

    def _refresh(self, link: Link, event: Refresh) -> None:
        pending = self._begin(link, event.id)
        if pending is None:
            return
        try:
            if event.generation > link.generation:
                self._take_token(link, event)
        except Exception as error:
            refusal = self._failures.explain(error, doing="refresh", link=link.id)
            self._answer(link, pending, self._failures.frame(event.id, refusal))
        else:
            self._answer(link, pending, Frame.ok(event.id))

    def _take_token(self, link: Link, event: Refresh) -> None:
        newer = self._tokens.verify(event.token)
        speaker = link.who()
        if (newer.person, newer.login) != (speaker.person, speaker.login):
            raise Refused("forbidden")
        link.generation = event.generation
        self._speak_for(link, newer)
        link.warned = False
        self._look_at_token(link.id)

    def _publish(self, link: Link, event: Publish) -> None:
        pending = self._begin(link, event.id, even_leaving=True)
        if pending is not None:
            self._publishing.publish(link, pending, event)

    # --- answers ------------------------------------------------------------------------------------------------------

    def _begin(self, link: Link, id: int, *, even_leaving: bool = False) -> Pending | None:
        """A command came; None when it was dealt with already."""
        if not self._step(link, Input.COMMAND):
            return None
        if len(link.pending) >= self._limits.in_flight:
            self._step(link, Input.FLOODED)
            return None
        if link.leaving and not even_leaving:
            self._refuse(link, id, Unavailable("draining"))
            return None
        pending = Pending(id)
        link.pending.add(pending)
        return pending

    def _answer(self, link: Link, pending: Pending, frame: Frame) -> None:
        """The one answer of a command; nothing when its link has ended."""
        if pending not in link.pending:
            return
        link.pending.remove(pending)
        self._hub.send_frame(link.id, frame)
        self.touched()
        self._leave_when_idle(link)

    def _refuse(self, link: Link, id: int | None, refusal: ChironError) -> None:
        self._hub.send_frame(link.id, self._failures.frame(id, refusal))
        self.touched()

    async def _until_answered(
        self, link: Link, pending: Pending, work: Callable[[], Awaitable[None]], doing: str
    ) -> None:
        try:
            await work()
        except asyncio.CancelledError:
            # Cancelled from here, the link has ended and hears nothing; from below, by a part that stops, it is told.
            self._answer(link, pending, self._failures.frame(pending.id, Unavailable("draining")))
            raise
        except Exception as error:
            refusal = self._failures.explain(error, doing=doing, link=link.id)
            self._answer(link, pending, self._failures.frame(pending.id, refusal))

    def _spawn(self, work: Coroutine[Any, Any, None], link: Link | None = None) -> asyncio.Task[None]:
        """A task that is waited for at the end; with `link`, one that ends with it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if link is not None:
            link.tasks.add(task)
            task.add_done_callback(link.tasks.discard)
        return task


__all__ = ["Links"]
