"""`chiron fetch`, as a person or a script runs it, against servers that the test plays."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from commands import Outcome, chiron, nobody
from quic_path import pair
from scripted import Asked as AskedOverTcp
from scripted import Rest
from scripted_h3 import Asked, H3Server
from typer.testing import CliRunner

from chiron.server.cli import app


@pytest.fixture
async def server() -> AsyncIterator[H3Server]:
    server = H3Server()
    server.answer = hello
    await server.open()
    yield server
    await server.close()


@pytest.fixture
async def rest() -> AsyncIterator[Rest]:
    served = Rest("")

    async def answer(_: AskedOverTcp) -> tuple[int, object, dict[str, str]]:
        return 200, {"hello": "you"}, {"content-type": "application/json"}

    served.answer = answer
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    served.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield served
    server.close()
    await server.wait_closed()


async def hello(asked: Asked) -> None:
    async with asked.changed:
        await asked.changed.wait_for(lambda: asked.ended)
    told = {"method": asked.method, "body": asked.body.decode(), "kind": asked.headers.get("content-type")}
    asked.respond(200, [("content-type", "application/json")], json.dumps(told).encode())


async def fetch(server: H3Server, *options: str, path: str = "/", pinned: bool = True) -> Outcome:
    pins = ("--pin", server.certificate.hash.hex()) if pinned else ()
    return await chiron("fetch", f"https://127.0.0.1:{server.port}{path}", *pins, *options)


# --- what is shown --------------------------------------------------------------------------------------------------


async def test_the_body_goes_to_standard_output_and_all_else_to_standard_error(server: H3Server) -> None:
    outcome = await fetch(server, path="/a?b=c")
    assert outcome.status == 0
    assert json.loads(outcome.output) == {"method": "GET", "body": "", "kind": None}
    first, *fields, timings = outcome.said.splitlines()
    assert first == f"HTTP/3 200, by UDP port {server.port} of 127.0.0.1"
    assert "content-type: application/json" in fields
    number = r"\d+\.\d ms"
    assert re.fullmatch(
        rf"resolve {number}, connect {number}, first byte {number}, body {number}, total {number}; "
        rf"{len(outcome.output)} bytes",
        timings,
    )
    assert server.asked[0].target == "/a?b=c"


async def test_nobodys_header_field_acts_on_the_terminal(server: H3Server) -> None:
    async def colour(asked: Asked) -> None:
        asked.respond(200, [("x-colour", "\x9b31mred")])

    server.answer = colour
    outcome = await fetch(server)
    assert "\x9b" not in outcome.said
    assert "x-colour: �31mred" in outcome.said


async def test_include_puts_the_head_before_the_body(server: H3Server) -> None:
    outcome = await fetch(server, "--include")
    head, _, body = outcome.output.partition("\r\n\r\n")
    assert head.splitlines()[0] == "HTTP/3 200"
    assert "content-type: application/json" in head.splitlines()
    assert json.loads(body)["method"] == "GET"
    assert "content-type" not in outcome.said


async def test_the_body_can_go_to_a_file(server: H3Server, tmp_path: Path) -> None:
    outcome = await fetch(server, "-o", str(tmp_path / "body"))
    assert outcome.output == ""
    assert json.loads((tmp_path / "body").read_text())["method"] == "GET"


async def test_a_file_that_cannot_be_written_is_73(server: H3Server, tmp_path: Path) -> None:
    outcome = await fetch(server, "-o", str(tmp_path / "none" / "body"))
    assert outcome.status == 73
    assert "cannot be written" in outcome.said


async def test_a_status_that_says_no_is_1(server: H3Server) -> None:
    async def refuse(asked: Asked) -> None:
        asked.respond(404, [], b"no")

    server.answer = refuse
    outcome = await fetch(server)
    assert (outcome.status, outcome.output) == (1, "no")
    assert outcome.said.startswith("HTTP/3 404")


# --- what is asked --------------------------------------------------------------------------------------------------


async def test_method_fields_and_body(server: H3Server) -> None:
    outcome = await fetch(server, "-X", "put", "-H", "X-One: 1", "-H", "x-two:2", "-d", '{"a": 1}')
    assert json.loads(outcome.output) == {"method": "PUT", "body": '{"a": 1}', "kind": "application/json"}
    (asked,) = server.asked
    assert (asked.headers["x-one"], asked.headers["x-two"], asked.headers["content-length"]) == ("1", "2", "8")


async def test_a_body_from_a_file_is_posted(server: H3Server, tmp_path: Path) -> None:
    (tmp_path / "body").write_text("plain")
    outcome = await fetch(server, "-d", f"@{tmp_path / 'body'}")
    assert json.loads(outcome.output) == {"method": "POST", "body": "plain", "kind": "application/octet-stream"}


async def test_http_1_1_over_tcp(rest: Rest) -> None:
    outcome = await chiron("fetch", f"{rest.address}/a?b=c", "-H", "authorization: Bearer me", "-d", "[]")
    assert json.loads(outcome.output) == {"hello": "you"}
    assert outcome.said.startswith("HTTP/1.1 200, by TCP port ")
    assert "first byte" in outcome.said
    assert rest.asked == [AskedOverTcp("POST", "/a?b=c", "me", [])]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["ftp://example.org"], "is no address that can be fetched"),
        (["https://ada:secret@example.org"], "is no address that can be fetched"),
        (["https://"], "is no address"),
        (["https://example.org", "-H", "no colon"], "is no header field"),
        (["https://example.org", "-H", "a:b\nc:d"], "is no header field"),
        (["https://example.org", "-d", "@/no/such/file"], "cannot be read"),
        (["https://example.org", "--pin", "1234"], "is not the SHA-256 of a certificate"),
        (["https://example.org", "--insecure", "--pin", "00" * 32], "of no use"),
        (["http://example.org", "--http", "3"], "HTTP/3 needs an address that begins with https"),
        (["https://example.org", "--http", "2"], "2"),
    ],
)
def test_what_cannot_be_asked_is_2_and_says_why(arguments: list[str], says: str) -> None:
    outcome = CliRunner().invoke(app, ["fetch", *arguments])
    assert outcome.exit_code == 2
    assert says in " ".join(re.sub(r"[│╭╮╰╯─]", " ", outcome.output).split())


# --- who answers ----------------------------------------------------------------------------------------------------


async def test_a_certificate_that_is_not_trusted_is_76(server: H3Server) -> None:
    outcome = await fetch(server, "--http", "3", pinned=False)
    assert outcome.status == 76
    assert "certificate" in outcome.said
    assert "--ca FILE names its authority" in outcome.said
    assert server.asked == []


async def test_another_than_the_pinned_certificate_is_76(server: H3Server) -> None:
    outcome = await fetch(server, "--http", "3", "--pin", pair("localhost").hash.hex(), pinned=False)
    assert outcome.status == 76
    assert server.asked == []


async def test_an_authority_of_ones_own_and_believing_anybody(server: H3Server, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(server.certificate.chain)
    for options in (("--ca", str(tmp_path / "ca.pem")), ("--insecure",)):
        assert (await fetch(server, "--http", "3", *options, pinned=False)).status == 0


async def test_where_nobody_listens_is_69_and_says_at_which_port(server: H3Server) -> None:
    await server.close()
    outcome = await fetch(server, "--http", "3")
    assert outcome.status == 69
    assert f"nothing listens at UDP port {server.port} of 127.0.0.1" in outcome.said
    outcome = await chiron("fetch", nobody(), "--http", "1.1")
    assert outcome.status == 69
    assert "nothing listens at TCP port" in outcome.said


async def test_without_http3_it_is_http_1_1_and_says_why() -> None:
    outcome = await chiron("fetch", nobody().replace("http:", "https:"))
    assert outcome.status == 69
    assert "no HTTP/3: nothing listens at UDP port" in outcome.said
    assert "nothing listens at TCP port" in outcome.said


async def test_a_server_that_swallows_datagrams_is_left_for_tcp_after_a_second(rest: Rest) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        outcome = await chiron("fetch", f"https://127.0.0.1:{silent.getsockname()[1]}")
    assert "no HTTP/3: nothing answers at UDP port" in outcome.said
    assert "within 1 s" in outcome.said


async def test_a_name_without_an_address_is_69() -> None:
    outcome = await chiron("fetch", "https://nobody.invalid")
    assert outcome.status == 69
    assert "there is no address for nobody.invalid" in outcome.said
