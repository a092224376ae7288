"""The admin socket, from both ends."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from chiron.errors import SetupError
from chiron.server import admin
from chiron.server.admin import Answer, Refusal, Reloaded, ReloadRequest, Request, Rotated, RotateRequest, ask


@asynccontextmanager
async def listening(folder: Path) -> AsyncIterator[list[str]]:
    """What is reported meanwhile."""
    reports: list[str] = []

    async def answer(request: Request) -> Answer:
        if isinstance(request, RotateRequest):
            return Rotated(request.purposes)
        return Reloaded(["log_level"], ["port"], True)

    async with admin.listening(folder, answer, reports.append):
        yield reports


async def asked(folder: Path, request: Request) -> Answer:
    return await asyncio.to_thread(ask, folder, request)


async def test_a_command_is_answered_by_the_server_of_its_folder(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    async with listening(one), listening(other):
        assert await asked(one, RotateRequest(["signing"])) == Rotated(["signing"])
        together = await asyncio.gather(*(asked(one, ReloadRequest()) for _ in range(20)))
        assert together == [Reloaded(["log_level"], ["port"], True)] * 20


async def test_a_defect_behind_an_answer_ends_the_command_at_once(tmp_path: Path) -> None:
    async def answer(request: Request) -> Answer:
        raise RuntimeError("a defect")

    asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # it is logged
    async with admin.listening(tmp_path, answer, lambda _: None), asyncio.timeout(admin.ANSWER_SECONDS / 2):
        with pytest.raises(SetupError, match="ended before it answered"):
            await asked(tmp_path, ReloadRequest())


async def test_nobody_but_the_owner_may_connect_and_nothing_is_left(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        async with listening(tmp_path):
            mode = (tmp_path / admin.NAME).stat().st_mode
            assert stat.S_ISSOCK(mode)
            assert stat.S_IMODE(mode) == 0o600
        assert list(tmp_path.iterdir()) == []
    finally:
        assert os.umask(before) == 0, "the mask of the process stays"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux reaches a socket through an open folder")
async def test_the_path_of_the_folder_may_be_long(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100) / ("y" * 100)
    folder.mkdir(parents=True)
    descriptors = len(os.listdir("/proc/self/fd"))
    async with listening(folder) as reports:
        assert reports == []
        assert await asked(folder, RotateRequest([])) == Rotated([])
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 1  # the listing itself


async def test_a_server_without_a_socket_says_so_and_serves(tmp_path: Path) -> None:
    (tmp_path / admin.NAME).mkdir()
    async with listening(tmp_path) as reports:
        assert len(reports) == 1
        assert reports[0].startswith("`chiron reload` cannot reach this server: ")


async def test_the_socket_of_a_server_that_was_killed_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / admin.NAME))
    with pytest.raises(SetupError, match="No server runs on") as refused:
        await asked(tmp_path, ReloadRequest())
    assert refused.value.exit_status == 69
    async with listening(tmp_path):
        assert isinstance(await asked(tmp_path, ReloadRequest()), Reloaded)


@pytest.mark.parametrize("there", [True, False])
async def test_without_a_server_it_says_how_to_start_one(tmp_path: Path, there: bool) -> None:
    folder = tmp_path if there else tmp_path / "missing"
    with pytest.raises(SetupError, match=r"No server runs on .*`chiron serve` starts one") as refused:
        await asked(folder, ReloadRequest())
    assert refused.value.exit_status == 69


@pytest.mark.parametrize("line", [b"{}\n", b"reload\n", b'{"type":"dance"}\n', b'{"type":"rotate","purposes":["x"]}\n'])
async def test_what_is_not_understood_is_refused_with_the_likely_reason(tmp_path: Path, line: bytes) -> None:
    async with listening(tmp_path):
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / admin.NAME))
        writer.write(line)
        refusal = admin.ANSWER.decode(await reader.readline())
        assert isinstance(refusal, Refusal)
        assert "another version" in refusal.message
        assert await reader.read() == b""
        writer.close()


@pytest.mark.parametrize("sent", [b"", b'{"type":"rel', b"x" * (2 * admin.LINE_BYTES)])
async def test_who_says_nothing_whole_is_not_answered_and_harms_nobody(tmp_path: Path, sent: bytes) -> None:
    async with listening(tmp_path):
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / admin.NAME))
        writer.write(sent)
        writer.write_eof()
        try:
            assert await reader.read() == b""
        except ConnectionResetError:
            pass  # what was sent was not read to its end
        writer.close()
        assert isinstance(await asked(tmp_path, ReloadRequest()), Reloaded)


@pytest.mark.parametrize(
    ("said", "complaint"), [(b"", "ended before it answered"), (b'{"type":"new"}\n', "another version")]
)
async def test_an_answer_that_does_not_come_or_is_not_understood(tmp_path: Path, said: bytes, complaint: str) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / admin.NAME))
        sock.listen()

        def serve() -> None:
            with sock.accept()[0] as connection:
                connection.recv(1000)
                connection.sendall(said)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(SetupError, match=complaint):
            await asked(tmp_path, ReloadRequest())
        thread.join()
