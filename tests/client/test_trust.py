"""Whom a client believes, over TLS on TCP."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from quic_path import Pair, pair

from chiron.client import Api, NotTrusted
from chiron.client.trust import Trust, distrust, pin

DIGEST = bytes(range(32))


@pytest.mark.parametrize(
    "text",
    [
        base64.b64encode(DIGEST).decode(),
        base64.b64encode(DIGEST).decode().rstrip("="),
        base64.urlsafe_b64encode(DIGEST).decode(),
        f"sha256/{base64.b64encode(DIGEST).decode()}",
        f"sha256-{base64.b64encode(DIGEST).decode()}",
        DIGEST.hex(),
        DIGEST.hex(":").upper(),
        f" {DIGEST.hex()}\n",
    ],
)
def test_a_pin_is_written_as_other_programs_print_it(text: str) -> None:
    assert pin(text) == DIGEST


@pytest.mark.parametrize("text", ["", "abc", DIGEST[:31].hex(), base64.b64encode(DIGEST * 2).decode(), "ü"])
def test_what_is_no_digest_is_no_pin(text: str) -> None:
    with pytest.raises(ValueError, match="is not the SHA-256 of a certificate"):
        pin(text)


def test_a_file_without_a_certificate_is_no_authority(tmp_path: Path) -> None:
    for content in (b"nothing", b"", b"\xff"):
        (tmp_path / "ca.pem").write_bytes(content)
        with pytest.raises(ValueError, match="holds no PEM certificate"):
            Trust.of(tmp_path / "ca.pem")


def test_a_reason_is_found_behind_other_errors() -> None:
    error = httpx.ConnectError("no")
    error.__cause__ = OSError("no")
    assert distrust(error) is None
    error.__cause__.__cause__ = NotTrusted("somewhere", "because")
    assert distrust(error) == "because"


# --- a server -------------------------------------------------------------------------------------------------------


class Served:
    def __init__(self, shown: Pair, folder: Path) -> None:
        self.asked = 0
        self.port = 0
        self.authority = folder / "shown.pem"
        self.authority.write_bytes(shown.chain)
        key = folder / "shown.key"
        key.write_bytes(shown.key)
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(self.authority, key)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if await reader.readuntil(b"\r\n\r\n"):
                self.asked += 1
                writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 11\r\nconnection: close\r\n\r\n{"keys":[]}')
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # it did not believe us
        writer.close()


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    served = Served(pair("127.0.0.1"), tmp_path)
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0, ssl=served.context)
    served.port = server.sockets[0].getsockname()[1]
    yield served
    server.close()
    await server.wait_closed()


async def ask(port: int, **trust: object) -> None:
    api = Api(f"https://127.0.0.1:{port}", **trust)  # type: ignore[arg-type]
    try:
        assert await api.jwks() == {"keys": []}
    finally:
        await api.close()


async def test_an_authority_of_ones_own_is_trusted(served: Served) -> None:
    await ask(served.port, ca=served.authority)


async def test_an_unknown_authority_is_not(served: Served) -> None:
    with pytest.raises(NotTrusted, match=r"the certificate of https://127\.0\.0\.1:\d+ is not trusted: self-signed"):
        await ask(served.port)
    assert served.asked == 0


async def test_a_pinned_certificate_needs_no_authority(served: Served) -> None:
    await ask(served.port, pins=["00" * 32, pair("127.0.0.1").hash.hex()])


async def test_another_than_the_pinned_certificate_hears_nothing(served: Served) -> None:
    with pytest.raises(NotTrusted, match="not one of those pinned"):
        await ask(served.port, ca=served.authority, pins=[hashlib.sha256(b"another").hexdigest()])
    assert served.asked == 0
