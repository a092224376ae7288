"""`chiron token`."""

from __future__ import annotations

import getpass
import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import msgspec
import typer
from rich.console import Console

from chiron._core import Verifier
from chiron.errors import SetupError
from chiron.server.cli.options import ADDRESSES, DEFAULT_SERVER, Authority, DataDir, Server, api_of, with_server
from chiron.server.platform import base64url

if TYPE_CHECKING:
    from chiron.client.model import KeySet

app = typer.Typer(
    name="token", help="Get an access token for curl and scripts, or look into one.", no_args_is_help=True
)

Keys = list[tuple[str, bytes]]
"""Key id and 32-byte Ed25519 public key."""


@app.command()
def get(
    email: Annotated[str, typer.Argument(help="E-mail address of the account.")],
    server: Server = DEFAULT_SERVER,
    ca: Authority = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the whole session: access token, refresh token, person.")
    ] = False,
) -> None:
    """Sign in and print an access token of ten minutes. The password is asked for, or taken from CHIRON_PASSWORD.

    curl -H "Authorization: Bearer $(chiron token get ada@example.org)" http://127.0.0.1:8080/v1/me
    """
    api = api_of(server, ca)
    password = os.environ.get("CHIRON_PASSWORD") or getpass.getpass("Password: ")

    async def work() -> dict[str, Any]:
        try:
            await api.log_in(email, password, device="chiron token")
            access = await api.access_token()
            return {"access_token": access, "refresh_token": api.refresh_token, "person": api.person}
        finally:
            await api.close()

    session = with_server(work())
    print(json.dumps(session, ensure_ascii=False) if as_json else session["access_token"])


@app.command()
def show(
    token: Annotated[
        str, typer.Argument(metavar="TOKEN|-", help="An access token; - reads it, so that no process list shows it.")
    ],
    server: Annotated[
        Optional[str],  # noqa: UP045 - typer reads it so on Python 3.11
        typer.Option(
            help="Check against the keys of this server.",
            show_default="those of the data folder",
            autocompletion=lambda: list(ADDRESSES),
        ),
    ] = None,
    ca: Authority = None,
    data_dir: DataDir = None,
) -> None:
    """Show what an access token says, and whether it is good. Ends with 1 when it is not; never prints the token."""
    text = (sys.stdin.readline() if token == "-" else token).strip()  # noqa: S105 - standard input by convention
    header, claims = _parts(text)
    output = Console(highlight=False, soft_wrap=True)
    now = time.time()
    for name, value in [*header.items(), *claims.items()]:
        output.print(f"  {_printable(name):<10} {_value(name, value, now)}", markup=False)
    keys, place = _served_keys(server, ca) if server else _kept_keys(data_dir)
    signature, verdict = _check(text, keys, claims, now)
    output.print(f"  {'signature':<10} {signature}, by the keys of {place}", markup=False)
    if verdict is not None:
        raise SetupError(f"The token is not valid: {verdict}.", exit_status=1)
    output.print("The token is valid. Whether its login was ended meanwhile only the server knows.")


def _parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, unchecked (RFC 7515 §3.1). Raises SetupError, which quotes nothing of it."""
    try:
        header, claims, _ = token.split(".")
        found = [msgspec.json.decode(base64url.decode(part), type=dict[str, Any]) for part in (header, claims)]
    except (ValueError, msgspec.MsgspecError):
        refresh = " It looks like a refresh token." if token.startswith("r1.") else ""
        raise SetupError(
            f"That is no access token: a header, claims and a signature.{refresh}", exit_status=1
        ) from None
    return found[0], found[1]


def _value(name: str, value: Any, now: float) -> str:
    if name in ("exp", "iat", "nbf") and isinstance(value, int | float):
        try:
            return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M:%S} UTC, {_distance(value - now)}"
        except (ValueError, OverflowError, OSError):
            return str(value)
    return _printable(value) if isinstance(value, str) else json.dumps(value)


def _printable(text: str) -> str:
    """As it is, or in ASCII with escapes: whoever made the token does not write on this terminal."""
    return text if text.isprintable() else json.dumps(text)


def _distance(seconds: float) -> str:
    """In words: `in 9 minutes`, `3 days ago`."""
    amount = abs(seconds)
    size, unit = next(
        (size, unit)
        for size, unit in ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
        if amount >= size or size == 1
    )
    number = int(amount // size)
    words = f"{number} {unit}{'' if number == 1 else 's'}"
    return f"in {words}" if seconds >= 0 else f"{words} ago"


def _check(token: str, keys: Keys, claims: dict[str, Any], now: float) -> tuple[str, str | None]:
    """What to say of the signature, and why the server would refuse the token (None: it would not)."""
    from chiron.server.config import ISSUER

    verifier = Verifier(ISSUER, ISSUER)
    verifier.set_keys(keys)

    def refusal(at: float) -> str | None:
        try:
            verifier.verify(token, at)
        except ValueError as error:
            return str(error)
        return None

    # At the second of its making everything but the signature's own faults is out of the way.
    issued = claims.get("iat")
    first = refusal(float(issued) if isinstance(issued, int | float) else now)
    bad = first in ("signature is wrong", "key is not known", "not three parts of base64url") or (
        first is not None and first.startswith(("header", "algorithm", "type", "longer"))
    )
    return (f"not good: {first}" if bad else "good"), refusal(now)


def _kept_keys(data_dir: Path | None) -> tuple[Keys, str]:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from chiron.server.cli.settings import told
    from chiron.server.platform import keys
    from chiron.server.settings import load

    file = load.data_dir(told(data_dir=data_dir)) / keys.FILE
    try:
        kept = msgspec.json.decode(file.read_bytes(), type=keys.Keys)
    except (OSError, msgspec.MsgspecError) as error:
        raise SetupError(
            f"There are no keys to check the signature against: {error}. Name a server with --server, or the data "
            "folder with --data-dir."
        ) from error
    private = {key.kid: Ed25519PrivateKey.from_private_bytes(key.seed) for key in kept.signing}
    return [(kid, key.public_key().public_bytes_raw()) for kid, key in private.items()], str(file)


def _served_keys(server: str, ca: Path | None) -> tuple[Keys, str]:
    api = api_of(server, ca)

    async def work() -> KeySet:
        try:
            return await api.jwks()
        finally:
            await api.close()

    found = with_server(work())
    return [
        (key["kid"], base64url.decode(key["x"])) for key in found["keys"] if key.get("crv") == "Ed25519"
    ], api.origin
