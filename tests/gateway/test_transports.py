"""What pages and others are told of QUIC, by where they come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from chiron.server.config import Settings
from chiron.server.gateway import Pages
from chiron.server.gateway.transports import Transports
from chiron.server.ports import Request, Scheme

HASHES = ["now", "next"]


def request(host: str | None, scheme: Scheme = "http", version: str = "1.1") -> Request:
    return Request("GET", "/", [] if host is None else [("host", host)], b"", "192.0.2.1", scheme, version)


@pytest.mark.parametrize(
    ("bound", "host", "origin"),
    [
        ("", "127.0.0.1:8080", "https://127.0.0.1:8443"),
        ("", "localhost:8080", "https://127.0.0.1:8443"),
        ("", "LOCALHOST", "https://127.0.0.1:8443"),
        ("", "[::1]:8443", "https://[::1]:8443"),
        ("", "192.0.2.7:8443", "https://192.0.2.7:8443"),
        ("127.0.0.1", "[::1]:8080", "https://127.0.0.1:8443"),
        ("localhost", "127.0.0.1:8080", "https://127.0.0.1:8443"),
        ("::1", "localhost:8080", "https://[::1]:8443"),
        ("192.0.2.7", "192.0.2.7:8443", "https://192.0.2.7:8443"),
        # UDP is not bound where this page is.
        ("192.0.2.7", "127.0.0.1:8080", None),
        ("127.0.0.1", "192.0.2.7:8080", None),
        # Who names a server is not shown the certificate that the hashes are of.
        ("", "mentors.test:8443", None),
        ("", "127.0.0.1; script-src *", None),
        ("", None, None),
    ],
)
def test_a_development_certificate_is_met_at_an_ip_address(bound: str, host: str | None, origin: str | None) -> None:
    transports = Transports(Settings(host=bound), 8443, HASHES)
    assert transports.origin(request(host)) == origin
    assert transports.connections(request(host)) == ([] if origin is None else [origin])


@pytest.mark.parametrize(
    ("public_url", "port", "host", "scheme", "origin"),
    [
        ("https://mentors.test", 8443, "whatever", "https", "https://mentors.test:8443"),
        ("https://mentors.test:8443", 8443, "localhost:8080", "http", "https://mentors.test:8443"),
        ("https://mentors.test", 443, "whatever", "https", "https://mentors.test"),
        (None, 8443, "mentors.test:8443", "https", "https://mentors.test:8443"),
        (None, 443, "mentors.test", "https", "https://mentors.test"),
        # The session would be of another origin than the page, which nobody said is ours.
        (None, 8443, "mentors.test", "https", None),
        (None, 8443, "127.0.0.1:8080", "http", None),
        (None, 8443, "mentors.test:8443; *", "https", None),
    ],
)
def test_the_operators_certificate_is_met_under_its_name(
    public_url: str | None, port: int, host: str, scheme: Scheme, origin: str | None
) -> None:
    transports = Transports(Settings(public_url=public_url), port, [])
    assert transports.origin(request(host, scheme)) == origin


@pytest.mark.parametrize(
    ("public_port", "port", "scheme", "version", "told"),
    [
        (None, 8443, "https", "1.1", True),
        (None, 8443, "http", "1.1", False),
        (None, 8443, "https", "3", False),
        (443, 443, "http", "1.1", True),
        (443, 443, "http", "3", False),
        (None, 0, "https", "1.1", False),
    ],
)
def test_rfc7838_3_alternative_service_is_told_over_tls_or_with_a_public_port(
    public_port: int | None, port: int, scheme: Scheme, version: str, told: bool
) -> None:
    transports = Transports(Settings(public_port=public_port, quic=True), port, HASHES)
    fields = transports.alternatives(request("mentors.test", scheme, version))
    assert fields == ([("alt-svc", f'h3=":{port}"; ma=86400')] if told else [])


async def test_a_page_learns_where_to_connect_and_may(house: Any, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<!doctype html>")
    transports = Transports(Settings(), 8443, HASHES)
    pages = Pages(tmp_path, connections=transports.connections)
    built = house(transports.routes(), pages=pages, alternatives=transports.alternatives)
    answer = await built.ask("GET", "/v1/transports", headers={"host": "localhost:8080"})
    assert answer.json == {
        "webtransport": {"url": "https://127.0.0.1:8443/v1/realtime", "hashes": HASHES},
        "websocket": {"url": "/v1/realtime"},
    }
    assert answer.headers["alt-svc"] == 'h3=":8443"; ma=86400'
    assert (await built.ask("GET", "/nothing")).headers["alt-svc"] == 'h3=":8443"; ma=86400'
    page = await built.ask("GET", "/", headers={"host": "localhost:8080"})
    assert "connect-src 'self' https://127.0.0.1:8443;" in page.headers["content-security-policy"]
    transports.hashes = ["next", "later"]
    answer = await built.ask("GET", "/v1/transports", headers={"host": "localhost:8080"})
    assert answer.json["webtransport"]["hashes"] == ["next", "later"]


async def test_without_quic_there_is_only_the_websocket(house: Any, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<!doctype html>")
    transports = Transports(Settings(), 0, [])
    pages = Pages(tmp_path, connections=transports.connections)
    built = house(transports.routes(), pages=pages, alternatives=transports.alternatives)
    answer = await built.ask("GET", "/v1/transports")
    assert msgspec.json.decode(answer.body) == {"webtransport": None, "websocket": {"url": "/v1/realtime"}}
    assert "alt-svc" not in answer.headers
    page = await built.ask("GET", "/")
    assert "connect-src 'self';" in page.headers["content-security-policy"]
