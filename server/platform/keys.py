"""The key store: every secret of an instance in one file of the data folder, owned by the supervisor.

Workers receive the keys over their pipe and never read the file. Lists are newest first: the first key makes, all of
them check.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from chiron.errors import SetupError


class SigningKey(msgspec.Struct, frozen=True):
    """An Ed25519 key of access tokens: `kid` (RFC 7517 §4.5) and the 32-byte seed."""

    kid: str
    seed: bytes


class SealingKey(msgspec.Struct, frozen=True):
    """A 32-byte AES-256-GCM key; `id` (one byte) stands in front of what it sealed."""

    id: int
    key: bytes


class Keys(msgspec.Struct, frozen=True):
    signing: list[SigningKey]
    sealing: list[SealingKey]
    tickets: list[bytes]
    """32 bytes each: TLS session tickets."""
    cursor: bytes
    """32 bytes: authenticates paging cursors."""

    def __repr__(self) -> str:
        return f"Keys(signing={[key.kid for key in self.signing]}, …)"


def generate() -> Keys:
    return Keys(
        signing=[SigningKey(kid=secrets.token_hex(8), seed=secrets.token_bytes(32))],
        sealing=[SealingKey(id=1, key=secrets.token_bytes(32))],
        tickets=[secrets.token_bytes(32)],
        cursor=secrets.token_bytes(32),
    )


def load_or_create(path: Path) -> Keys:
    """The keys of `path`, made at the first start. The caller holds the data folder's lock.

    Raises SetupError when the file cannot be read, or others may read it.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        keys = generate()
        write(path, keys)
        return keys
    if mode & 0o077:
        raise SetupError(f"{path} holds the keys of this server and others may read it; run: chmod 600 {path}")
    try:
        return msgspec.json.decode(path.read_bytes(), type=Keys)
    except (OSError, msgspec.MsgspecError) as error:
        raise SetupError(f"{path} holds the keys of this server and cannot be read: {error}") from error


def write(path: Path, keys: Keys) -> None:
    """Replace the file in one step; it is on disk when this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # made with mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(keys))
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class Sealer:
    """Seals small secrets for the database (AES-256-GCM, random 96-bit nonce, NIST SP 800-38D)."""

    def __init__(self, keys: list[SealingKey]) -> None:
        self._newest = keys[0].id
        self._ciphers = {key.id: AESGCM(key.key) for key in keys}

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        """`context` is authenticated too: only the same one opens it, so that a value cannot move to another row."""
        nonce = secrets.token_bytes(12)
        return bytes([self._newest]) + nonce + self._ciphers[self._newest].encrypt(nonce, plaintext, context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Raises ValueError when the key is gone or the value was changed or moved."""
        cipher = self._ciphers.get(sealed[0]) if sealed else None
        if cipher is None:
            raise ValueError("sealed by a key that is gone")
        try:
            return cipher.decrypt(sealed[1:13], sealed[13:], context)
        except InvalidTag:
            raise ValueError("sealed value was changed or moved") from None
