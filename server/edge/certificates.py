"""The certificates of the listeners: the operator's files, or what is made at the first start.

The development authority signs short-lived leaves for loopback names only. Its certificate may be added to a browser;
its key stays in the data folder (mode 0600). A leaf is renewed when a quarter of its life is left.

Browsers speak no QUIC under such an authority. They open WebTransport, though, to a certificate whose hash their page
tells them, if it lives for 14 days at most and its key is of P-256 (WebTransport, "serverCertificateHashes"). Pages are
told two hashes: each certificate is used for ten of its 13 days, and the next one, which begins on the sixth, is made
when it begins to be used. So whatever hashes a page was told hold for four days at least.
"""

from __future__ import annotations

import base64
import ipaddress
import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from chiron._core import Tls
from chiron.errors import SetupError

AUTHORITY_LIFE = timedelta(days=3650)
LEAF_LIFE = timedelta(days=90)
NAMES = ("localhost",)
ADDRESSES = ("127.0.0.1", "::1")
TICKET_KEY_BYTES = 32
HASHED_LIFE = timedelta(days=13)
"""Of a certificate that pages trust by its hash."""
HASHED_SPARE = timedelta(days=3)
"""What is left of one when the next is taken."""
HASHED_STEP = timedelta(days=6)
"""How long after one the next begins."""
CLOCKS_DIFFER = timedelta(hours=1)
"""By so much a client's clock may be slow."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM: the chain, leaf first, and its private key."""

    chain: bytes
    key: bytes

    def __repr__(self) -> str:
        return f"Certificate({len(self.chain)} bytes)"


@dataclass(frozen=True, slots=True)
class Hashed:
    """A certificate that pages trust by its hash."""

    certificate: Certificate
    hashes: tuple[str, str]
    """Base64 of the SHA-256 of it and of the one that will follow, in DER."""


def from_files(chain: Path, key: Path) -> Certificate:
    """The operator's certificate. Raises SetupError naming what cannot be read, or does not belong together."""
    try:
        certificate = Certificate(chain.read_bytes(), key.read_bytes())
    except OSError as error:
        raise SetupError(f"The TLS certificate cannot be read: {error.filename}: {error.strerror}.") from error
    try:
        Tls(certificate.chain, certificate.key, [bytes(TICKET_KEY_BYTES)])
    except ValueError as error:
        raise SetupError(f"The TLS certificate {chain} with the key {key} cannot be used: {error}.") from error
    return certificate


def development(folder: Path, now: datetime) -> Certificate:
    """A certificate for loopback, signed by the authority in `folder` (`ca.pem`), which is made when missing."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    authority_key, authority = _authority(folder, now)
    chain, key = folder / "leaf.pem", folder / "leaf.key"
    if chain.is_file() and key.is_file():
        leaf = x509.load_pem_x509_certificate(chain.read_bytes())
        if leaf.issuer == authority.subject and leaf.not_valid_after_utc - now > LEAF_LIFE / 4:
            return Certificate(chain.read_bytes(), key.read_bytes())
    leaf_key = ec.generate_private_key(ec.SECP256R1())
    leaf = (
        _builder("Chiron on this machine", authority.subject, leaf_key.public_key(), now, LEAF_LIFE)
        .add_extension(x509.SubjectAlternativeName(_names()), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    _write(key, _pem(leaf_key), 0o600)
    _write(chain, leaf.public_bytes(serialization.Encoding.PEM), 0o644)
    return Certificate(chain.read_bytes(), key.read_bytes())


def hashed(folder: Path, now: datetime) -> Hashed:
    """The certificate for QUIC that is due now, `quic.pem` of `folder`; what is missing or due is made."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    current, following = _load(folder / "quic"), _load(folder / "quic-next")
    if current is None or not _is_good(current, now):
        if following is not None and _is_good(following, now):
            for ending in ("key", "pem"):
                (folder / f"quic-next.{ending}").replace(folder / f"quic.{ending}")
            current, following = following, None
        else:
            current, following = _make_hashed(folder / "quic", now), None
    if following is None or not _follows(following, current, now):
        following = _make_hashed(folder / "quic-next", max(now, current.not_valid_before_utc + HASHED_STEP))
    chain, key = folder / "quic.pem", folder / "quic.key"
    return Hashed(Certificate(chain.read_bytes(), key.read_bytes()), (fingerprint(current), fingerprint(following)))


def fingerprint(certificate: x509.Certificate) -> str:
    """Base64 of the SHA-256 of the DER form."""
    return base64.b64encode(certificate.fingerprint(hashes.SHA256())).decode()


def _is_good(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - HASHED_SPARE


def _follows(following: x509.Certificate, current: x509.Certificate, now: datetime) -> bool:
    """Whether it will be good when `current` no longer is, and was told long enough before."""
    change = current.not_valid_after_utc - HASHED_SPARE
    return _is_good(following, change) and following.not_valid_after_utc > current.not_valid_after_utc


def _load(stem: Path) -> x509.Certificate | None:
    """The certificate of `stem`.pem; None where it or its key is missing, or they do not belong together."""
    chain, key_file = stem.with_suffix(".pem"), stem.with_suffix(".key")
    if not chain.is_file() or not key_file.is_file():
        return None
    try:
        certificate = x509.load_pem_x509_certificate(chain.read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    except ValueError:
        return None
    return certificate if certificate.public_key() == key.public_key() else None


def _make_hashed(stem: Path, begin: datetime) -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Chiron on this machine")])
    certificate = (
        _builder(name, name, key.public_key(), begin, HASHED_LIFE)
        .add_extension(x509.SubjectAlternativeName(_names()), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(stem.with_suffix(".key"), _pem(key), 0o600)
    _write(stem.with_suffix(".pem"), certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    return certificate


def _names() -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in NAMES]
    return names + [x509.IPAddress(ipaddress.ip_address(address)) for address in ADDRESSES]


def _authority(folder: Path, now: datetime) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    certificate, key_file = folder / "ca.pem", folder / "ca.key"
    if certificate.is_file() and key_file.is_file():
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise SetupError(f"{key_file} is not the key that Chiron made; move the folder {folder} away")
        return key, x509.load_pem_x509_certificate(certificate.read_bytes())
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Chiron development authority {os.urandom(4).hex()}")])
    allowed: list[x509.GeneralName] = [x509.DNSName(name) for name in NAMES]
    allowed += [x509.IPAddress(ipaddress.ip_network(address)) for address in ADDRESSES]
    authority = (
        _builder(name, name, key.public_key(), now, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        # RFC 5280 §4.2.1.10: whoever trusts this authority trusts it for loopback alone.
        .add_extension(x509.NameConstraints(permitted_subtrees=allowed, excluded_subtrees=None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=False,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=True,
                crl_sign=True,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .sign(key, hashes.SHA256())
    )
    _write(key_file, _pem(key), 0o600)
    _write(certificate, authority.public_bytes(serialization.Encoding.PEM), 0o644)
    return key, authority


def _builder(
    subject: str | x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    if isinstance(subject, str):
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCKS_DIFFER)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
