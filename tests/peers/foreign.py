"""Clients that were written by others, and what each of them does with a whole server.

Each case here is a test (tests/conformance/test_foreign_clients.py), and `docs/foreign-clients.md` lists what passes
there: it is made of the same declarations, by running this file.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import curl_cffi
from aioquic_client import opened
from authority import issue
from serving import DEADLINE, Server, servers
from websockets.asyncio.client import connect as connect_websocket
from websockets.typing import Subprotocol

from chiron.client import Api

PASSWORD = "mentors of mentors"
GO_SOURCES = Path(__file__).parents[1] / "conformance" / "foreign"
LARGE = "/openapi.json"
"""Some hundred kilobytes: more than the first window of any of them."""


@dataclass(frozen=True, slots=True)
class Place:
    """A server that runs, who issued its certificate, where to keep files, and the access token of somebody."""

    server: Server
    authority: Path
    folder: Path
    token: str

    def url(self, path: str) -> str:
        return f"{self.server.secure_address}{path}"

    @property
    def realtime(self) -> str:
        return self.url("/v1/realtime")

    @property
    def connect_frame(self) -> str:
        return json.dumps({"op": "connect", "id": 1, "token": self.token, "device": "foreign"})


@dataclass(frozen=True, slots=True)
class Case:
    """`needs` is a program without which the case cannot run."""

    client: str
    made_of: str
    protocol: str
    does: str
    run: Callable[[Place], Awaitable[None]]
    needs: str = ""

    @property
    def name(self) -> str:
        return f"{self.client}: {self.does}".replace(" ", "-")


# --- curl ------------------------------------------------------------------------------------------------------------


async def curl_http1(place: Place) -> None:
    said = await _run("curl", "-sS", "--cacert", str(place.authority), "-i", place.url("/readyz"))
    assert said.startswith("HTTP/1.1 200 "), said


async def curl_requests(place: Place) -> None:
    """One connection: a small answer, a large one, a refusal, and a body."""

    def ask() -> None:
        options: dict[str, Any] = {"http_version": "v3only", "verify": str(place.authority), "timeout": DEADLINE}
        with curl_cffi.Session[Any](**options) as curl:
            found = curl.get(place.url("/v1/conversations"), headers={"authorization": f"Bearer {place.token}"})
            assert (found.http_version, found.status_code) == (HTTP3, 200), found.text
            large = curl.get(place.url(LARGE))
            assert (large.http_version, large.status_code) == (HTTP3, 200)
            assert large.json()["openapi"].startswith("3.1")
            refused = curl.get(place.url("/v1/conversations"))
            assert (refused.http_version, refused.status_code) == (HTTP3, 401)
            assert refused.headers["content-type"] == "application/problem+json"
            made = curl.post(
                place.url("/v1/conversations"),
                headers={"authorization": f"Bearer {place.token}", "idempotency-key": "by-curl"},
                json={"kind": "group", "title": "Made by curl", "people": []},
            )
            assert (made.http_version, made.status_code) == (HTTP3, 201), made.text

    await asyncio.to_thread(ask)


HTTP3 = 30
"""CURL_HTTP_VERSION_3, as libcurl reports it."""

# --- aioquic ---------------------------------------------------------------------------------------------------------


async def aioquic_get(place: Place) -> None:
    authority = urlsplit(place.server.secure_address).netloc
    async with opened(place.server.secure, authority, place.authority) as client:
        answer = await client.get(LARGE)
        assert answer.status == 200
        assert json.loads(answer.body)["openapi"].startswith("3.1")


# --- ngtcp2 with GnuTLS ----------------------------------------------------------------------------------------------


async def gtlsclient_get(place: Place) -> None:
    download = place.folder / "gtlsclient"
    download.mkdir()
    await _run(
        "gtlsclient",
        "--quiet",
        "--exit-on-all-streams-close",
        f"--download={download}",
        "localhost",
        str(place.server.secure),
        place.url(LARGE),
    )
    (found,) = download.iterdir()
    assert json.loads(found.read_bytes())["openapi"].startswith("3.1")


# --- Go --------------------------------------------------------------------------------------------------------------


async def go_get(place: Place) -> None:
    said = await _run(await _go(), "get", place.url("/readyz"), str(place.authority))
    assert said.startswith("HTTP/3.0 200\n"), said


async def go_link(place: Place) -> None:
    program = await _go()
    async with asyncio.timeout(DEADLINE):
        peer = await asyncio.create_subprocess_exec(
            program,
            "link",
            place.realtime,
            str(place.authority),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert peer.stdin is not None
        assert peer.stdout is not None
        peer.stdin.write(place.connect_frame.encode() + b"\n")
        welcome = json.loads(await peer.stdout.readline())
        assert (welcome["op"], welcome["id"]) == ("welcome", 1)
        peer.stdin.close()
        assert await peer.wait() == 0


async def _go() -> str:
    """The client, built once for all."""
    program = Path(__file__).parents[2] / "target" / "foreign-client"
    async with _building:
        await _run("go", "build", "-o", str(program), ".", cwd=GO_SOURCES)
    return str(program)


_building = asyncio.Lock()

# --- websockets ------------------------------------------------------------------------------------------------------


async def websockets_link(place: Place) -> None:
    """It offers permessage-deflate, as most do, and goes without."""
    trusting = ssl.create_default_context(cafile=place.authority)
    address = place.realtime.replace("https", "wss")
    async with connect_websocket(
        address, ssl=trusting, subprotocols=[Subprotocol("chiron.v1.json")], compression="deflate"
    ) as socket:
        assert socket.protocol.extensions == []
        await socket.send(place.connect_frame, text=True)
        welcome = json.loads(await socket.recv())
        assert (welcome["op"], welcome["id"]) == ("welcome", 1)


# --- all of them -----------------------------------------------------------------------------------------------------

CASES = (
    Case("curl", "the system's curl", "HTTP/1.1", "GET over TLS", curl_http1, "curl"),
    Case(
        "curl_cffi", "libcurl, ngtcp2, nghttp3, BoringSSL", "HTTP/3", "GET, POST, errors, a large answer", curl_requests
    ),
    Case("aioquic", "aioquic's own client", "HTTP/3", "GET of a large answer", aioquic_get),
    Case("gtlsclient", "ngtcp2, nghttp3, GnuTLS", "HTTP/3", "GET of a large answer", gtlsclient_get, "gtlsclient"),
    Case("quic-go", "quic-go, Go's TLS", "HTTP/3", "GET", go_get, "go"),
    Case("webtransport-go", "quic-go, Go's TLS", "WebTransport", "opens a link, is welcomed", go_link, "go"),
    Case("websockets", "websockets, OpenSSL", "WebSocket", "opens a link, offering compression", websockets_link),
)


@asynccontextmanager
async def place(folder: Path) -> AsyncIterator[Place]:
    """A server with an operator's certificate, where somebody has registered."""
    issued = issue(folder)
    async with servers() as make:
        server = make()
        server.settings |= issued.settings
        await server.start()
        api = Api(server.secure_address, ca=issued.authority)
        try:
            await api.register("foreign@example.org", PASSWORD, "Foreign")
            yield Place(server, issued.authority, folder, await api.access_token())
        finally:
            await api.close()


async def _run(*command: str, cwd: Path | None = None) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(3 * DEADLINE):
        said, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode(errors="replace")
    return said.decode(errors="replace")


def is_here(case: Case) -> bool:
    return not case.needs or shutil.which(case.needs) is not None


def page() -> str:
    """`docs/foreign-clients.md`."""
    rows = [f"| {case.client} | {case.made_of} | {case.protocol} | {case.does} |" for case in CASES]
    return _PAGE.format(rows="\n".join(rows))


_PAGE = """\
# Clients of others

What programs that share no code with Chiron do with a running server. Each row is a test that passes with every
change: `pytest tests/conformance/test_foreign_clients.py`. (Chromium is in `tests/e2e`.)

| client | made of | protocol | what it does |
|---|---|---|---|
{rows}

The page is made of `tests/peers/foreign.py` by `make docs`.
"""

if __name__ == "__main__":
    print(page(), end="")
