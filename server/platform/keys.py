"""The key store: every secret of an instance in one file of the data folder, owned by the supervisor.

Workers receive the keys over their pipe and never read the file. Lists are newest first: the first key makes, all of
them check.

How keys change. `rotated` is asked again and again and does what is due:

- Signing: a new key every 90 days, published a day before it signs, so that who keeps a copy of the key set has it in
  time. An old one is accepted until the last token that it signed has expired, and leaves.
- Tickets: a new key every day; the one before opens for another day.
- Sealing: a new key when told; old ones open for ever, since what they sealed is in the database.
- Cursor, QUIC: none. One for QUIC is made where a file of an earlier version has none.

`replaced` makes a new key at once, when told. A signing key that was published for later goes then: who asks for it may
have lost the file.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, Protocol

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from chiron.errors import SetupError

FILE = "keys.json"
"""In the data folder."""

DAY = 86_400.0
SIGNING_LIFE = 90 * DAY
"""Seconds after which another key signs."""
PUBLISHED_BEFORE = DAY
"""Seconds that a key is in the key set before it signs."""
TICKETS_LIFE = DAY
TICKET_KEYS = 2
SEALING_KEYS = 255
"""As many ids as one byte has, without 0."""

Purpose = Literal["signing", "tickets", "sealing"]
PURPOSES: tuple[Purpose, ...] = ("signing", "tickets", "sealing")


class SigningKey(msgspec.Struct, frozen=True):
    """An Ed25519 key of access tokens: `kid` (RFC 7517 §4.5) and the 32-byte seed."""

    kid: str
    seed: bytes
    since: float = 0.0
    """When it began to sign, or will, in seconds since the Unix epoch; 0 is not known, in files of earlier versions."""


class SealingKey(msgspec.Struct, frozen=True):
    """A 32-byte AES-256-GCM key; `id` (one byte) stands in front of what it sealed."""

    id: int
    key: bytes
    since: float = 0.0


class Keys(msgspec.Struct, frozen=True):
    signing: list[SigningKey]
    sealing: list[SealingKey]
    tickets: list[bytes]
    """32 bytes each: TLS session tickets."""
    cursor: bytes
    """32 bytes: authenticates paging cursors."""
    upcoming: SigningKey | None = None
    """The next signing key, published already."""
    tickets_since: float = 0.0
    """When the first of `tickets` began to seal."""
    quic: bytes = b""
    """32 bytes: the secret behind connection ids, Retry tokens and stateless resets (RFC 9000 §10.3.2), which outlives
    a worker; empty in files of earlier versions."""

    def __repr__(self) -> str:
        return f"Keys(signing={[key.kid for key in self.signing]}, …)"


def generate(now: float = 0.0) -> Keys:
    """Keys that begin at `now`, in seconds since the Unix epoch; 0 leaves open when."""
    return Keys(
        signing=[_signing(now)],
        sealing=[SealingKey(1, secrets.token_bytes(32), now)],
        tickets=[secrets.token_bytes(32)],
        cursor=secrets.token_bytes(32),
        tickets_since=now,
        quic=secrets.token_bytes(32),
    )


def rotated(keys: Keys, now: float, accepted: float) -> Keys:
    """The keys after what is due at `now`; equal to `keys` when nothing is. Repeating it changes nothing.

    `accepted`: seconds that a token may outlive the key's last signature.
    """
    keys = _dated(keys, now)
    if not keys.quic:
        keys = msgspec.structs.replace(keys, quic=secrets.token_bytes(32))
    signing = list(keys.signing)
    upcoming = keys.upcoming
    if upcoming is not None and upcoming.since <= now:
        # A server that was off meanwhile begins with it late.
        signing.insert(0, msgspec.structs.replace(upcoming, since=now))
        upcoming = None
    if upcoming is None and now >= signing[0].since + SIGNING_LIFE - PUBLISHED_BEFORE:
        upcoming = _signing(max(now + PUBLISHED_BEFORE, signing[0].since + SIGNING_LIFE))
    for place in range(1, len(signing)):
        # The key before it in the list took over from it.
        if now >= signing[place - 1].since + accepted:
            del signing[place:]
            break
    keys = msgspec.structs.replace(keys, signing=signing, upcoming=upcoming)
    return _new_tickets(keys, now) if now >= keys.tickets_since + TICKETS_LIFE else keys


def replaced(keys: Keys, purposes: Sequence[Purpose], now: float) -> Keys:
    """New keys for `purposes` from `now` on; the old ones stay as `rotated` says.

    Raises SetupError when there have been as many sealing keys as there are ids.
    """
    keys = _dated(keys, now)
    if "signing" in purposes:
        keys = msgspec.structs.replace(keys, signing=[_signing(now), *keys.signing], upcoming=None)
    if "sealing" in purposes:
        newest = max(key.id for key in keys.sealing)
        if newest >= SEALING_KEYS:
            raise SetupError(f"There have been {SEALING_KEYS} sealing keys, and no more can be told apart.")
        fresh = SealingKey(newest + 1, secrets.token_bytes(32), now)
        keys = msgspec.structs.replace(keys, sealing=[fresh, *keys.sealing])
    return _new_tickets(keys, now) if "tickets" in purposes else keys


def _dated(keys: Keys, now: float) -> Keys:
    """A time that is not known counts from now on; so does one to come, which a clock that went wrong left."""

    def known(since: float) -> float:
        return since if 0 < since <= now else now

    upcoming = keys.upcoming
    if upcoming is not None and upcoming.since > now + SIGNING_LIFE:
        upcoming = None
    return msgspec.structs.replace(
        keys,
        signing=[msgspec.structs.replace(key, since=known(key.since)) for key in keys.signing],
        sealing=[msgspec.structs.replace(key, since=known(key.since)) for key in keys.sealing],
        upcoming=upcoming,
        tickets_since=known(keys.tickets_since),
    )


def _signing(since: float) -> SigningKey:
    return SigningKey(secrets.token_hex(8), secrets.token_bytes(32), since)


def _new_tickets(keys: Keys, now: float) -> Keys:
    tickets = [secrets.token_bytes(32), *keys.tickets][:TICKET_KEYS]
    return msgspec.structs.replace(keys, tickets=tickets, tickets_since=now)


def load_or_create(path: Path, now: float = 0.0) -> Keys:
    """The keys of `path`, made at the first start. The caller holds the data folder's lock.

    Raises SetupError when the file cannot be read, or others may read it.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        keys = generate(now)
        write(path, keys)
        return keys
    if mode & 0o077:
        raise SetupError(f"{path} holds the keys of this server and others may read it; run: chmod 600 {path}")
    try:
        keys = msgspec.json.decode(path.read_bytes(), type=Keys)
    except (OSError, msgspec.MsgspecError) as error:
        raise SetupError(f"{path} holds the keys of this server and cannot be read: {error}") from error
    if not (keys.signing and keys.sealing and keys.tickets):
        raise SetupError(f"{path} holds the keys of this server and lacks some of them; put your copy of it back")
    return keys


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

    def __init__(self, keys: Sequence[SealingKey]) -> None:
        self.replace(keys)

    def replace(self, keys: Sequence[SealingKey]) -> None:
        """Seal with the first of `keys` from now on, and open with all of them."""
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


