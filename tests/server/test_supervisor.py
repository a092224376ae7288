"""What an operator does to a server, and what becomes of its processes, files and clients."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import psutil
import pytest
from serving import DEADLINE, Server, until
from websockets.asyncio.client import ClientConnection as WebSocket
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from chiron.client import Api, NotReachable, ServerRefused, ulid
from chiron.client.model import Acknowledged, Delivery
from chiron.db.embedded import running_dsn

PASSWORD = "correct horse battery staple"


# --- people -----------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def signed_up(server: Server, *names: str) -> AsyncIterator[list[Api]]:
    apis = [Api(server.address) for _ in names]
    try:
        for api, name in zip(apis, names, strict=True):
            await api.register(f"{name.lower()}@example.org", PASSWORD, name)
        yield apis
    finally:
        for api in apis:
            await api.close()


@asynccontextmanager
async def linked(server: Server, api: Api) -> AsyncIterator[WebSocket]:
    """A link as a bare WebSocket: nothing that resumes by itself."""
    address = server.address.replace("http", "ws") + "/v1/realtime"
    async with connect(address, subprotocols=[Subprotocol("chiron.v1.json")], compression=None, proxy=None) as link:
        await link.send(json.dumps({"op": "connect", "id": 1, "token": await api.access_token()}))
        assert json.loads(await link.recv())["op"] == "welcome"
        yield link


async def last_words(link: WebSocket) -> dict[str, Any]:
    """The `close` frame, after which the connection is closed with the same code."""
    last: dict[str, Any] = {}
    with pytest.raises(ConnectionClosed) as end:
        async with asyncio.timeout(DEADLINE):
            while True:
                last = json.loads(await link.recv())
    assert last["op"] == "close"
    assert end.value.rcvd is not None
    assert end.value.rcvd.code == last["code"]
    return last


class HalfSent:
    """A request whose body is still on its way."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rest: bytes) -> None:
        self._reader, self._writer, self._rest = reader, writer, rest

    @classmethod
    async def log_in(cls, server: Server, email: str) -> HalfSent:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.plain)
        body = json.dumps({"email": email, "password": PASSWORD}).encode()
        head = f"POST /v1/logins HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n"
        writer.write(f"{head}content-type: application/json\r\nexpect: 100-continue\r\n\r\n".encode())
        # The server has read the head: the request is its own from now on.
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        writer.write(body[:10])
        return cls(reader, writer, body[10:])

    async def finish(self) -> str:
        """The whole response."""
        self._writer.write(self._rest)
        response = (await self._reader.read()).decode()
        self._writer.close()
        return response

    def abandon(self) -> None:
        self._writer.close()


# --- stopping ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_finishes_what_was_begun_and_has_clients_come_back(server: Server, number: signal.Signals) -> None:
    postmaster = server.postmaster()
    assert postmaster is not None
    async with signed_up(server, "Ada", "Bob") as (ada, bob), linked(server, ada) as one, linked(server, bob) as other:
        in_flight = await HalfSent.log_in(server, "ada@example.org")
        assert server.process is not None
        server.process.send_signal(number)
        for link in (one, other):
            close = await last_words(link)
            assert (close["code"], close["resumable"]) == (1001, True)
            assert close["reconnect_in_ms"] >= 0
        response = await in_flight.finish()
        assert response.startswith("HTTP/1.1 201 ")
        assert "connection: close" in response.lower()
    async with asyncio.timeout(30):
        assert await server.ended() == 0, server.tail()
    assert not psutil.pid_exists(postmaster)
    assert server.postmaster() is None
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", server.plain)
    assert "worker.killed" not in server.tail()


async def test_a_stop_does_not_wait_longer_than_it_says(server: Server) -> None:
    async with signed_up(server, "Ada"):
        never_finished = await HalfSent.log_in(server, "ada@example.org")
        async with asyncio.timeout(30):
            assert await server.stop() == 0
        never_finished.abandon()


async def test_a_second_ctrl_c_stops_at_once(server: Server) -> None:
    async with signed_up(server, "Ada") as (ada,), linked(server, ada) as link:
        never_finished = await HalfSent.log_in(server, "ada@example.org")
        assert server.process is not None
        server.process.send_signal(signal.SIGINT)
        await last_words(link)
        assert server.process.returncode is None
        assert await server.stop() == 0
        assert "worker.killed" in server.tail()
        never_finished.abandon()
    assert server.postmaster() is None


