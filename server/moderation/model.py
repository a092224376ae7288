"""What goes in and out of moderation, as `docs/protocol.md` names it. Times are milliseconds since the Unix epoch."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

import msgspec

from chiron.server.ports import HEADS

PageSize = Annotated[int, msgspec.Meta(ge=1, le=200)]
Choice = Literal["release", "refuse"]


class Paging(msgspec.Struct, frozen=True):
    cursor: str | None = None
    """`next` of the page before."""
    limit: PageSize = 50


class Decide(msgspec.Struct, frozen=True):
    message: UUID
    decision: Choice


class Span(msgspec.Struct, frozen=True, omit_defaults=True):
    """A place in the text that spoke against it: half-open indices of its code points."""

    start: int
    end: int
    label: str
    """term, mail, phone, handle, upi, link, payment, invisible or mixed_script; or the head that a word weighs for."""
    severity: int = 0
    """Of a term: 1 mild to 3 worst."""
    text: str = ""
    """The listed term, or what was found."""


class Detail(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of a finding: what the scorer says beside its numbers."""

    spans: list[Span] = []
    features: list[tuple[str, str, float]] = []
    """(head, piece of the text, its share of the head's logit), the strongest first."""
    contact: list[str] = []
    suspicious: bool = False
    identity_only: bool = False
    cut: bool = False
    """The text was longer than is read."""

    def without_text(self) -> Detail:
        """With the places, and without anything that stood there."""
        spans = [msgspec.structs.replace(span, text="") for span in self.spans]
        return msgspec.structs.replace(self, spans=spans, features=[])


class Held(msgspec.Struct, frozen=True):
    """A message that waits for a decision."""

    message: UUID
    conversation: UUID
    kind: str
    """Of the conversation: direct or group."""
    offset: int
    author: UUID
    name: str
    text: str
    reasons: list[str]
    """The strongest first."""
    scores: Annotated[
        dict[str, float], msgspec.Meta(description=f"Probabilities of {', '.join(HEADS[:-1])} and {HEADS[-1]}.")
    ]
    severity: int
    """Of the worst listed term: 0 none to 3 worst."""
    spans: list[Span]
    time: int


class HeldPage(msgspec.Struct, frozen=True, omit_defaults=True):
    items: list[Held]
    next: str | None = None


class Decision(msgspec.Struct, frozen=True):
    message: UUID
    decision: Choice
    decided_at: int
