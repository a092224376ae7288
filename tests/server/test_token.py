"""`chiron token`: a token for scripts, and what a token says."""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import httpx
import msgspec
import pytest
from commands import chiron, nobody
from serving import Server, servers

from chiron._core import Signer
from chiron.client import Api
from chiron.server.platform import base64url, keys

EMAIL, PASSWORD = "ada@example.org", "correct horse battery staple"


@pytest.fixture(scope="module")
async def open_server() -> AsyncIterator[Server]:
    async with servers() as make:
        server = make()
        await server.start("--set", "identity.verification=off")
        api = Api(server.address)
        await api.register(EMAIL, PASSWORD, "Ada")
        await api.close()
        yield server


async def token_of(server: Server) -> str:
    outcome = await chiron("token", "get", EMAIL, "--server", server.address, CHIRON_PASSWORD=PASSWORD)
    assert (outcome.status, outcome.said) == (0, "")
    return outcome.output.removesuffix("\n")


def made(folder: Path, claims: Mapping[str, object] | None = None, *, age: float = 0.0) -> str:
    """A token by the keys of a data folder, made `age` seconds ago."""
    now = int(time.time() - age)
    whole = {
        "iss": "chiron",
        "sub": "0199",
        "aud": "chiron",
        "exp": now + 600,
        "iat": now,
        "jti": "j",
        "sid": "s",
        "client_id": "chiron",
        "version": 1,
        **(claims or {}),
    }
    newest = keys.load_or_create(folder / "keys.json").signing[0]
    return Signer(newest.kid, newest.seed).sign(msgspec.json.encode(whole))


# --- get --------------------------------------------------------------------------------------------------------------


async def test_the_token_alone_is_printed_and_opens_the_server(open_server: Server) -> None:
    token = await token_of(open_server)
    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+", token)
    async with httpx.AsyncClient(base_url=open_server.address) as http:
        me = await http.get("/v1/me", headers={"authorization": f"Bearer {token}"})
    assert me.json()["email"] == EMAIL


async def test_the_whole_session_is_json(open_server: Server) -> None:
    outcome = await chiron(
        *("token", "get", EMAIL, "--server", open_server.secure_address, "--ca", str(open_server.authority), "--json"),
        CHIRON_PASSWORD=PASSWORD,
    )
    session = json.loads(outcome.output)
    assert session["person"]["email"] == EMAIL
    api = Api(open_server.address)
    await api.resume(session["refresh_token"])
    await api.close()


async def test_a_wrong_password_is_1_and_prints_no_token(open_server: Server) -> None:
    outcome = await chiron("token", "get", EMAIL, CHIRON_SERVER=open_server.address, CHIRON_PASSWORD="a wrong password")
    assert (outcome.status, outcome.output) == (1, "")
    assert outcome.said == "chiron: E-mail address or password is wrong.\n"


async def test_no_server_is_69() -> None:
    outcome = await chiron("token", "get", EMAIL, "--server", nobody(), CHIRON_PASSWORD=PASSWORD)
    assert (outcome.status, outcome.output) == (69, "")


# --- show -------------------------------------------------------------------------------------------------------------


async def test_a_good_token_is_shown_by_the_keys_of_folder_and_server(open_server: Server) -> None:
    token = await token_of(open_server)
    for option in (("--data-dir", str(open_server.data)), ("--server", open_server.address)):
        outcome = await chiron("token", "show", "-", *option, given=f"{token}\n")
        assert outcome.status == 0, outcome.said
        assert re.search(r"^  alg +EdDSA$", outcome.output, flags=re.MULTILINE)
        assert re.search(r"^  sub +[0-9a-f-]{36}$", outcome.output, flags=re.MULTILINE)
        assert re.search(
            r"^  exp +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, in 9 minutes$", outcome.output, flags=re.MULTILINE
        )
        assert re.search(r"^  signature +good, by the keys of ", outcome.output, flags=re.MULTILINE)
        assert "The token is valid." in outcome.output
        assert token not in outcome.output + outcome.said
        for part in token.split("."):
            assert part not in outcome.output + outcome.said


