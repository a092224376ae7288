"""HTTP/3 of whole servers: who has the UDP port, what is told of it, and the certificate that pages trust by hash."""

from __future__ import annotations

import base64
import contextlib
import errno
import signal
import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from h3_visitor import visit
from serving import Server, servers, until

from chiron.server import embedding, foundation, live
from chiron.server.config import Settings
from chiron.server.doctor import Subject, quic
from chiron.server.edge import certificates, udp
from chiron.server.embedding import serving
from chiron.server.platform.clock import SystemClock


async def told(address: str) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=address, trust_env=False) as http:
        answer = (await http.get("/v1/transports")).json()
    assert isinstance(answer, dict)
    return answer


def trusting(server: Server) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(server.authority))


async def asked(port: int, hashes: list[str]) -> int | None:
    """The status of an answer over HTTP/3 to who trusts these alone; None when none is shown."""
    async with visit(port, server_name="127.0.0.1", hashes=[base64.b64decode(text) for text in hashes]) as visitor:
        if not visitor.connected:
            return None
        visitor.authority = f"127.0.0.1:{port}"
        return (await visitor.get("/livez")).status


async def test_a_server_answers_over_udp_with_the_certificate_that_pages_are_told(server: Server) -> None:
    port = server.secure
    ways = await told(server.address)
    assert ways["webtransport"]["url"] == f"https://127.0.0.1:{port}/v1/realtime"
    assert await asked(port, ways["webtransport"]["hashes"][:1]) == 200
    async with visit(port, verify=True, ca=server.authority.read_bytes()) as visitor:
        assert (await visitor.get("/livez")).status == 200, "who names the server is shown the authority's"
    async with httpx.AsyncClient(verify=trusting(server), trust_env=False) as http:
        answer = await http.get(f"{server.secure_address}/livez")
    assert answer.headers["alt-svc"] == f'h3=":{port}"; ma=86400'
    assert f"and HTTP/3 at      https://localhost:{port}, over UDP" in server.tail()


async def test_the_port_outlives_a_worker_and_a_supervisor(server: Server) -> None:
    """The hashes too: a page needs not ask again."""
    hashes = (await told(server.address))["webtransport"]["hashes"]
    worker = server.worker()
    assert server.kill_worker()
    await until(lambda: server.worker() not in (None, worker), lambda: "there is no other worker")
    await server.until_ready()
    assert await asked(server.secure, hashes) == 200
    await server.kill_supervisor()
    await server.start()
    assert await asked(server.secure, hashes) == 200
    assert await server.stop(signal.SIGTERM) == 0
    with contextlib.closing(udp.bind("127.0.0.1", server.secure)):
        pass  # nobody has it any more


async def test_a_port_that_udp_cannot_have_is_named_with_the_way_around(new_server: Callable[[], Server]) -> None:
    server = new_server()
    with contextlib.closing(udp.bind("127.0.0.1", server.secure)):
        await server.start(wait=False)
        assert await server.ended() == 71
    said = f"Cannot listen on 127.0.0.1, port {server.secure}: over UDP: Address already in use; "
    assert f"{said}`chiron serve --no-quic` does without HTTP/3." in " ".join(server.tail().split())


async def test_without_quic_nobody_is_told_of_it(new_server: Callable[[], Server]) -> None:
    server = new_server()
    await server.start("--no-quic")
    assert (await told(server.address))["webtransport"] is None
    async with httpx.AsyncClient(verify=trusting(server), trust_env=False) as http:
        assert "alt-svc" not in (await http.get(f"{server.secure_address}/livez")).headers
    with contextlib.closing(udp.bind("127.0.0.1", server.secure)):
        pass
    assert not list((server.data / "tls").glob("quic*"))


def test_a_free_port_is_free_for_both(monkeypatch: pytest.MonkeyPatch) -> None:
    bind, tried = udp.bind, list[int]()

    def crowded(host: str, port: int) -> socket.socket:
        tried.append(port)
        if len(tried) < 3:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        return bind(host, port)

    monkeypatch.setattr(udp, "bind", crowded)
    listening, datagrams = foundation._both("127.0.0.1", 0)
    with listening, datagrams:
        assert listening.getsockname() == datagrams.getsockname() == ("127.0.0.1", tried[-1])
    assert len(tried) == 3

    tried.clear()
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    with pytest.raises(OSError, match="over UDP"):
        foundation._both("127.0.0.1", port)
    assert tried == [port], "one that was asked for is not exchanged for another"


async def test_the_certificate_changes_under_a_hash_that_pages_were_told_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    later = timedelta()

    class Moved(SystemClock):
        def now(self) -> datetime:
            return super().now() + later

    monkeypatch.setattr(embedding, "SystemClock", Moved)
    monkeypatch.setattr(live, "LOOK_SECONDS", 0.05)
    async with servers() as make:
        server = make()
        # It is due in an hour.
        used = certificates.HASHED_LIFE - certificates.HASHED_SPARE - timedelta(hours=1)
        certificates.hashed(server.data / "tls", datetime.now(UTC) - used)
        settings = Settings(
            data_dir=server.data, host="127.0.0.1", port=0, plain=f"127.0.0.1:{server.plain}", metrics=None
        )
        async with serving(settings) as inside:
            assert inside.quic
            port = int(inside.secure.rpartition(":")[2])
            before = (await told(server.address))["webtransport"]["hashes"]
            assert await asked(port, before[:1]) == 200
            later = timedelta(hours=2)

            async def changed() -> bool:
                return bool((await told(server.address))["webtransport"]["hashes"] != before)

            await until(changed, lambda: "the certificate was not changed")
            after = (await told(server.address))["webtransport"]["hashes"]
            assert after[0] == before[1]
            assert await asked(port, before) == 200, "a page that asked before comes in"
            assert await asked(port, before[:1]) is None


async def test_doctor_hears_a_server_over_udp(server: Server) -> None:
    settings = Settings(data_dir=server.data, host="127.0.0.1", port=server.secure)
    summary, faults = await quic.reachable(Subject(settings))
    assert f"UDP {server.secure} answers in " in summary
    assert faults == []
