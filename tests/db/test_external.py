"""Servers that will not do: what the operator is told, and with which exit status."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from chiron.db.embedded import EmbeddedPostgres
from chiron.db.external import connect
from chiron.errors import SetupError

Respond = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def test_a_server_that_will_do(postgres: EmbeddedPostgres) -> None:
    connection = await connect(postgres.tcp_dsn)
    assert connection.get_server_version().major >= 18
    await connection.close()


async def test_nobody_listens_is_69() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(SetupError) as caught:
            await connect(f"postgresql://somebody:hunter2@127.0.0.1:{port}/home")
    assert caught.value.exit_status == 69
    assert str(caught.value).startswith(f"PostgreSQL at 127.0.0.1:{port}, database home is not reachable")
    assert "hunter2" not in str(caught.value)


async def test_no_answer_is_69() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with _listening(silent) as port:
        with pytest.raises(SetupError, match="did not answer") as caught:
            await connect(f"postgresql://somebody@127.0.0.1:{port}/home", timeout=0.2)
    assert caught.value.exit_status == 69


async def test_an_older_server_is_78() -> None:
    async with _listening(_version_17) as port:
        with pytest.raises(SetupError, match=r"is version 17\.5; 18 or newer is needed") as caught:
            await connect(f"postgresql://somebody@127.0.0.1:{port}/home")
    assert caught.value.exit_status == 78


@pytest.mark.parametrize(
    ("old", "new"), [("postgresql://chiron:", "postgresql://chiron:wrong"), ("/chiron?", "/no_such_database?")]
)
async def test_a_refusal_is_78(postgres: EmbeddedPostgres, old: str, new: str) -> None:
    with pytest.raises(SetupError, match="refuses") as caught:
        await connect(postgres.tcp_dsn.replace(old, new))
    assert caught.value.exit_status == 78
    assert "postgresql://" not in str(caught.value)


async def test_an_address_that_is_none_is_78() -> None:
    for address in ("mysql://localhost/home", "postgresql://localhost:port/home"):
        with pytest.raises(SetupError, match="not understood") as caught:
            await connect(address)
        assert caught.value.exit_status == 78


@asynccontextmanager
async def _listening(respond: Respond) -> AsyncIterator[int]:
    server = await asyncio.start_server(respond, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _version_17(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """As much of a server as a client meets before its first query (PostgreSQL manual, 54.2.1)."""
    while True:
        (length,) = struct.unpack("!i", await reader.readexactly(4))
        request = await reader.readexactly(length - 4)
        if request != struct.pack("!i", 80877103):
            break
        writer.write(b"N")  # no TLS here
    setting = b"server_version\x0017.5\x00"
    writer.write(b"R" + struct.pack("!ii", 8, 0))
    writer.write(b"S" + struct.pack("!i", 4 + len(setting)) + setting)
    writer.write(b"K" + struct.pack("!iii", 12, 1, 1))
    writer.write(b"Z" + struct.pack("!i", 5) + b"I")
    await reader.read()
    writer.close()
