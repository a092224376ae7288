"""Moderation over HTTP, for moderators: to anybody else the routes say `forbidden`, whatever they are asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chiron.server.moderation import model
from chiron.server.moderation.service import Moderation
from chiron.server.ports import Call, Principal, Route, Rule


class ModerationApi:
    def __init__(self, moderation: Moderation) -> None:
        self._moderation = moderation
        self._moderator = Rule("moderator", verified=True, check=self._must_be_moderator, refusals=("forbidden",))

    def routes(self) -> list[Route]:
        return [
            Route(
                "GET",
                "/v1/moderation/held",
                self.held,
                self._moderator,
                query=model.Paging,
                result=model.HeldPage,
                cost=2.0,
                summary="Messages that wait for a decision, the oldest first",
            ),
            Route(
                "POST",
                "/v1/moderation/decisions",
                self.decide,
                self._moderator,
                body=model.Decide,
                result=model.Decision,
                cost=2.0,
                refusals=("not_found", "already_decided"),
                once="needless",
                summary="Release or refuse a held message",
                description="Nobody decides on a message of their own (`forbidden`). The same decision again changes "
                "nothing; another one is `already_decided`.",
            ),
        ]

    async def held(self, call: Call) -> model.HeldPage:
        return await self._moderation.held(call.person, call.query.cursor, call.query.limit)

    async def decide(self, call: Call) -> model.Decision:
        return await self._moderation.decide(call.person, call.body.message, call.body.decision)

    async def _must_be_moderator(self, principal: Principal, _: Mapping[str, Any]) -> None:
        await self._moderation.must_be_moderator(principal.person)
