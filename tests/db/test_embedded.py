"""The embedded server through everything that ends a server: signals, crashes, leftovers, strangers and rivals."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest

from chiron.db import embedded
from chiron.db.binaries import PostgresBinaries
from chiron.db.embedded import EmbeddedPostgres, running_dsn
from chiron.db.process import choose_account
from chiron.errors import SetupError

SUPERVISOR = """
import asyncio, sys, time
from pathlib import Path
from chiron.db.binaries import PostgresBinaries
from chiron.db.embedded import EmbeddedPostgres

async def main():
    server = EmbeddedPostgres(Path(sys.argv[1]), PostgresBinaries(Path(sys.argv[2])))
    await server.start()
    print(server.pid, flush=True)
    time.sleep(600)

asyncio.run(main())
"""


async def _query(dsn: str, sql: str, *args: Any) -> Any:
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        return await connection.fetchval(sql, *args)
    finally:
        connection.terminate()


async def _write_something(server: EmbeddedPostgres) -> None:
    connection = await asyncpg.connect(server.dsn)
    await connection.execute("CREATE TABLE kept (value integer)")
    await connection.execute("INSERT INTO kept VALUES (42)")
    await connection.close()


async def _has_something(server: EmbeddedPostgres) -> bool:
    return bool(await _query(server.dsn, "SELECT value FROM kept") == 42)


async def _logs(server: EmbeddedPostgres, awaited: str) -> str:
    """What the server logged, once `awaited` is there: a process of its own writes it, after the answer."""
    async with asyncio.timeout(60.0):
        while awaited not in (logs := "".join(file.read_text() for file in (server.home / "log").iterdir())):
            await asyncio.sleep(0.01)
    return logs


def _processes(server: EmbeddedPostgres) -> list[psutil.Process]:
    assert server.pid is not None
    postmaster = psutil.Process(server.pid)
    return [postmaster, *postmaster.children(recursive=True)]


# --- a first start -------------------------------------------------------------------------------------------------


async def test_a_first_start_says_what_it_does_and_makes_a_durable_server(
    short_tmp: Path, postgres_binaries: PostgresBinaries
) -> None:
    said: list[str] = []
    server = EmbeddedPostgres(short_tmp / "data", postgres_binaries, report=said.append)
    assert not server.running
    await server.start()
    try:
        assert said == ["Making the database", "Starting PostgreSQL"]
        for setting in ("fsync", "full_page_writes", "synchronous_commit", "data_checksums"):
            assert await _query(server.dsn, "SELECT current_setting($1)", setting) == "on"
        row = await _query(
            server.dsn,
            "SELECT (datlocprovider, datlocale, pg_encoding_to_char(encoding))::text FROM pg_database"
            " WHERE datname = current_database()",
        )
        assert row == "(b,C.UTF-8,UTF8)"
        assert await _query(server.dsn, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False
        assert await _query(server.tcp_dsn, "SELECT inet_server_addr()::text") == "127.0.0.1/32"
        assert psutil.Process(server.pid).uids().real != 0
    finally:
        await server.stop()
    assert not server.running


async def test_passwords_are_asked_for_everywhere_and_kept_from_others(own_server: EmbeddedPostgres) -> None:
    access = own_server.home / "access.json"
    assert stat.S_IMODE(access.stat().st_mode) == 0o600
    assert stat.S_IMODE((own_server.home / "run").stat().st_mode) == 0o700
    for dsn in (own_server.dsn, own_server.tcp_dsn, own_server.superuser_dsn):
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(re.sub(r":[^/@]+@", ":wrong@", dsn))
    secrets = json.loads(access.read_text())
    logs = await _logs(own_server, "password authentication failed")
    assert secrets["password"] not in logs
    assert secrets["superuser_password"] not in logs


async def test_the_log_does_not_quote_what_people_wrote(own_server: EmbeddedPostgres) -> None:
    connection = await asyncpg.connect(own_server.dsn)
    await connection.execute("CREATE TABLE person (email text UNIQUE)")
    await connection.execute("INSERT INTO person VALUES ($1)", "someone@example.org")
    with pytest.raises(asyncpg.UniqueViolationError):
        await connection.execute("INSERT INTO person VALUES ($1)", "someone@example.org")
    await connection.close()
    logs = await _logs(own_server, "duplicate key")
    assert "someone@example.org" not in logs


async def test_a_long_path_gets_its_socket_elsewhere(short_tmp: Path, postgres_binaries: PostgresBinaries) -> None:
    data = short_tmp / ("long" * 30)
    server = EmbeddedPostgres(data, postgres_binaries)
    await server.start()
    try:
        assert await _query(server.dsn, "SELECT 1") == 1
        folder = Path(json.loads((server.home / "access.json").read_text())["socket_folder"])
        assert not folder.is_relative_to(data)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        await server.stop()
        assert not folder.exists()
        await server.start()
        assert await _query(server.dsn, "SELECT 1") == 1
    finally:
        await server.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder of somebody else's")
async def test_a_socket_folder_that_somebody_else_made_is_refused(
    short_tmp: Path, postgres_binaries: PostgresBinaries
) -> None:
    server = EmbeddedPostgres(short_tmp / ("long" * 30), postgres_binaries)
    await server.start()
    await server.stop()
    folder = Path(json.loads((server.home / "access.json").read_text())["socket_folder"])
    folder.mkdir()
    try:
        with pytest.raises(SetupError, match=f"{folder} belongs to somebody else"):
            await server.start()
    finally:
        folder.rmdir()


async def test_a_start_broken_off_while_making_the_cluster_is_begun_again(
    short_tmp: Path, postgres_binaries: PostgresBinaries
) -> None:
    making = asyncio.Event()
    server = EmbeddedPostgres(short_tmp, postgres_binaries, report=lambda _: making.set())
    task = asyncio.create_task(server.start())
    await making.wait()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (short_tmp / "postgresql" / ".making-left").mkdir()
    server = EmbeddedPostgres(short_tmp, postgres_binaries)
    await server.start()
    assert await _query(server.dsn, "SELECT 1") == 1
    await server.stop()
    assert not list((short_tmp / "postgresql").glob(".making-*"))


async def test_a_wrong_setting_is_refused_with_postgresqls_own_words(
    short_tmp: Path, postgres_binaries: PostgresBinaries
) -> None:
    server = EmbeddedPostgres(short_tmp, postgres_binaries, settings={"shared_buffers": "many"})
    with pytest.raises(SetupError, match="shared_buffers"):
        await server.start()
    assert not server.running
    server = EmbeddedPostgres(short_tmp, postgres_binaries)
    await server.start()
    await server.stop()


async def test_an_operators_own_settings_win_but_not_over_durability(
    short_tmp: Path, postgres_binaries: PostgresBinaries
) -> None:
    server = EmbeddedPostgres(short_tmp, postgres_binaries)
    await server.start()
    await server.stop()
    local = short_tmp / "postgresql" / "local.conf"
    local.write_text("work_mem = '9MB'\nfsync = off\n")
    await server.start()
    assert await _query(server.dsn, "SHOW work_mem") == "9MB"
    assert await _query(server.dsn, "SHOW fsync") == "on"
    await server.stop()


async def test_a_cluster_of_another_major_version_is_refused(
    short_tmp: Path, postgres_binaries: PostgresBinaries
) -> None:
    cluster = short_tmp / "postgresql" / "cluster"
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("17\n")
    with pytest.raises(SetupError, match="made by PostgreSQL 17"):
        await EmbeddedPostgres(short_tmp, postgres_binaries).start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to change to another account")
async def test_a_folder_that_the_account_cannot_reach_is_named(
    tmp_path: Path, postgres_binaries: PostgresBinaries
) -> None:
    closed = tmp_path / "home"
    closed.mkdir(mode=0o700)
    for folder in tmp_path.parents:
        if folder.stat().st_mode & 0o001 == 0:
            closed = folder
    with pytest.raises(SetupError, match=re.escape(str(closed))):
        await EmbeddedPostgres(tmp_path / "home" / "data", postgres_binaries).start()


# --- one owner -----------------------------------------------------------------------------------------------------


async def test_two_servers_on_one_folder_are_refused(
    own_server: EmbeddedPostgres, postgres_binaries: PostgresBinaries
) -> None:
    rival = EmbeddedPostgres(own_server.home.parent, postgres_binaries)
    with pytest.raises(SetupError, match=f"in use by process {os.getpid()}"):
        await rival.start()
    assert await _query(own_server.dsn, "SELECT 1") == 1


async def test_the_address_of_a_running_server_can_be_found(own_server: EmbeddedPostgres) -> None:
    data = own_server.home.parent
    assert running_dsn(data) == own_server.dsn
    await own_server.stop()
    assert running_dsn(data) is None


async def test_kill_9_of_the_supervisor_leaves_a_server_that_the_next_one_adopts(
    short_tmp: Path, postgres_binaries: PostgresBinaries
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(short_tmp), str(postgres_binaries.directory)], stdout=subprocess.PIPE
    ) as supervisor:
        assert supervisor.stdout is not None
        postmaster = int(await asyncio.to_thread(supervisor.stdout.readline))
        supervisor.send_signal(signal.SIGKILL)
    server = EmbeddedPostgres(short_tmp, postgres_binaries)
    await server.start()
    assert server.pid == postmaster
    await _write_something(server)
    exited = asyncio.create_task(server.wait_exit())
    os.kill(postmaster, signal.SIGKILL)
    await asyncio.wait_for(exited, 10)
    await server.start()
    assert server.pid not in (None, postmaster)
    assert await _has_something(server)
    await server.stop()


async def test_a_server_that_is_stopping_is_waited_for_and_started_again(
    own_server: EmbeddedPostgres, postgres_binaries: PostgresBinaries
) -> None:
    """The former supervisor had told it to stop, and was killed before it had."""
    await _write_something(own_server)
    former = own_server.pid
    assert former is not None
    # SIGTERM: smart shutdown, which waits for this connection to end.
    connection = await asyncpg.connect(own_server.dsn)
    os.kill(former, signal.SIGTERM)
    own_server._lock.release()
    server = EmbeddedPostgres(own_server.home.parent, postgres_binaries)
    starting = asyncio.create_task(server.start())
    await asyncio.sleep(0)
    await connection.close()
    await asyncio.wait_for(starting, 30)
    assert server.pid not in (None, former)
    assert await _has_something(server)
    await server.stop()


# --- crashes -------------------------------------------------------------------------------------------------------


async def test_kill_9_of_everything_keeps_what_was_committed(own_server: EmbeddedPostgres) -> None:
    await _write_something(own_server)
    former = _processes(own_server)
    for process in former:
        process.send_signal(signal.SIGKILL)
    await asyncio.wait_for(own_server.wait_exit(), 10)
    assert not own_server.running
    addresses = own_server.dsn, own_server.tcp_dsn
    await own_server.start()
    assert (own_server.dsn, own_server.tcp_dsn) == addresses
    assert own_server.pid != former[0].pid
    assert await _has_something(own_server)
    assert await _query(own_server.tcp_dsn, "SELECT 1") == 1


async def test_a_backend_that_outlives_its_postmaster_does_not_block_the_next_start(
    own_server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "LEFTOVER_TIMEOUT", 0.3)
    await _write_something(own_server)
    connection = await asyncpg.connect(own_server.dsn)
    backend = psutil.Process(connection.get_server_pid())
    computing = asyncio.create_task(connection.fetchval("SELECT count(*) FROM generate_series(1, 1000000000000)"))
    async with asyncio.timeout(10):
        while await _query(
            own_server.superuser_dsn, "SELECT state FROM pg_stat_activity WHERE pid = $1", backend.pid
        ) != ("active"):
            await asyncio.sleep(0.01)
    assert own_server.pid is not None
    os.kill(own_server.pid, signal.SIGKILL)
    await asyncio.wait_for(own_server.wait_exit(), 10)
    assert backend.is_running()
    await asyncio.wait_for(own_server.start(), 30)
    assert await _has_something(own_server)
    with pytest.raises((asyncpg.PostgresError, OSError)):
        await computing
    connection.terminate()


async def test_a_strangers_process_with_the_old_process_id_does_not_block_the_start(
    own_server: EmbeddedPostgres,
) -> None:
    """After a reboot the id in postmaster.pid may be anybody's, also one of the same account."""
    await _write_something(own_server)
    for process in _processes(own_server):
        process.send_signal(signal.SIGKILL)
    await asyncio.wait_for(own_server.wait_exit(), 10)
    account = choose_account(own_server.home / "cluster")
    with subprocess.Popen(["sleep", "600"], user=account.uid if account else None) as stranger:
        lock_file = own_server.home / "cluster" / "postmaster.pid"
        lines = lock_file.read_text().splitlines()
        lock_file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        await asyncio.wait_for(own_server.start(), 30)
        assert stranger.poll() is None
        stranger.kill()
    assert await _has_something(own_server)


