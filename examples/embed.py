"""Chiron inside a program of your own, on plain asyncio: `python examples/embed.py`, then open the address it prints.

The program adds a member who answers (write to coach@example.org), a route of its own (GET /v1/coach), and a realtime
command of its own (`coach.ask`).
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from uuid import UUID

import msgspec

from chiron.client import ulid
from chiron.errors import Refused
from chiron.server.embedding import Extension, Services, Settings, serving
from chiron.server.ports import ANYONE, SIGNED_IN, Call, Command, Draft, Principal, Record, Route

EMAIL, NAME = "coach@example.org", "Coach"


class Question(msgspec.Struct):
    question: str


class Answer(msgspec.Struct):
    answer: str


class About(msgspec.Struct):
    name: str
    email: str
    answered: int
    """Messages since the start."""


class Coach:
    """Answers every message in the conversations where it is a member."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._principal: asyncio.Task[Principal] = asyncio.create_task(services.identity.provision(EMAIL, NAME))
        self._answers: set[asyncio.Task[None]] = set()
        self._answered = 0

    def extension(self) -> Extension:
        return Extension(
            routes=[Route("GET", "/v1/coach", self.about, ANYONE, result=About, summary="Who answers here")],
            commands=[Command("coach.ask", self.ask, SIGNED_IN, params=Question)],
            heard=self.heard,
        )

    async def about(self, call: Call) -> About:
        return About(NAME, EMAIL, self._answered)

    async def ask(self, call: Call) -> Answer:
        return Answer(advice(call.body.question))

    def heard(self, conversation: UUID, record: Record) -> None:
        if record.kind == "text":
            task = asyncio.create_task(self._answer(conversation, record))
            self._answers.add(task)
            task.add_done_callback(self._answers.discard)

    async def _answer(self, conversation: UUID, record: Record) -> None:
        me = await self._principal
        if record.author == me.person:
            return
        text = advice(msgspec.json.decode(record.body)["text"])
        # The same id for the same question: should this run twice, it is answered once.
        client_id = ulid.from_uuid(record.message)
        body = msgspec.json.encode({"text": text})
        try:
            await self._services.chat.publish(Draft(me, conversation, client_id, "text", body, ref=record.message))
        except Refused:
            return  # it is no member there
        self._answered += 1


def advice(text: str) -> str:
    return f"You said: {text} What would you do if you knew that you cannot fail?"


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True, help="folder of everything that must be kept")
    parser.add_argument("--port", type=int, default=8443)
    parser.add_argument("--plain", default="127.0.0.1:8080", help="HOST:PORT without TLS")
    given = parser.parse_args()
    settings = Settings(data_dir=given.data_dir, port=given.port, plain=given.plain, metrics=None)
    async with serving(settings, extend=lambda services: Coach(services).extension(), report=print) as server:
        print(f"Chiron serves at {server.plain or server.secure}; write to {EMAIL}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