async def test_a_stop_during_the_first_start_leaves_nothing_running(new_server: Callable[[], Server]) -> None:
    server = new_server()
    server.furnished = False
    await server.start(wait=False)
    await until(lambda: "Making the database" in server.tail(), server.tail)
    server.remember()
    async with asyncio.timeout(30):
        assert await server.stop(signal.SIGTERM) == 0, server.tail()
    await until(lambda: not occupants(server), lambda: f"still there: {occupants(server)}")
    await server.start()


def occupants(server: Server) -> list[psutil.Process]:
    """Processes that work in the server's folder, as those of PostgreSQL do."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd().startswith(str(server.folder)):
                found.append(process)
        except psutil.Error:
            continue
    return found


# --- death ------------------------------------------------------------------------------------------------------------


async def test_clients_wait_in_the_queue_while_a_dead_worker_is_replaced(server: Server) -> None:
    worker = server.worker()
    assert server.kill_worker()
    assert worker is not None
    await until(lambda: not alive(worker), lambda: "the worker lives")
    async with httpx.AsyncClient(base_url=server.address, timeout=DEADLINE) as http:
        answers = await asyncio.gather(*(http.get("/livez") for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert server.worker() != worker


async def test_a_worker_that_served_is_replaced_without_a_pause_however_often(server: Server) -> None:
    for _ in range(2):
        worker = server.worker()
        assert worker is not None
        await until(partial(is_older, worker, 5.0), lambda: "the worker died")
        assert server.kill_worker()
        await until(partial(is_replaced, server, worker), server.tail)
        await server.until_ready()
    pauses = [json.loads(line)["again_in"] for line in server.tail().splitlines() if "worker.died" in line]
    assert pauses == [0.0, 0.0]


async def test_an_operator_hears_why_no_worker_starts(server: Server) -> None:
    killed: set[int | None] = {None}
    while "tried again and again" not in server.tail():
        await until(lambda: server.worker() not in killed, server.tail)
        killed.add(server.worker())
        assert server.kill_worker()
        await until(lambda: len(deaths(server)) >= len(killed) - 1, server.tail)
    assert "The server does not start and is tried again and again: its process ends with status -9" in server.tail()
    # The first one had served, the three that followed had not.
    assert [death["served"] for death in deaths(server)] == [True, False, False, False]
    await server.until_ready()


def deaths(server: Server) -> list[dict[str, Any]]:
    return [json.loads(line) for line in server.tail().splitlines() if "worker.died" in line]


async def test_kill_9_of_the_supervisor_leaves_a_worker_that_drains_and_a_folder_that_the_next_one_takes(
    server: Server,
) -> None:
    worker, postmaster = server.worker(), server.postmaster()
    assert worker is not None
    async with signed_up(server, "Ada", "Bob") as (ada, bob), linked(server, ada) as link:
        conversation = (await bob.direct("ada@example.org"))["id"]
        ack = await bob.publish(conversation, ulid.new(), "before")
        await server.kill_supervisor()
        close = await last_words(link)
        assert (close["code"], close["resumable"]) == (1001, True)
        await server.start()
        assert not alive(worker)
        assert server.postmaster() == postmaster, "PostgreSQL is adopted, not restarted"
        history = await bob.history(conversation)
        assert [item["message"] for item in history["items"]] == [ack["message"]]
    assert await server.stop() == 0
    assert server.postmaster() is None, "the adopted PostgreSQL is stopped too"


async def test_kill_9_of_supervisor_and_postgres_together(server: Server) -> None:
    postmaster = server.postmaster()
    async with signed_up(server, "Ada", "Bob") as (_, bob):
        conversation = (await bob.direct("ada@example.org"))["id"]
        ack = await bob.publish(conversation, ulid.new(), "before")
        await server.kill_supervisor()
        assert server.kill_postgres()
        await server.start()
        assert server.postmaster() not in (None, postmaster)
        assert (await bob.history(conversation))["items"][0]["message"] == ack["message"]


async def test_without_postgres_nothing_is_acknowledged_and_afterwards_all_goes_on(server: Server) -> None:
    worker = server.worker()
    async with signed_up(server, "Ada", "Bob") as (ada, bob), linked(server, ada) as link:
        conversation = (await ada.direct("bob@example.org"))["id"]
        # A setting that PostgreSQL does not know: it stays down for as long as we like.
        mistake = server.data / "postgresql" / "local.conf"
        mistake.write_text("not_a_setting = on\n")
        assert server.kill_postgres()
        client_id = ulid.new()
        with pytest.raises(ServerRefused) as refusal:
            await ada.publish(conversation, client_id, "over HTTP")
        assert (refusal.value.code, refusal.value.temporary) == ("unavailable", True)
        answer = await publish(link, conversation, client_id)
        assert (answer["op"], answer["code"], answer["temporary"]) == ("error", "unavailable", True)

        async def not_ready() -> bool:
            return await readiness(server) == 503

        await until(not_ready, lambda: f"it still calls itself ready\n{server.tail()}")
        await until(lambda: "PostgreSQL does not start and is tried again" in server.tail(), server.tail)
        assert "not_a_setting" in server.tail()

        mistake.unlink()
        await server.until_ready()
        assert (await ada.history(conversation))["items"] == []
        ack = await publish(link, conversation, client_id)
        assert (ack["op"], ack["offset"]) == ("ack", 1)
        assert "duplicate" not in ack
        assert server.worker() == worker, "it went on without a restart"
        assert [item["author"] for item in (await bob.history(conversation))["items"]] == [ada.person["person"]]


async def publish(link: WebSocket, conversation: str, client_id: str) -> dict[str, Any]:
    """The answer to a publish (the first of this link, or that one again)."""
    body = {"text": "over the link"}
    frame = {"op": "publish", "id": 2, "channel": f"conv:{conversation}", "client_id": client_id, "n": 1}
    await link.send(json.dumps({**frame, "kind": "text", "body": body}))
    async with asyncio.timeout(DEADLINE):
        while True:
            answer: dict[str, Any] = json.loads(await link.recv())
            if answer.get("id") == 2:
                return answer


async def readiness(server: Server) -> int:
    async with httpx.AsyncClient(base_url=server.address) as http:
        return (await http.get("/readyz")).status_code


async def test_a_worker_that_waits_for_postgres_goes_when_told_and_when_alone(server: Server) -> None:
    (server.data / "postgresql" / "local.conf").write_text("not_a_setting = on\n")
    assert server.kill_postgres()
    first = server.worker()
    assert server.kill_worker()
    await until(partial(is_replaced, server, first), server.tail)
    waiting = server.worker()
    assert waiting is not None
    await server.kill_supervisor()
    await until(lambda: not alive(waiting), lambda: "the worker waits for a database that nobody starts")

    (server.data / "postgresql" / "local.conf").unlink()
    await server.start()
    (server.data / "postgresql" / "local.conf").write_text("not_a_setting = on\n")
    first = server.worker()
    assert server.kill_postgres()
    assert server.kill_worker()
    await until(partial(is_replaced, server, first), server.tail)
    assert await server.stop() == 0
    assert "worker.killed" not in server.tail()


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def is_replaced(server: Server, worker: int | None) -> bool:
    return server.worker() not in (None, worker)


def is_older(pid: int, seconds: float) -> bool:
    return time.time() - psutil.Process(pid).create_time() > seconds


# --- refusals ---------------------------------------------------------------------------------------------------------


async def refusal(server: Server, *options: str) -> tuple[int, str]:
    """Exit status and last words of a server that must not start."""
    process = await asyncio.create_subprocess_exec(
        *server.command(*options),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(DEADLINE):
        output, _ = await process.communicate()
    assert process.returncode is not None
    said = output.decode()
    assert "Traceback" not in said
    return process.returncode, said


async def test_a_folder_has_one_server(server: Server, new_server: Callable[[], Server]) -> None:
    other = new_server()
    other.data = server.data
    status, said = await refusal(other)
    assert status == 78
    assert server.process is not None
    assert f"{server.data} is in use by process {server.process.pid}" in said
    await server.until_ready()


async def test_a_port_that_is_taken_is_named(new_server: Callable[[], Server]) -> None:
    server = new_server()
    with socket.create_server(("127.0.0.1", server.plain)):
        status, said = await refusal(server)
    assert status == 71
    assert f"Cannot listen on 127.0.0.1, port {server.plain}: Address already in use." in said
    assert not (server.data / "postgresql").exists(), "nothing was started"


async def test_an_address_that_is_not_ours_is_refused_at_once(new_server: Callable[[], Server]) -> None:
    status, said = await refusal(new_server(), "--host", "192.0.2.1")
    assert status == 71
    assert "Cannot listen on 192.0.2.1" in said


async def test_a_certificate_that_cannot_be_used_is_refused(new_server: Callable[[], Server], tmp_path: Path) -> None:
    server = new_server()
    missing, junk = tmp_path / "missing.pem", tmp_path / "junk.pem"
    junk.write_text("no certificate")
    status, said = await refusal(server, "--tls-cert", str(missing), "--tls-key", str(junk))
    assert (status, "No such file" in said, str(missing) in said) == (78, True, True)
    status, said = await refusal(server, "--tls-cert", str(junk), "--tls-key", str(junk))
    assert (status, "cannot be used" in said) == (78, True)


async def test_keys_that_others_may_read_are_refused(new_server: Callable[[], Server]) -> None:
    server = new_server()
    server.data.mkdir()
    keys = server.data / "keys.json"
    keys.write_text("{}")
    keys.chmod(0o644)
    status, said = await refusal(server)
    assert status == 78
    assert f"chmod 600 {keys}" in said


async def test_a_database_that_cannot_be_reached_is_named_without_its_password(
    new_server: Callable[[], Server],
) -> None:
    server = new_server()
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        port = nobody_listens.getsockname()[1]
        status, said = await refusal(server, "--database", f"postgresql://chiron:hunter2@127.0.0.1:{port}/chiron")
    assert status == 69
    assert f"127.0.0.1:{port}" in said
    assert "hunter2" not in said


# --- what is where ----------------------------------------------------------------------------------------------------


async def test_plain_off_leaves_tls_alone(new_server: Callable[[], Server]) -> None:
    server = new_server()
    await server.start("--plain", "off", wait=False)
    await until(lambda: "Chiron serves at" in server.tail(), server.tail)
    assert f"Chiron serves at  https://localhost:{server.secure}" in server.tail()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", server.plain)
    api = Api(server.secure_address, ca=server.authority)
    await api.register("ada@example.org", PASSWORD, "Ada")
    await api.close()


async def test_an_own_certificate_and_an_own_database(
    new_server: Callable[[], Server], server: Server, database: Any
) -> None:
    # A leaf of another server's development authority does for a certificate of one's own.
    tls = server.data / "tls"
    other = new_server()
    other.furnished = False
    await other.start(
        *("--tls-cert", str(tls / "leaf.pem"), "--tls-key", str(tls / "leaf.key"), "--database", database.dsn)
    )
    assert not (other.data / "tls").exists()
    assert not (other.data / "postgresql").exists()
    api = Api(other.secure_address, ca=server.authority)
    await api.register("ada@example.org", PASSWORD, "Ada")
    await api.close()
    assert await other.stop() == 0


async def test_only_the_owner_reads_the_data_folder(new_server: Callable[[], Server]) -> None:
    server = new_server()
    server.furnished = False
    await server.start()
    modes = {
        str(path.relative_to(server.data)): stat.S_IMODE(path.lstat().st_mode)
        for path in server.data.rglob("*")
        if not str(path).startswith(str(server.data / "postgresql" / "cluster"))
    }
    # Its server's account passes through to PostgreSQL's own folders where that is another one, and sees no names.
    passable = 0o711 if os.geteuid() == 0 else 0o700
    assert stat.S_IMODE(server.data.stat().st_mode) == passable
    assert modes["keys.json"] == 0o600
    assert modes["tls"] == 0o700
    assert modes["tls/ca.key"] == modes["tls/leaf.key"] == 0o600
    assert modes["postgresql"] == passable
    assert modes["postgresql/access.json"] == 0o600
    assert modes["postgresql/log"] == modes["postgresql/run"] == 0o700
    assert stat.S_IMODE((server.data / "postgresql" / "cluster").stat().st_mode) == 0o700


async def test_no_secret_is_in_a_log_or_an_argument(new_server: Callable[[], Server]) -> None:
    server = new_server()
    await server.start("--log-level", "debug")
    secrets = {"the password": PASSWORD, "another password": "not the password"}
    async with signed_up(server, "Ada", "Bob") as (ada, bob), linked(server, ada) as link:
        conversation = (await ada.direct("bob@example.org"))["id"]
        await ada.publish(conversation, ulid.new(), "between the two of us")
        await publish(link, conversation, ulid.new())
        with pytest.raises(ServerRefused, match="wrong"):
            await bob.log_in("ada@example.org", "not the password")
        secrets |= {"access token": await ada.access_token(), "refresh token": ada.refresh_token}
        await ada.resume(ada.refresh_token)
        await bob.log_out()
        assert server.kill_postgres()
        await until(lambda: "postgres.restarted" in server.tail(), server.tail)
        arguments = command_lines(server)
    assert await server.stop() == 0
    keys = json.loads((server.data / "keys.json").read_text())
    access = json.loads((server.data / "postgresql" / "access.json").read_text())
    secrets |= {
        "message": "between the two of us",
        "signing key": keys["signing"][0]["seed"],
        "sealing key": keys["sealing"][0]["key"],
        "ticket key": keys["tickets"][0],
        "cursor key": keys["cursor"],
        "database password": access["password"],
        "superuser password": access["superuser_password"],
    }
    logs = [server.log, server.data / "postgresql" / "start.log", *(server.data / "postgresql" / "log").iterdir()]
    for what, secret in secrets.items():
        assert secret not in arguments, f"{what} in an argument"
        for log in logs:
            assert secret not in log.read_text(errors="replace"), f"{what} in {log}"
    assert "/v1/logins" in server.log.read_text(), "requests are logged"


def command_lines(server: Server) -> str:
    server.remember()
    assert server.process is not None
    lines = []
    for process in [psutil.Process(server.process.pid), *psutil.Process(server.process.pid).children(recursive=True)]:
        lines += process.cmdline()
    assert len(lines) > 10
    return "\n".join(lines)


# --- a full disk ------------------------------------------------------------------------------------------------------


@pytest.fixture
async def small_disk(new_server: Callable[[], Server]) -> AsyncIterator[Server]:
    """A server whose data folder is a file system of its own, of some 200 MB."""
    server = new_server()
    server.data.mkdir()
    options = ["mount", "-t", "tmpfs", "-o", "size=200m,mode=711", "chiron-test", str(server.data)]
    if os.geteuid() != 0 or subprocess.run(options, capture_output=True).returncode != 0:
        pytest.skip("only root may mount the small file system that is to be filled")
    try:
        await server.start()
        yield server
    finally:
        await server.destroy()
        subprocess.run(["umount", str(server.data)], check=True)


async def test_a_full_disk_loses_nothing_that_was_acknowledged(small_disk: Server) -> None:
    await fill_disk_and_free_it(small_disk, room=0)
    assert "could not extend file" in postgres_log(small_disk)


async def test_a_write_ahead_log_without_room_loses_nothing_that_was_acknowledged(small_disk: Server) -> None:
    # Room for rows, and not for another segment of 16 MB: PostgreSQL cannot go on at all.
    await fill_disk_and_free_it(small_disk, room=1 << 20, worsen=exhaust_log)
    assert "PANIC" in postgres_log(small_disk)


async def fill_disk_and_free_it(
    server: Server, *, room: int, worsen: Callable[[Server], Awaitable[None]] | None = None
) -> None:
    async with signed_up(server, "Ada", "Bob") as (ada, bob):
        conversation = (await ada.direct("bob@example.org"))["id"]
        acks: dict[str, Acknowledged] = {}
        refused: list[str] = []
        assert await try_to_publish(ada, conversation, ulid.new(), acks)
        ballast = server.data / "ballast"
        fill(ballast, room)
        if worsen is not None:
            await worsen(server)
        while len(refused) < 5:
            client_id = ulid.new()
            if not await try_to_publish(ada, conversation, client_id, acks):
                refused.append(client_id)
            assert len(acks) < 1_000, "the disk never got full"
        ballast.unlink()

        for client_id in refused:
            again = partial(try_to_publish, ada, conversation, client_id, acks)
            await until(again, lambda: f"the server does not recover\n{server.tail()}")
        await server.until_ready()
        seen: list[Delivery] = []
        while True:
            page = await bob.history(conversation, after=len(seen), limit=500)
            seen += page["items"]
            if not page["more"]:
                break
        assert [item["offset"] for item in seen] == list(range(1, len(acks) + 1))
        assert {item["client_id"]: item["message"] for item in seen} == {
            client_id: ack["message"] for client_id, ack in acks.items()
        }
        assert all(item["body"]["text"] == text(item["client_id"]) for item in seen)
    assert await server.stop() == 0


async def exhaust_log(server: Server) -> None:
    """Fill the write-ahead log's last segment, and those that were made ahead."""
    dsn = running_dsn(server.data)
    assert dsn is not None
    connection = await asyncpg.connect(dsn)
    try:
        with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError, OSError)):
            while True:
                await connection.execute("SELECT pg_logical_emit_message(true, 'test', repeat('x', 1000000))")
    finally:
        connection.terminate()


def postgres_log(server: Server) -> str:
    return "".join(log.read_text(errors="replace") for log in (server.data / "postgresql" / "log").iterdir())


def text(client_id: str) -> str:
    """16 KB that nothing compresses."""
    return base64.b64encode(random.Random(client_id).randbytes(12_000)).decode()


def fill(ballast: Path, room: int) -> None:
    """Leave `room` bytes on the file system of `ballast`."""
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(ballast).free - room)


async def try_to_publish(api: Api, conversation: str, client_id: str, acks: dict[str, Acknowledged]) -> bool:
    try:
        acks[client_id] = await api.publish(conversation, client_id, text(client_id))
    except NotReachable:  # no answer in time: whether it was written is found out by sending it again
        return False
    except ServerRefused as error:
        if not error.temporary:
            raise
        return False
    return True