# --- ports ---------------------------------------------------------------------------------------------------------


async def test_a_port_taken_while_the_server_was_down_costs_only_tcp(own_server: EmbeddedPostgres) -> None:
    await own_server.stop()
    address = own_server.dsn
    with _taken(own_server):
        await own_server.start()
        assert own_server.dsn == address
        assert await _query(own_server.dsn, "SELECT 1") == 1
        await own_server.stop()


async def test_a_port_taken_before_a_first_start_is_replaced(
    own_server: EmbeddedPostgres, postgres_binaries: PostgresBinaries
) -> None:
    await own_server.stop()
    with _taken(own_server):
        server = EmbeddedPostgres(own_server.home.parent, postgres_binaries)
        await server.start()
        assert server.tcp_dsn != own_server.tcp_dsn
        assert await _query(server.tcp_dsn, "SELECT 1") == 1
        await server.stop()


def _taken(server: EmbeddedPostgres) -> socket.socket:
    rival = socket.socket()
    rival.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    rival.bind(("127.0.0.1", json.loads((server.home / "access.json").read_text())["port"]))
    rival.listen()
    return rival


# --- stopping ------------------------------------------------------------------------------------------------------


@pytest.fixture
async def open_transaction(own_server: EmbeddedPostgres) -> AsyncIterator[asyncpg.Connection[Any]]:
    connection = await asyncpg.connect(own_server.dsn)
    await connection.execute("BEGIN")
    await connection.execute("CREATE TABLE never (value integer)")
    yield connection
    connection.terminate()


async def test_stop_is_clean_also_with_a_transaction_open(
    own_server: EmbeddedPostgres, open_transaction: asyncpg.Connection[Any]
) -> None:
    await asyncio.wait_for(own_server.stop(), 10)
    assert not own_server.running
    control = subprocess.run(
        [own_server.binaries.program("pg_controldata"), own_server.home / "cluster"],
        env=own_server.binaries.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.search(r"cluster state:\s+shut down$", control.stdout, re.MULTILINE)
    await own_server.stop()


async def test_a_server_that_hears_no_signal_is_stopped_all_the_same(own_server: EmbeddedPostgres) -> None:
    await _write_something(own_server)
    assert own_server.pid is not None
    os.kill(own_server.pid, signal.SIGSTOP)
    await asyncio.wait_for(own_server.stop(timeout=0.1), 30)
    assert not own_server.running
    await own_server.start()
    assert await _has_something(own_server)
