"""What an operator changes on a whole server while people are connected to it."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from commands import Outcome, chiron
from cryptography import x509
from serving import DEADLINE, Server, until
from websockets.asyncio.client import ClientConnection as WebSocket
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from chiron.client import Api
from chiron.server.edge import certificates
from chiron.server.platform import base64url


def say(server: Server, text: str) -> Path:
    """Settings in the data folder's file; its name."""
    server.data.mkdir(mode=0o711, exist_ok=True)
    file = server.data / "chiron.toml"
    file.write_text(text)
    return file


async def reload(server: Server) -> Outcome:
    return await chiron("reload", "--data-dir", str(server.data))


@asynccontextmanager
async def person(server: Server, name: str) -> AsyncIterator[Api]:
    api = Api(server.address)
    await api.register(f"{name.lower()}@example.org", "correct horse battery staple", name)
    try:
        yield api
    finally:
        await api.close()


@asynccontextmanager
async def linked(server: Server, api: Api, trust: Path | None = None) -> AsyncIterator[WebSocket]:
    """A bare link, over TLS when there is somebody to trust."""
    address = (server.secure_address if trust else server.address).replace("http", "ws") + "/v1/realtime"
    context = ssl.create_default_context(cafile=str(trust)) if trust else None
    subprotocols = [Subprotocol("chiron.v1.json")]
    async with connect(address, subprotocols=subprotocols, ssl=context, proxy=None, ping_interval=None) as link:
        await link.send(json.dumps({"op": "connect", "id": 1, "token": await api.access_token()}))
        assert json.loads(await link.recv())["op"] == "welcome"
        yield link


async def lives(link: WebSocket) -> bool:
    """Whether a command is answered."""
    await link.send(json.dumps({"op": "command", "id": 9, "name": "conversation.list"}))
    async with asyncio.timeout(DEADLINE):
        while True:
            frame: dict[str, Any] = json.loads(await link.recv())
            if frame.get("id") == 9:
                return bool(frame["op"] == "ok")


async def shown(server: Server) -> int:
    """Serial number of the certificate that a new handshake is shown."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", server.secure, ssl=context)
    certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    return x509.load_der_x509_certificate(certificate).serial_number


def serial(folder: Path) -> int:
    return x509.load_pem_x509_certificate((folder / "leaf.pem").read_bytes()).serial_number


async def test_new_handshakes_use_a_new_certificate_and_links_live_on(
    new_server: Callable[[], Server], tmp_path: Path
) -> None:
    server = new_server()
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        certificates.development(folder, datetime.now(UTC))
    say(server, f"[tls]\ncertificate = {str(one / 'leaf.pem')!r}\nkey = {str(one / 'leaf.key')!r}\n")
    await server.start()
    worker = server.worker()
    assert await shown(server) == serial(one)
    async with person(server, "Ada") as ada, linked(server, ada, trust=one / "ca.pem") as link:
        for name in ("leaf.pem", "leaf.key"):
            (one / name).write_bytes((other / name).read_bytes())
        outcome = await reload(server)
        assert (outcome.status, outcome.output) == (0, "New TLS handshakes use another certificate.\n"), outcome.said
        assert await shown(server) == serial(other)
        async with linked(server, ada, trust=other / "ca.pem") as another:
            assert await lives(another)
        assert await lives(link)
        assert server.worker() == worker

        # A worker that is started later has it too.
        assert server.kill_worker()
        await until(lambda: server.worker() not in (None, worker), server.tail)
        await server.until_ready()
        assert await shown(server) == serial(other)


async def test_limits_and_log_level_change_at_once_and_the_rest_is_named(new_server: Callable[[], Server]) -> None:
    server = new_server()
    say(server, 'log_level = "warning"\n')
    await server.start()
    async with person(server, "Ada") as ada, linked(server, ada) as link, httpx.AsyncClient() as http:
        assert "/livez" not in server.tail()
        slow = "[limits]\naddress_burst = 8\naddress_per_second = 4\n"
        file = say(server, f'public_url = "https://x.example"\nlog_level = "info"\n{slow}')
        outcome = await reload(server)
        assert (outcome.status, outcome.said) == (0, "")
        assert outcome.output.splitlines() == [
            "Applied: log_level, limits.address_per_second, limits.address_burst.",
            "Restart to apply: public_url.",
        ]
        answers = [(await http.get(f"{server.address}/v1/me")).status_code for _ in range(30)]
        assert answers[0] == 401
        assert 429 in answers
        await server.until_said('"route": "/v1/me"')  # requests are lines of level info

        file.write_text('log_level = "error"\nprot = 1\n[limits]\naddress_burst = "many"\n')
        outcome = await reload(server)
        assert (outcome.status, outcome.output) == (78, "")
        assert outcome.said.splitlines() == [
            "chiron: 2 settings are wrong:",
            f"  {file}:2: prot: there is no such setting; did you mean port?",
            f"  {file}:4: limits.address_burst: 'many' is not a number above 0",
        ]
        assert 429 in [(await http.get(f"{server.address}/v1/me")).status_code for _ in range(30)], "the old ones stay"

        file.unlink()
        assert (await reload(server)).output == "Applied: limits.address_per_second, limits.address_burst.\n"
        assert {(await http.get(f"{server.address}/v1/me")).status_code for _ in range(30)} == {401}
        assert (await reload(server)).output == "Nothing has changed.\n"
        assert await lives(link)


async def test_a_worker_that_follows_too_late_goes_back_to_what_holds(new_server: Callable[[], Server]) -> None:
    server = new_server()
    say(server, 'log_level = "warning"\n')
    await server.start()
    worker = server.worker()
    assert worker is not None
    os.kill(worker, signal.SIGSTOP)
    try:
        say(server, 'log_level = "info"\n')
        outcome = await reload(server)
    finally:
        os.kill(worker, signal.SIGCONT)
    assert outcome.status == 70
    assert outcome.said == "chiron: The server goes on as before: the worker does not answer.\n"
    await server.until_said("worker.reloaded")  # late, and then once more
    say(server, 'log_level = "warning"\n')
    assert (await reload(server)).output == "Nothing has changed.\n"
    async with httpx.AsyncClient() as http:
        assert (await http.get(f"{server.address}/v1/me")).status_code == 401
    assert "/v1/me" not in server.tail(), "requests are lines of level info"
    assert '"reloaded"' not in server.tail(), "as are the supervisor's reloads"


async def test_a_hang_up_without_a_terminal_reloads(new_server: Callable[[], Server]) -> None:
    server = new_server()
    say(server, 'log_level = "warning"\n')
    await server.start()
    assert server.process is not None
    async with person(server, "Ada") as ada, linked(server, ada) as link:
        say(server, 'log_level = "info"\npublic_url = "https://x.example"\n')
        server.process.send_signal(signal.SIGHUP)
        await server.until_said("Reloaded: log_level changed")
        await server.until_said("Restart to apply: public_url")
        file = say(server, "prot = 1\n")
        server.process.send_signal(signal.SIGHUP)
        await server.until_said(f"Reload refused, going on as before: {file}:1: prot: there is no such setting")
        assert await lives(link)


AT_A_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Takes standard input as the controlling terminal of its session, and becomes the command."""


