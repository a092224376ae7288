"""The server's frames, made of what the rest of the server speaks: records, acks and errors."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from typing import Literal

import orjson
import structlog

from chiron._core import Frame
from chiron.errors import ChironError, Unavailable
from chiron.server.platform.clock import milliseconds
from chiron.server.ports import Ack, Ids, Page, Record

Scope = Literal["command", "channel", "link"]

RETRY_AFTER = 1.0
"""Seconds, halved to doubled at random: when to try again after a temporary error that does not say."""

log = structlog.get_logger(__name__)


def delivery(record: Record) -> Frame:
    """Encoded once, shared by every link that is sent it."""
    return Frame.delivery(
        record.number,
        record.offset,
        str(record.message),
        record.ordinal,
        milliseconds(record.time),
        str(record.author),
        record.kind,
        None if record.ref is None else str(record.ref),
        record.body,
        record.client_id,
        record.verdict,
    )


def ack(id: int, ack: Ack) -> Frame:
    time = milliseconds(ack.time)
    return Frame.ack(id, str(ack.message), ack.offset, ack.ordinal, time, ack.duplicate, ack.verdict)


def page(id: int, channel: str, page: Page, records: Sequence[Record], more: bool, epoch: str) -> Frame:
    """`records` are those of `page` that fit; `more` says whether any were left out or follow."""
    view = page.view
    items = [delivery(record) for record in records]
    return Frame.page(id, channel, view.number, items, more, view.head, view.floor, epoch)


def limited(retry_after_ms: int) -> Unavailable:
    """What the person's limit, which the hub asks, has to say against a publish or command."""
    return Unavailable("limited", retry_after=retry_after_ms / 1000)


class Failures:
    """Whatever went wrong, as one of the errors of the table, and as its frame."""

    def __init__(self, ids: Ids, rng: random.Random) -> None:
        self._ids = ids
        self._rng = rng
        self.sent: Counter[str] = Counter()
        """Errors by code."""

    def explain(self, error: Exception, *, doing: str, link: int) -> ChironError:
        """An error without a code is a fault of ours: it is logged under an incident that the client is told."""
        if isinstance(error, ChironError):
            return error
        incident = str(self._ids.new())
        log.error("command failed", incident=incident, doing=doing, link=link, exc_info=error)
        return ChironError("internal", incident=incident)

    def frame(self, id: int | None, error: ChironError, scope: Scope = "command") -> Frame:
        row = error.row
        self.sent[error.code] += 1
        retry_after_ms = None
        if row.temporary:
            seconds = RETRY_AFTER * 2 ** self._rng.uniform(-1, 1) if error.retry_after is None else error.retry_after
            retry_after_ms = math.ceil(seconds * 1000)
        params = orjson.dumps(error.params, default=str)
        return Frame.error(id, error.code, params, row.temporary, scope, row.action, retry_after_ms)
