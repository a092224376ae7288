"""Records and inputs of identity; the shapes of `docs/protocol.md`, "Accounts"."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime
from functools import cache
from typing import Annotated
from uuid import UUID
from zoneinfo import available_timezones

import msgspec

from chiron.errors import Refused

PASSWORD_LENGTH = (10, 128)
"""Code points; NIST SP 800-63B §3.1.1.2 asks for a minimum and for no rules of composition."""

Locale = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$", max_length=35)]
Device = Annotated[str, msgspec.Meta(max_length=120)]


class Register(msgspec.Struct, kw_only=True, frozen=True):
    email: str
    password: str
    name: str
    locale: Locale = "en"
    zone: str = "UTC"
    device: Device = ""


class LogIn(msgspec.Struct, kw_only=True, frozen=True):
    email: Annotated[str, msgspec.Meta(max_length=320)]
    password: Annotated[str, msgspec.Meta(max_length=1024)]
    device: Device = ""


class RefreshInput(msgspec.Struct, kw_only=True, frozen=True):
    refresh_token: Annotated[str, msgspec.Meta(max_length=256)]


class Me(msgspec.Struct, kw_only=True, frozen=True):
    person: UUID
    number: int
    name: str
    email: str
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
    """A signed-in device as the database has it."""

    id: UUID
    person: UUID
    secret: bytes
    generation: int
    refreshed_at: datetime
    ended_at: datetime | None = None


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


def checked_password(text: str) -> str:
    low, high = PASSWORD_LENGTH
    if not low <= len(text) <= high:
        raise Refused("invalid", field="password", reason=f"a password has {low} to {high} characters")
    return text


@cache
def _zones() -> frozenset[str]:
    """Read once: it takes hundreds of files."""
    return frozenset(available_timezones())


def checked_zone(text: str) -> str:
    if text not in _zones():
        raise Refused("invalid", field="zone", reason="this is not an IANA time zone")
    return text
