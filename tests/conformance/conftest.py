"""A server that runs, for those who only ask it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from serving import Server, servers


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[Server]:
    async with servers() as make:
        made = make()
        await made.start()
        yield made
