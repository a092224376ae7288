"""Publishes of links: each takes its place in its line, is submitted without waiting, and is answered in its turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any
from uuid import UUID

from chiron._core import Frame, Publish
from chiron.errors import ChironError, Refused, Unavailable
from chiron.server.ports import ChannelAuthority, Draft
from chiron.server.realtime import frames
from chiron.server.realtime.channels import Channel, Channels
from chiron.server.realtime.line import Line, Place
from chiron.server.realtime.link import Answer, Link, Pending


class Publishing:
    """`answer` sends the one answer of a command; `spawn` runs what must come to its end even when the link does not.

    `require_fresh` is `ports.TokenVerifier`'s; `lines` is how many channels one link may publish to.
    """

    def __init__(
        self,
        channels: Channels,
        failures: frames.Failures,
        *,
        answer: Callable[[Link, Pending, Frame], None],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        require_fresh: Callable[[], None],
        lines: int,
    ) -> None:
        self._channels = channels
        self._failures = failures
        self._answer = answer
        self._spawn = spawn
        self._require_fresh = require_fresh
        self._most = lines

    def publish(self, link: Link, pending: Pending, event: Publish) -> None:
        """Decide where it stands; what nothing speaks against is submitted in the order of these calls."""
        try:
            channel = Channel.parse(event.channel)
            authority = self._channels.authority(channel)
            line = self._line(link, channel)
        except ChironError as error:
            # Nothing stands in line for what is no channel.
            self._answer(link, pending, self._failures.frame(event.id, error))
            return
        refusal: ChironError | None = None
        if link.leaving:
            refusal = Unavailable("draining")
        elif event.retry_after_ms > 0:
            refusal = frames.limited(event.retry_after_ms)
        else:
            try:
                self._require_fresh()
            except Unavailable as error:
                refusal = error
        place, refusal = line.arrive(event.n, refusal)
        if refusal is not None:
            self._settle(link, line, place, pending, refusal)
            return
        ref = None if event.ref is None else UUID(event.ref)
        draft = Draft(
            link.who(),
            channel.target,
            event.client_id,
            event.kind,
            event.body,
            ref,
            link=link.id,
            run=place.run,
            score=event.score,
        )
        self._spawn(self._submit(link, line, place, pending, authority, draft))

    async def _submit(
        self,
        link: Link,
        line: Line[Answer],
        place: Place[Answer],
        pending: Pending,
        authority: ChannelAuthority,
        draft: Draft,
    ) -> None:
        if line.passes_failure(place):
            self._settle(link, line, place, pending, Unavailable("after_failed"))
            return
        try:
            ack = await authority.publish(draft)
        except asyncio.CancelledError:
            self._settle(link, line, place, pending, Unavailable("draining"))
            raise
        except Exception as error:
            refusal = self._failures.explain(error, doing="publish", link=link.id)
            self._settle(link, line, place, pending, refusal)
        else:
            self._release(link, line.settle(place, (pending, frames.ack(pending.id, ack)), failed=False))

    def _settle(
        self, link: Link, line: Line[Answer], place: Place[Answer], pending: Pending, refusal: ChironError
    ) -> None:
        answer = (pending, self._failures.frame(pending.id, refusal))
        self._release(link, line.settle(place, answer, failed=refusal.row.temporary))

    def _release(self, link: Link, answers: list[Answer]) -> None:
        for pending, frame in answers:
            self._answer(link, pending, frame)

    def _line(self, link: Link, channel: Channel) -> Line[Answer]:
        line = link.lines.get(channel)
        if line is None:
            if len(link.lines) >= self._most:
                reason = f"a link publishes to at most {self._most} channels"
                raise Refused("invalid", field="channel", reason=reason)
            line = link.lines[channel] = Line()
        return line
