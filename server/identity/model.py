"""Records and inputs of identity; the shapes of `docs/protocol.md`, "Accounts"."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime
from functools import cache
from typing import Annotated, Literal
from uuid import UUID
from zoneinfo import available_timezones

import msgspec

from chiron.errors import Refused
from chiron.server.identity.proofs import Purpose

Locale = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$", max_length=35)]
Device = Annotated[str, msgspec.Meta(max_length=120)]
ProfileKind = Literal["mentor", "mentee"]
ProfileState = Literal["active", "paused"]
Secret = Annotated[str, msgspec.Meta(max_length=1024)]
"""A password that is said; which ones are taken `password_rules` decides."""
Address = Annotated[str, msgspec.Meta(max_length=320)]
LinkToken = Annotated[str, msgspec.Meta(max_length=256)]


# --- inputs -----------------------------------------------------------------------------------------------------------


class Register(msgspec.Struct, kw_only=True, frozen=True):
    email: str
    password: str
    name: str
    locale: Locale = "en"
    zone: str = "UTC"
    device: Device = ""


class LogIn(msgspec.Struct, kw_only=True, frozen=True):
    email: Address
    password: Secret
    device: Device = ""


class RefreshInput(msgspec.Struct, kw_only=True, frozen=True):
    refresh_token: Annotated[str, msgspec.Meta(max_length=256)]


class ChangeMe(msgspec.Struct, kw_only=True, frozen=True):
    """What is left out stays as it is."""

    name: str | None = None
    locale: Locale | None = None
    zone: str | None = None


class ChangePassword(msgspec.Struct, kw_only=True, frozen=True):
    current: Secret
    password: Secret


class Verify(msgspec.Struct, kw_only=True, frozen=True):
    token: LinkToken


class AskReset(msgspec.Struct, kw_only=True, frozen=True):
    email: Address


class Reset(msgspec.Struct, kw_only=True, frozen=True):
    token: LinkToken
    password: Secret


class NameDevice(msgspec.Struct, kw_only=True, frozen=True):
    device: Device


class SetProfile(msgspec.Struct, kw_only=True, frozen=True):
    state: ProfileState


class Paging(msgspec.Struct, kw_only=True, frozen=True):
    cursor: Annotated[str, msgspec.Meta(max_length=512)] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50


# --- results ----------------------------------------------------------------------------------------------------------


class Me(msgspec.Struct, kw_only=True, frozen=True):
    person: UUID
    number: int
    name: str
    email: str
    verified: bool
    locale: str
    zone: str
    created_at: int
    """Milliseconds since the Unix epoch."""


class Session(msgspec.Struct, kw_only=True, frozen=True):
    access_token: str
    refresh_token: str
    expires_in: int
    """Seconds."""
    person: Me


class Login(msgspec.Struct, kw_only=True, frozen=True):
    """A signed-in device. Times in milliseconds since the Unix epoch."""

    login: UUID
    device: str
    created_at: int
    refreshed_at: int
    current: bool
    """Whether it is the one that asks."""


class LoginPage(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    items: list[Login]
    next: str | None = None
    """Cursor of the next page."""


class Profile(msgspec.Struct, kw_only=True, frozen=True):
    """A role of a person. Times in milliseconds since the Unix epoch."""

    kind: ProfileKind
    state: ProfileState
    created_at: int
    changed_at: int


class Profiles(msgspec.Struct, kw_only=True, frozen=True):
    items: list[Profile]


class PublicKey(msgspec.Struct, kw_only=True, frozen=True):
    """An Ed25519 key (RFC 8037 §2)."""

    kty: Literal["OKP"] = "OKP"
    crv: Literal["Ed25519"] = "Ed25519"
    x: str
    kid: str
    alg: Literal["EdDSA"] = "EdDSA"
    use: Literal["sig"] = "sig"


class KeySet(msgspec.Struct, frozen=True):
    keys: list[PublicKey]


# --- records ----------------------------------------------------------------------------------------------------------


class StoredLogin(msgspec.Struct, kw_only=True, frozen=True):
    """A login as the database has it."""

    id: UUID
    person: UUID
    secret: bytes
    generation: int
    refreshed_at: datetime
    ended_at: datetime | None = None


class StoredProof(msgspec.Struct, kw_only=True, frozen=True):
    """A one-time link that was not used yet."""

    id: UUID
    person: UUID
    purpose: Purpose
    email: str
    expires_at: datetime


# --- checks -----------------------------------------------------------------------------------------------------------

LONGEST_EMAIL = 254
LONGEST_NAME = 80
COMPOSED = 4
"""Code points of which NFC makes one, at most (Unicode FAQ, "Normalization"). Nothing longer than what may become short
enough is normalised: a run of combining marks takes the square of its length, and the whole server would wait."""

_SPECIAL = r"\s\x00-\x1f\x7f@<>()\[\]\\,;:\""
_EMAIL = re.compile(rf"[^{_SPECIAL}]+@[^{_SPECIAL}]+\.[^{_SPECIAL}.]+")
_DIRECTING = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
"""Bidirectional classes (UAX #9) of characters that turn around what stands behind a name."""


def normal_email(text: str) -> str:
    """The form in which addresses are stored and compared: NFC, lower case, without white space around it.

    Whether it exists only a mail can tell; this refuses what cannot be one. Raises Refused.
    """
    email = _composed(text.strip(), LONGEST_EMAIL).lower()
    if len(email) > LONGEST_EMAIL or not _EMAIL.fullmatch(email):
        raise Refused("invalid", field="email", reason="this is not an e-mail address")
    return email


def checked_name(text: str) -> str:
    """What others see: 1 to 80 characters, without control characters. Raises Refused."""
    name = _composed(" ".join(text.split()), LONGEST_NAME)
    if not 1 <= len(name) <= LONGEST_NAME:
        raise Refused("invalid", field="name", reason=f"a name has 1 to {LONGEST_NAME} characters")
    if any(
        unicodedata.category(character) in ("Cc", "Cs", "Co", "Cn")
        or unicodedata.bidirectional(character) in _DIRECTING
        for character in name
    ):
        raise Refused("invalid", field="name", reason="a name has no control characters")
    if all(unicodedata.category(character)[0] in "CMZ" for character in name):
        raise Refused("invalid", field="name", reason="a name can be seen")
    return name


def _composed(text: str, longest: int) -> str:
    """In NFC, unless it stays longer than `longest` anyway."""
    return unicodedata.normalize("NFC", text) if len(text) <= longest * COMPOSED else text


def checked_device(text: str) -> str:
    """What a person calls a device, at most 120 characters. Raises Refused."""
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise Refused("invalid", field="device", reason="a name has no control characters")
    return " ".join(text.split())


@cache
def _zones() -> frozenset[str]:
    """Read once: it takes hundreds of files."""
    return frozenset(available_timezones())


def checked_zone(text: str) -> str:
    if text not in _zones():
        raise Refused("invalid", field="zone", reason="this is not an IANA time zone")
    return text
