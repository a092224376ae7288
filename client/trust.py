"""Which servers a client believes: by an authority, or by the very certificate."""

from __future__ import annotations

import base64
import hashlib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chiron.client.errors import NotTrusted

DIGEST_BYTES = 32


@dataclass(frozen=True)
class Trust:
    """By default the system's authorities, and the server's name is checked.

    `authorities` (PEM) are trusted beside them. With `pins`, SHA-256 digests of certificates in DER, the server has to
    show one of those certificates, and nothing else counts: neither name nor authority. With `anyone`, nothing is
    checked at all.
    """

    authorities: bytes = b""
    pins: frozenset[bytes] = frozenset()
    anyone: bool = False
    _contexts: list[ssl.SSLContext] = field(default_factory=list, compare=False, repr=False)

    @classmethod
    def of(cls, ca: Path | None = None, pins: Sequence[str] = (), *, anyone: bool = False) -> Trust:
        """`ca` is a PEM file. Raises ValueError when it holds no certificate, or a pin is no digest."""
        return cls(_certificates(ca) if ca else b"", frozenset(map(pin, pins)), anyone)

    @property
    def checks_names(self) -> bool:
        return not self.pins and not self.anyone

    def context(self) -> ssl.SSLContext:
        """For TLS over TCP; the same one each time."""
        if not self._contexts:
            self._contexts.append(self._make_context())
        return self._contexts[0]

    def _make_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self.authorities:
            context.load_verify_locations(cadata=self.authorities.decode("ascii"))
        if not self.checks_names:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.pins:
            context.sslobject_class = _pinned(self.pins)
        return context

    def system_paths(self) -> tuple[str | None, str | None]:
        """For QUIC: file and folder of the system's authorities."""
        paths = ssl.get_default_verify_paths()
        return paths.cafile, paths.capath


def pin(text: str) -> bytes:
    """The digest that a text stands for: base64 (with `sha256/` or `sha256-` before it or not), or hexadecimal (with
    colons or not), as `openssl x509 -fingerprint -sha256` prints it. Raises ValueError."""
    plain = text.strip().removeprefix("sha256/").removeprefix("sha256-")
    try:
        digest = bytes.fromhex(plain.replace(":", ""))
    except ValueError:
        try:
            digest = base64.b64decode(
                plain.replace("-", "+").replace("_", "/") + "=" * (-len(plain) % 4), validate=True
            )
        except ValueError:
            digest = b""
    if len(digest) != DIGEST_BYTES:
        raise ValueError(f"{text!r} is not the SHA-256 of a certificate, in base64 or hexadecimal")
    return digest


def distrust(error: BaseException | None) -> str | None:
    """Why a certificate was not believed, if that is what an error, or one behind it, is about."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return getattr(error, "verify_message", None) or str(error.args[-1])
        if isinstance(error, NotTrusted):
            return error.why
        error = error.__cause__ or error.__context__
    return None


def _certificates(file: Path) -> bytes:
    content = file.read_bytes()
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=content.decode("ascii"))
    except (ssl.SSLError, UnicodeDecodeError, ValueError) as error:
        raise ValueError(f"{file} holds no PEM certificate") from error
    return content


def _pinned(pins: frozenset[bytes]) -> type[ssl.SSLObject]:
    class Pinned(ssl.SSLObject):
        """Ends the handshake, before anything is sent, when the certificate is none of those pinned."""

        def do_handshake(self) -> Any:
            super().do_handshake()
            shown = self.getpeercert(binary_form=True)
            if shown is None or hashlib.sha256(shown).digest() not in pins:
                raise ssl.SSLCertVerificationError("the certificate is not one of those pinned")

    return Pinned