async def test_an_expired_token_is_1_and_its_signature_good(tmp_path: Path) -> None:
    outcome = await chiron("token", "show", made(tmp_path, age=7800), "--data-dir", str(tmp_path))
    assert outcome.status == 1
    assert re.search(r"exp .*, 2 hours ago\n", outcome.output)
    assert re.search(r"signature +good", outcome.output)
    assert outcome.said == "chiron: The token is not valid: expired.\n"


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"iss": "somebody"}, "issuer is another"),
        ({"aud": "somebody"}, "audience is another"),
        ({"iat": int(time.time()) + 7200, "exp": int(time.time()) + 8000}, "not valid yet"),
    ],
)
async def test_a_token_that_a_server_would_refuse_is_1(tmp_path: Path, claims: dict[str, object], reason: str) -> None:
    outcome = await chiron("token", "show", made(tmp_path, claims), "--data-dir", str(tmp_path))
    assert outcome.status == 1
    assert re.search(r"signature +good", outcome.output)
    assert outcome.said == f"chiron: The token is not valid: {reason}.\n"


async def test_a_changed_token_is_1(tmp_path: Path) -> None:
    header, _, signature = made(tmp_path).split(".")
    _, claims, _ = made(tmp_path, {"sub": "somebody else"}).split(".")
    outcome = await chiron("token", "show", f"{header}.{claims}.{signature}", "--data-dir", str(tmp_path))
    assert outcome.status == 1
    assert re.search(r"signature +not good: signature is wrong", outcome.output)


async def test_a_token_of_another_server_is_1(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "theirs").mkdir()
    keys.load_or_create(tmp_path / "ours" / "keys.json")
    outcome = await chiron("token", "show", made(tmp_path / "theirs"), "--data-dir", str(tmp_path / "ours"))
    assert outcome.status == 1
    assert re.search(r"signature +not good: key is not known", outcome.output)


async def test_an_unsigned_token_is_not_good(tmp_path: Path) -> None:
    _, claims, _ = made(tmp_path).split(".")
    header = base64url.encode(b'{"alg":"none","typ":"at+jwt","kid":"x"}')
    outcome = await chiron("token", "show", f"{header}.{claims}.", "--data-dir", str(tmp_path))
    assert outcome.status == 1
    assert "The token is not valid" in outcome.said


@pytest.mark.parametrize("text", ["", "hunter2", "a.b.c", "r1.abc.1.def", "..", "é.é.é"])
async def test_what_is_no_token_is_1_and_not_repeated(text: str, tmp_path: Path) -> None:
    keys.load_or_create(tmp_path / "keys.json")
    outcome = await chiron("token", "show", "-", "--data-dir", str(tmp_path), given=f"{text}\n")
    assert outcome.status == 1
    assert outcome.said.startswith("chiron: That is no access token")
    assert text == "" or text == ".." or text not in outcome.said
    assert ("refresh token" in outcome.said) == text.startswith("r1.")


async def test_claims_cannot_write_on_the_terminal(tmp_path: Path) -> None:
    outcome = await chiron(
        "token", "show", made(tmp_path, {"note": "\x1b[31mred\n", "\x1b[2J": 1}), "--data-dir", str(tmp_path)
    )
    assert "\x1b" not in outcome.output
    assert outcome.output.count("\n") == len(outcome.output.splitlines())


async def test_without_keys_it_is_78_and_says_where_they_could_be(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    outcome = await chiron("token", "show", made(tmp_path), "--data-dir", str(tmp_path / "other"))
    assert outcome.status == 78
    assert "Name a server with --server, or the data folder with --data-dir." in outcome.said
    assert re.search(r"sub +0199", outcome.output), "what it says is shown all the same"
