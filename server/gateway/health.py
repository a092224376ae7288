"""`/livez`: the loop turns. `/readyz`: the parts that a request needs are well."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal, TypeAlias

import msgspec

from chiron.server.ports import ANYONE, Call, Clock, Health, Response, Route

CHECK_SECONDS = 2.0
"""A part that does not answer within this is not well."""
REMEMBERED_SECONDS = 1.0

Check: TypeAlias = Callable[[], Awaitable[str | None]]


class Report(msgspec.Struct, frozen=True):
    """How the server is."""

    status: Literal["ok", "unavailable"]
    trouble: dict[str, str]
    """A sentence for each part that is not well."""


def routes(live: Health, ready: Health) -> list[Route]:
    """Nobody is limited here: who asks decides whether others are sent on."""

    async def livez(_call: Call) -> Response:
        return await _report(live)

    async def readyz(_call: Call) -> Response:
        return await _report(ready)

    return [
        Route(
            "GET", "/livez", livez, ANYONE, result=Report, also=(503,), cost=0.0, summary="Whether the process works"
        ),
        Route("GET", "/readyz", readyz, ANYONE, result=Report, also=(503,), cost=0.0, summary="Whether it can serve"),
    ]


def remembered(check: Check, clock: Clock) -> Check:
    """A check that costs something: asked once for all that ask meanwhile, and at most once a second."""
    asked: asyncio.Task[str | None] | None = None
    answered = 0.0

    async def ask() -> str | None:
        nonlocal answered
        found = await _ask(check)
        answered = clock.monotonic()
        return found

    async def remember() -> str | None:
        nonlocal asked
        if asked is None or (asked.done() and clock.monotonic() - answered >= REMEMBERED_SECONDS):
            asked = asyncio.create_task(ask())
        # One that asks and leaves takes the answer from nobody else.
        return await asyncio.shield(asked)

    return remember


async def _report(health: Health) -> Response:
    names = list(health.checks)
    found = await asyncio.gather(*(_ask(health.checks[name]) for name in names))
    trouble = {name: sentence for name, sentence in zip(names, found, strict=True) if sentence is not None}
    body = msgspec.json.encode(Report("unavailable" if trouble else "ok", trouble))
    return Response(503 if trouble else 200, body, [("content-type", "application/json")])


async def _ask(check: Check) -> str | None:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check()
    except TimeoutError:
        return "does not answer"
