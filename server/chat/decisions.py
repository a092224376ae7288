"""What becomes of a message that was held: a unit of the committer, which logs the decision as a record of its own.

Rows of the log are only added, so the held row stays as it is. Its decision is the record of kind `message.decided`, by
the same author, whose client id names the message: there is one at most, and who reads the held row looks for it.
Released, it carries the body and counts as unread; refused, it says so and counts as nothing. Neither says who decided.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec

from chiron.errors import Refused
from chiron.server.chat import bodies, store
from chiron.server.chat.batch import Effect
from chiron.server.ports import Tx

KIND = "message.decided"


@dataclass(frozen=True, slots=True)
class Decide:
    """Result: the offset of the decision. `note` writes down what its caller must keep with it, and raises `Refused`
    when it must not be taken."""

    conversation: UUID
    id: UUID
    message: UUID
    offset: int
    release: bool
    now: datetime
    note: Callable[[Tx], Awaitable[None]]

    @property
    def people(self) -> Sequence[UUID]:
        return ()

    async def run(self, tx: Tx) -> Effect[int]:
        held = await store.held(tx, self.conversation, self.message, self.offset)
        room = await store.room(tx, self.conversation)
        if held is None or room is None:
            raise Refused("not_found", what="held message")
        await self.note(tx)
        body = bodies.encode(
            bodies.Decided(self.message, self.offset, "allow", msgspec.Raw(held.body))
            if self.release
            else bodies.Decided(self.message, self.offset, "block")
        )
        entry = store.Entry(
            id=self.id,
            conversation=self.conversation,
            sender=held.sender,
            client_id=store.decided_client_id(self.message),
            kind=KIND,
            body=body,
            body_hash=bodies.digest(KIND, self.message, body),
            time=self.now,
            ref=self.message,
            counts=self.release,
            as_member=False,
        )
        return Effect(room.head + 1, entries=[entry])
