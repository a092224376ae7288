"""A mail as it travels: RFC 5322, MIME (RFC 2045), in bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from uuid import UUID

import idna

LONGEST_LINE = 998
"""Bytes (RFC 5322 §2.1.1); longer lines are folded by quoted-printable."""

_SPECIAL = r"\s@<>()\[\]\\,;:\""
_ADDRESS = re.compile(rf"[^{_SPECIAL}]+@[^{_SPECIAL}]+")


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail, opened."""

    id: UUID
    to: str = field(repr=False)
    subject: str = field(repr=False)
    text: str = field(repr=False)
    date: datetime


class Sender:
    """Who all mails are from. Raises ValueError when `text` is not `Name <address>` or an address (RFC 5322 §3.4)."""

    def __init__(self, text: str) -> None:
        name, _, rest = text.strip().rpartition("<") if text.strip().endswith(">") else ("", "", f"{text.strip()}>")
        try:
            self._address = _address(rest.removesuffix(">"), name.strip().strip('"'))
        except ValueError:
            raise ValueError(f"{text!r} is no sender; write an address, or: Name <address>") from None
        if not self._address.addr_spec.isascii():
            raise ValueError(f"{text!r} is no sender: not every mail server takes one that is not ASCII")
        self.address = self._address.addr_spec
        self.domain = self._address.domain

    def compose(self, letter: Letter, *, eight_bit: bool = True) -> bytes:
        """The mail in bytes, with CRLF; the same bytes for the same letter.

        `eight_bit`: whether whoever takes it can do 8BITMIME (RFC 6152); else non-ASCII text is quoted-printable.
        Raises ValueError when it cannot be a mail, such as for an address with line breaks.
        """
        message = EmailMessage(policy=SMTP.clone(utf8=True) if needs_smtputf8(letter.to) else SMTP)
        try:
            message["From"] = self._address
            message["To"] = _address(letter.to)
            message["Subject"] = one_line(letter.subject)
            message["Date"] = letter.date
            message["Message-ID"] = f"<{letter.id}@{self._address.domain}>"
            message["Auto-Submitted"] = "auto-generated"  # RFC 3834 §5: no out-of-office answers to it
            text = letter.text.replace("\0", "")  # RFC 5322 §2.3
            message.set_content(text, cte=_encoding(text, eight_bit=eight_bit))
            return message.as_bytes()
        except (MessageError, UnicodeError) as error:
            raise ValueError("this cannot be a mail") from error


def one_line(text: str) -> str:
    """Without line breaks and other control characters: what becomes a header field ends where the field ends."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def needs_smtputf8(address: str) -> bool:
    """Whether only servers with SMTPUTF8 (RFC 6531) can take it: what is left of the @ has no form in ASCII."""
    return not address.rpartition("@")[0].isascii()


def ascii_domain(address: str) -> str:
    """The address with its domain in ASCII. Raises ValueError where there is no such domain."""
    local, at, domain = address.rpartition("@")
    if not domain.isascii():
        domain = idna.encode(domain, uts46=True).decode("ascii")
    return f"{local}{at}{domain}"


def _address(spec: str, name: str = "") -> Address:
    if not _ADDRESS.fullmatch(spec) or not spec.isprintable() or one_line(name) != name:
        raise ValueError("no address")
    local, _, domain = ascii_domain(spec).rpartition("@")
    return Address(name, local, domain)


def _encoding(text: str, *, eight_bit: bool) -> str:
    if any(len(line) > LONGEST_LINE for line in text.encode().splitlines()):
        return "quoted-printable"
    if text.isascii():
        return "7bit"
    return "8bit" if eight_bit else "quoted-printable"