async def test_a_terminal_that_is_closed_stops_the_server(new_server: Callable[[], Server]) -> None:
    server = new_server()
    ours, theirs = pty.openpty()
    with server.log.open("ab") as log:
        server.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", AT_A_TERMINAL, *server.command()),
            stdin=theirs,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    os.close(theirs)
    await server.until_ready()
    os.close(ours)
    async with asyncio.timeout(30):
        assert await server.ended() == 0, server.tail()
    assert server.postmaster() is None


async def test_a_rotation_signs_nobody_out(new_server: Callable[[], Server]) -> None:
    server = new_server()
    await server.start()
    async with person(server, "Ada") as ada, linked(server, ada) as link, httpx.AsyncClient() as http:
        token, refresh_token = await ada.access_token(), ada.refresh_token
        for key, told in (("signing", "signed with a new key"), ("sealing", "sealed with a new key")):
            outcome = await chiron("rotate", key, "--data-dir", str(server.data))
            assert outcome.status == 0, outcome.said
            assert told in outcome.output
        stored = json.loads((server.data / "keys.json").read_text())
        published = [key["kid"] for key in (await http.get(f"{server.address}/.well-known/jwks.json")).json()["keys"]]
        assert published == [key["kid"] for key in stored["signing"]]
        assert len(published) == 2
        assert [key["id"] for key in stored["sealing"]] == [2, 1]
        assert kid(token) == published[1]

        async def carries_on(refresh_token: str) -> str:
            """The old token is accepted, and the login, whose secret the old key sealed, gets one of the new key."""
            headers = {"authorization": f"Bearer {token}"}
            assert (await http.get(f"{server.address}/v1/me", headers=headers)).json()["name"] == "Ada"
            renewed = await http.post(f"{server.address}/v1/logins/refresh", json={"refresh_token": refresh_token})
            assert renewed.status_code == 200, renewed.text
            assert kid(renewed.json()["access_token"]) == published[0]
            successor: str = renewed.json()["refresh_token"]
            return successor

        refresh_token = await carries_on(refresh_token)
        assert await lives(link)
        worker = server.worker()
        assert server.kill_worker()
        await until(lambda: server.worker() not in (None, worker), server.tail)
        await server.until_ready()
        await carries_on(refresh_token)


def kid(token: str) -> str:
    found: str = json.loads(base64url.decode(token.split(".")[0]))["kid"]
    return found


async def test_commands_to_a_server_that_is_not_there_are_69(tmp_path: Path) -> None:
    for command in (["reload"], ["rotate"], ["rotate", "tickets"]):
        outcome = await chiron(*command, "--data-dir", str(tmp_path))
        assert outcome.status == 69
        assert f"No server runs on {tmp_path}" in outcome.said


async def test_only_one_reload_is_needed_when_many_ask(new_server: Callable[[], Server]) -> None:
    server = new_server()
    await server.start()
    say(server, "[limits]\nperson_burst = 7\n")
    outcomes = await asyncio.gather(*(reload(server) for _ in range(4)))
    assert sorted(outcome.output for outcome in outcomes) == [
        "Applied: limits.person_burst.\n",
        *["Nothing has changed.\n"] * 3,
    ]
