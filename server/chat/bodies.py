"""What a record may say: one body type per kind, its canonical JSON, and the hash that tells repeats from reuse.

Unknown members of a body are dropped, not refused: a newer client may talk to an older server, and nothing that we do
not understand is stored or passed on. What was dropped is not part of the hash.
"""

from __future__ import annotations

import hashlib
import re
from uuid import UUID

import msgspec

from chiron.errors import Refused

TEXT_BYTES = 16_384
"""The longest text, in bytes of UTF-8."""

_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}")


class Text(msgspec.Struct, frozen=True):
    """Kind `text`: what a person wrote. The only kind that clients publish."""

    text: str


class MemberAdded(msgspec.Struct, frozen=True):
    """Kind `member.added`."""

    person: UUID
    name: str
    by: UUID


class MemberRemoved(msgspec.Struct, frozen=True):
    """Kind `member.removed`."""

    person: UUID
    by: UUID


class MemberLeft(msgspec.Struct, frozen=True, omit_defaults=True):
    """Kind `member.left`; `owner` is who owns the conversation from now on, when the owner left."""

    person: UUID
    owner: UUID | None = None


class Decided(msgspec.Struct, frozen=True, omit_defaults=True):
    """Kind `message.decided`: what became of the held `message` at `offset`, with its body where that is `allow`."""

    message: UUID
    offset: int
    verdict: str
    """`allow` or `block`."""
    body: msgspec.Raw = msgspec.Raw()


class Membership(msgspec.Struct, frozen=True):
    """Kinds `membership.added` and `membership.removed` of the personal channel."""

    conversation: UUID
    number: int


encode = msgspec.json.encode
_decode_text = msgspec.json.Decoder(Text).decode


def canonical(kind: str, body: bytes) -> bytes:
    """The body as it is stored: known members alone, in one order and spelling.

    Raises Refused: invalid with the field at fault, too_large.
    """
    if kind != "text":
        raise Refused("invalid", field="kind", reason="clients publish text")
    try:
        text = _decode_text(body).text
        size = len(text.encode())
    except msgspec.ValidationError as error:
        raise Refused("invalid", field="body", reason=str(error)) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        # Lone surrogates end here: neither raw nor escaped ones are text (RFC 8259 §8.2).
        raise Refused("invalid", field="body", reason="it is not JSON in UTF-8") from None
    if not size:
        raise Refused("invalid", field="text", reason="it is empty")
    if size > TEXT_BYTES:
        raise Refused("too_large", limit=TEXT_BYTES)
    if "\0" in text:
        raise Refused("invalid", field="text", reason="it contains a NUL character")
    return encode(Text(text))


def text(body: bytes) -> str:
    """Of a canonical body of kind `text`."""
    return _decode_text(body).text


def checked_client_id(client_id: str) -> str:
    """A ULID in upper case: 26 characters of Crockford's base32, in either case, 128 bits. Raises Refused invalid.

    The same as what the parser of links takes: a message may be sent by link and repeated over REST.
    """
    if _ULID.fullmatch(client_id) is None:
        raise Refused("invalid", field="client_id", reason="it is not a ULID (26 characters of Crockford's base32)")
    return client_id.upper()


def digest(kind: str, ref: UUID | None, body: bytes) -> bytes:
    """SHA-256 over kind, ref and canonical body: the same message sent again has the same digest."""
    return hashlib.sha256(b"\0".join((kind.encode(), ref.bytes if ref else b"", body))).digest()
