"""Tokens of one-time links: `<id>.<mac>`, base64url.

Nothing of a token is stored in clear: the database has the id, and the second half is an HMAC-SHA256 (RFC 2104) under a
key that only the key store has. It covers purpose and address, so a link for one thing does no other.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal
from uuid import UUID

from chiron.errors import Refused
from chiron.server.platform import base64url
from chiron.server.platform.keys import SealingKey

Purpose = Literal["verification", "reset"]

LIFETIME: dict[Purpose, timedelta] = {"verification": timedelta(hours=24), "reset": timedelta(hours=1)}


@dataclass(frozen=True, slots=True)
class Token:
    id: UUID
    mac: bytes


class Proofs:
    """`keys` gives the keys of now: the first makes, all of them check, so that links in mails outlive a rotation."""

    def __init__(self, keys: Callable[[], Sequence[SealingKey]]) -> None:
        self._keys = keys

    def token(self, id: UUID, purpose: Purpose, email: str) -> str:
        return f"{base64url.encode(id.bytes)}.{base64url.encode(_mac(self._keys()[0], id, purpose, email))}"

    def is_genuine(self, token: Token, purpose: Purpose, email: str) -> bool:
        return any(hmac.compare_digest(token.mac, _mac(key, token.id, purpose, email)) for key in self._keys())


def parse(text: str) -> Token:
    """Raises Refused link_expired: what no longer works and what never did look alike."""
    id, _, mac = text.partition(".")
    try:
        return Token(UUID(bytes=base64url.decode(id)), base64url.decode(mac))
    except ValueError:
        raise Refused("link_expired") from None


def _mac(key: SealingKey, id: UUID, purpose: Purpose, email: str) -> bytes:
    # Under a key of its own, derived from the one that seals: no key has two uses.
    derived = hmac.digest(key.key, b"chiron one-time link", "sha256")
    return hmac.digest(derived, b"\0".join((id.bytes, purpose.encode(), email.encode())), "sha256")
