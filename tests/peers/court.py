"""A town with moderators: what tests of moderation share."""

from __future__ import annotations

from dataclasses import dataclass

from town import Town

from chiron.server.moderation.service import Moderation
from chiron.server.ports import Ack


@dataclass
class Court:
    """Person 0 moderates, and so does person 1."""

    town: Town
    moderation: Moderation

    async def hold(self, sender: int, text: str = "held words", *, members: tuple[int, ...] = (2, 3)) -> Ack:
        """A message of a group of theirs."""
        group = await self.town.group(*dict.fromkeys((sender, *members)))
        return await self.town.say(sender, group.id, text)
