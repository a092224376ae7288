"""`/livez`: the loop turns. `/readyz`: the parts that a request needs are well."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

import msgspec

from chiron.server.ports import ANYONE, Call, Health, Response, Route

CHECK_SECONDS = 2.0
"""A part that does not answer within this is not well."""


class Report(msgspec.Struct, frozen=True):
    """How the server is."""

    status: Literal["ok", "unavailable"]
    trouble: dict[str, str]
    """A sentence for each part that is not well."""


def routes(health: Health) -> list[Route]:
    async def livez(_call: Call) -> Response:
        return _report(200, {})

    async def readyz(_call: Call) -> Response:
        names = list(health.checks)
        found = await asyncio.gather(*(_ask(health.checks[name]) for name in names))
        trouble = {name: sentence for name, sentence in zip(names, found, strict=True) if sentence is not None}
        return _report(503 if trouble else 200, trouble)

    return [
        Route("GET", "/livez", livez, ANYONE, result=Report, cost=0.0, summary="Whether the process works"),
        Route("GET", "/readyz", readyz, ANYONE, result=Report, also=(503,), cost=0.0, summary="Whether it can serve"),
    ]


async def _ask(check: Callable[[], Awaitable[str | None]]) -> str | None:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check()
    except TimeoutError:
        return "does not answer"


def _report(status: int, trouble: dict[str, str]) -> Response:
    body = msgspec.json.encode(Report("ok" if status == 200 else "unavailable", trouble))
    return Response(status, body, [("content-type", "application/json")])
