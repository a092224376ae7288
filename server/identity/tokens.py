"""Access tokens and refresh tokens.

An access token is a JWT of ten minutes (RFC 9068). A refresh token is not stored: number *n* of a login is an HMAC of
*n* under the login's sealed secret, so that the same successor can be computed again. It reads `r1.<login>.<n>.<mac>`.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import msgspec

from chiron.errors import Refused
from chiron.server.platform import base64url
from chiron.server.ports import VERIFIED_SCOPE, Ids

ACCESS_SECONDS = 600
REPEATABLE = timedelta(seconds=20)
"""How long a used refresh token gives its successor again: a server that was killed is back within seconds."""
VERSION = 1
"""Of what the claims mean; the verifier accepts this one alone."""
CLIENT = "chiron"
"""`client_id` of the tokens that people get by signing in here (RFC 9068 §2.2)."""

_GENERATION = re.compile(r"[1-9][0-9]{0,15}")


class RefreshToken(msgspec.Struct, frozen=True):
    login: UUID
    generation: int
    mac: bytes


def new_secret() -> bytes:
    return secrets.token_bytes(32)


def refresh_token(secret: bytes, login: UUID, generation: int) -> str:
    mac = _mac(secret, login, generation)
    return f"r1.{base64url.encode(login.bytes)}.{generation}.{base64url.encode(mac)}"


def parse_refresh_token(text: str) -> RefreshToken:
    """Raises Refused unauthenticated; whether the token is genuine only `is_genuine` tells."""
    try:
        version, login, generation, mac = text.split(".")
        if version != "r1" or not _GENERATION.fullmatch(generation):
            raise ValueError
        return RefreshToken(UUID(bytes=base64url.decode(login)), int(generation), base64url.decode(mac))
    except ValueError:
        raise Refused("unauthenticated") from None


def is_genuine(token: RefreshToken, secret: bytes) -> bool:
    return hmac.compare_digest(token.mac, _mac(secret, token.login, token.generation))


Use = Literal["first", "repeated", "reused", "unissued"]


def use(generation: int, newest: int, age: timedelta) -> Use:
    """What it means that number `generation` of a genuine token is used, when `newest` was used last, `age` ago.

    Only the newest one used may be repeated, and for `REPEATABLE`. Nobody has those behind its successor.
    """
    if generation == newest + 1:
        return "first"
    if generation > newest:
        return "unissued"
    return "repeated" if generation == newest and age <= REPEATABLE else "reused"


class AccessTokens:
    """Issues access tokens. `sign` makes a compact JWS of a JSON object of claims."""

    def __init__(self, sign: Callable[[bytes], str], issuer: str, audience: str, ids: Ids) -> None:
        self._sign = sign
        self._issuer = issuer
        self._audience = audience
        self._ids = ids

    def issue(self, person: UUID, login: UUID, now: datetime, *, verified: bool) -> str:
        issued = int(now.timestamp())
        claims = {
            "iss": self._issuer,
            "sub": str(person),
            "aud": self._audience,
            "exp": issued + ACCESS_SECONDS,
            "iat": issued,
            "jti": str(self._ids.new()),
            "sid": str(login),
            "client_id": CLIENT,
            "scope": VERIFIED_SCOPE if verified else "",
            "version": VERSION,
        }
        return self._sign(msgspec.json.encode(claims))


def _mac(secret: bytes, login: UUID, generation: int) -> bytes:
    return hmac.digest(secret, b"chiron refresh" + login.bytes + generation.to_bytes(8, "big"), hashlib.sha256)
