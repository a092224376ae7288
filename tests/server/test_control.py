from __future__ import annotations

import socket

import pytest

from chiron.server.config import WorkerConfig
from chiron.server.control import (
    TO_SUPERVISOR,
    TO_WORKER,
    Channel,
    Drain,
    Failed,
    Ready,
    Reload,
    Reloaded,
    Start,
    ToSupervisor,
    ToWorker,
    Unready,
)
from chiron.server.platform import keys


async def pair() -> tuple[Channel, Channel]:
    one, other = socket.socketpair()
    return await Channel.over(one), await Channel.over(other)


CONFIG = WorkerConfig(database="d", keys=keys.generate(), tls_chain=b"\n\x00" * 50_000, tls_key=b"k", public_url="o\n")


async def test_messages_arrive_whole_and_in_order() -> None:
    supervisor, worker = await pair()
    to_worker: list[ToWorker] = [Start(CONFIG), Reload(1, CONFIG), Drain(2.5)]
    to_supervisor: list[ToSupervisor] = [Ready(), Reloaded(1, "no"), Unready("no\nluck"), Failed("mend it", 78)]
    for down in to_worker:
        supervisor.send(down)
    for up in to_supervisor:
        worker.send(up)
    for down in to_worker:
        assert await worker.receive(TO_WORKER) == down
    for up in to_supervisor:
        assert await supervisor.receive(TO_SUPERVISOR) == up
    supervisor.close()
    assert await worker.receive(TO_WORKER) is None
    worker.close()


@pytest.mark.parametrize("rest", [b"", b'{"type":"drain","sec'])
async def test_the_end_of_the_other_side_is_none_also_within_a_message(rest: bytes) -> None:
    ours, theirs = socket.socketpair()
    worker = await Channel.over(ours)
    theirs.sendall(rest)
    theirs.close()
    assert await worker.receive(TO_WORKER) is None
    worker.send(Ready())
    worker.close()
