"""A server that runs, for those who only ask it, and the path that leads to one or to an engine in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import cast

import pytest
from h3spec import DEVIATIONS, PLACES
from quic_path import ENGINES, Pair, Path
from remote_quic import Remote
from serving import Server, servers

from chiron.protocols.quic.endpoint import ServerEndpoint


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[Server]:
    async with servers() as make:
        made = make()
        await made.start()
        yield made


@pytest.fixture(params=PLACES)
def path(request: pytest.FixtureRequest) -> Iterator[Path]:
    """To a server in each place. A test that is known to fail there fails when it does not."""
    if (deviation := DEVIATIONS.get((request.param, request.node.originalname))) is not None:
        request.applymarker(pytest.mark.xfail(raises=AssertionError, strict=True, reason=deviation))
    if (make := ENGINES.get(request.param)) is not None:
        yield Path(make())
        return
    server: Server = request.getfixturevalue("server")
    remote = Remote(server.secure)
    yield Path(cast(ServerEndpoint, remote), authority=Pair(server.authority.read_bytes(), b""))
    remote.close()