class Signing(Protocol):
    """A signing key at work; `_core.Signer` is one."""

    @property
    def public_key(self) -> bytes: ...
    def sign(self, claims: bytes) -> str: ...


class KeyRing:
    """The keys that a worker uses now. Whoever holds the ring, its `sign`, its `sealer` or its `public_keys` follows
    `replace`."""

    def __init__(self, keys: Keys, signing: Callable[[str, bytes], Signing]) -> None:
        """`signing` makes a signer of a key's `kid` and seed."""
        self._make = signing
        self.sealer = Sealer(keys.sealing)
        self.replace(keys)

    def replace(self, keys: Keys) -> None:
        """Use these from now on."""
        # What is published for later is accepted already: to others the two are one list.
        upcoming = [keys.upcoming] if keys.upcoming is not None else []
        signers = [(key.kid, self._make(key.kid, key.seed)) for key in (*keys.signing, *upcoming)]
        self._keys = keys
        self._signer = signers[0][1]
        self._public = [(kid, signer.public_key) for kid, signer in signers]
        self.sealer.replace(keys.sealing)

    @property
    def keys(self) -> Keys:
        return self._keys

    def sign(self, claims: bytes) -> str:
        """A compact JWS (RFC 7515) under the newest key."""
        return self._signer.sign(claims)

    def public_keys(self) -> Sequence[tuple[str, bytes]]:
        """(kid, 32-byte Ed25519 public key) of every key whose tokens are accepted, the one that signs first."""
        return self._public
