"""What is for this machine alone: kept mail and metrics, asked from everywhere and by every way round."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import access
import httpx
import pytest
from cast import Findings, rows, word
from community import Address, Community, essence
from database import MigratedDatabase
from serving import until

from chiron.protocols.proxy.frames import SIGNATURE
from chiron.server.config import MailSettings

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
ELSEWHERE: list[dict[str, str]] = [
    {"host": "mentors.example.org"},
    {"host": "127.0.0.1.example.org"},
    {"host": "localhost.example.org:8080"},
    {"host": ""},
    {"forwarded": "for=127.0.0.1"},
    {"x-forwarded-for": "127.0.0.1"},
    {"x-forwarded-host": "localhost"},
    {"x-real-ip": "127.0.0.1"},
    {"via": "1.1 proxy"},
    {"cf-connecting-ip": "127.0.0.1"},
    {"origin": "https://elsewhere.example"},
    {"origin": "null"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
]
"""Header fields of requests that nobody on this machine made on purpose."""


@pytest.fixture
async def community(database: MigratedDatabase) -> Community:
    return await Community.found(database)


async def with_a_mail(address: Address) -> str:
    """The id of a mail that is kept."""
    account = {"email": "ada@example.org", "password": "a heron over the reeds", "name": "Ada"}
    assert (await address.http.post("/v1/people", json=account)).status_code == 201
    found: list[str] = []

    async def arrived() -> bool:
        found.extend(mail["id"] for mail in (await address.http.get("/mail.json")).json()["items"])
        return bool(found)

    await until(arrived, lambda: "no mail was kept")
    return found[0]


async def test_kept_mail_is_shown_on_this_machine_and_nowhere_else(community: Community, tmp_path: Path) -> None:
    findings = Findings()
    async with community.serve(tmp_path, mail=MailSettings(page="on")) as address:
        mail = await with_a_mail(address)
        for row in rows(access.MAIL_PAGE):
            path = row.operation.partition(" ")[2].format(mail=mail)
            answer = await address.http.get(path)
            findings.check(word(answer) == row.expected("on this machine"), path, answer.text[:100])
            for headers in ELSEWHERE:
                for method in METHODS:
                    # An address that never was, of the same shape: the two answers are the same, limits and all.
                    there = await address.http.request(method, path, headers=headers)
                    nowhere = await address.http.request(method, path.replace("mail", "male", 1), headers=headers)
                    findings.check(essence(there) == essence(nowhere), f"{method} {path} {headers}", there.text)
                    if method == "GET":
                        findings.check(word(there) == row.expected("elsewhere"), f"{path} {headers}", there.text)
            raw = await said(address.port, f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            findings.check(b" 404 " in raw.partition(b"\r\n")[0], f"{path} by HTTP/1.0", raw[:100])
    findings.report(least=400)


@pytest.mark.parametrize(
    "settings",
    [
        {"mail": MailSettings(page="off")},
        {"mail": MailSettings(smtp="smtp://127.0.0.1:9")},
        {"public_url": "https://mentors.example.org"},
        {"trusted_proxies": ("10.0.0.0/8",)},
    ],
    ids=["off", "smtp", "public", "proxies"],
)
async def test_where_kept_mail_is_not_shown_it_is_not_there(
    community: Community, tmp_path: Path, settings: dict[str, Any]
) -> None:
    async with community.serve(tmp_path, **settings) as address:
        for row in rows(access.MAIL_PAGE):
            path = row.operation.partition(" ")[2].format(mail="0193a1b2-0000-7000-8000-000000000000")
            for method in METHODS:
                there = await address.http.request(method, path)
                assert essence(there) == essence(await address.http.request(method, path.replace("mail", "male", 1)))
                assert there.status_code == 404


async def test_who_comes_through_a_proxy_of_ours_is_not_on_this_machine(community: Community, tmp_path: Path) -> None:
    async with community.serve(
        tmp_path, mail=MailSettings(page="on"), proxy_protocol=True, trusted_proxies=("127.0.0.0/8",)
    ) as address:
        request = b"GET /mail HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        # PROXY protocol v2 §2.2: TCP over IPv4 from 192.0.2.7, and LOCAL, which is the proxy itself.
        client = SIGNATURE + b"\x21\x11\x00\x0c" + bytes([192, 0, 2, 7, 127, 0, 0, 1]) + b"\x12\x34\x1f\x90"
        itself = SIGNATURE + b"\x20\x00\x00\x00"
        assert b" 404 " in (await said(address.port, client + request)).partition(b"\r\n")[0]
        assert b" 200 " in (await said(address.port, itself + request)).partition(b"\r\n")[0]


async def test_metrics_are_told_at_their_own_listener_by_a_loopback_name_alone(
    community: Community, tmp_path: Path
) -> None:
    async with (
        community.serve(tmp_path) as address,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{address.metrics}", trust_env=False) as watch,
    ):
        for headers in ({}, {"host": "localhost:9464"}, {"host": "[::1]"}):
            assert (await watch.get("/metrics", headers=headers)).status_code == 200
        for headers in ({"host": "mentors.example.org"}, {"host": "127.0.0.1.example.org"}, {"host": ""}):
            answer = await watch.get("/metrics", headers=headers)
            assert answer.status_code == 404
            assert "chiron_" not in answer.text
        for path in ("/v1/me", "/", "/readyz", "/openapi.json", "/mail", "/v1/realtime", "/metrics/"):
            assert (await watch.get(path)).status_code == 404
        for method in METHODS:
            there = await address.http.request(method, "/metrics")
            assert essence(there) == essence(await address.http.request(method, "/matrics"))
            assert there.status_code == 404


async def said(port: int, data: bytes) -> bytes:
    """All that a server says to these bytes until it closes."""
    async with asyncio.timeout(30.0):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(data)
        answer = await reader.read()
        writer.close()
        return answer
