"""Certificates that pages trust by their hash, over weeks that a test lets pass."""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from chiron.server.edge import certificates
from chiron.server.edge.certificates import Hashed

BEGIN = datetime(2027, 1, 1, tzinfo=UTC)


def leaf(made: Hashed) -> x509.Certificate:
    return x509.load_pem_x509_certificate(made.certificate.chain)


def test_it_is_what_browsers_take_by_hash(tmp_path: Path) -> None:
    """WebTransport, custom certificate requirements: X.509v3, at most two weeks, no RSA key; and P-256."""
    made = certificates.hashed(tmp_path, BEGIN)
    one = leaf(made)
    assert one.version is x509.Version.v3
    assert one.not_valid_after_utc - one.not_valid_before_utc < timedelta(days=14)
    key = one.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert isinstance(key.curve, ec.SECP256R1)
    one.verify_directly_issued_by(one)
    names = one.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    der = one.public_bytes(serialization.Encoding.DER)
    assert made.hashes[0] == base64.b64encode(hashlib.sha256(der).digest()).decode()
    assert serialization.load_pem_private_key(made.certificate.key, None).public_key() == key


def test_keys_are_for_the_owner_alone(tmp_path: Path) -> None:
    certificates.hashed(tmp_path / "tls", BEGIN)
    assert sorted(path.name for path in (tmp_path / "tls").iterdir()) == [
        "quic-next.key",
        "quic-next.pem",
        "quic.key",
        "quic.pem",
    ]
    for name in ("quic.key", "quic-next.key"):
        assert (tmp_path / "tls" / name).stat().st_mode & 0o777 == 0o600


def test_the_next_start_finds_it(tmp_path: Path) -> None:
    assert certificates.hashed(tmp_path, BEGIN) == certificates.hashed(tmp_path, BEGIN + timedelta(days=1))


def test_a_hash_that_was_told_holds_for_days(tmp_path: Path) -> None:
    """Whatever moment a page was told two hashes, four days later the certificate in use is one of them."""
    shown: list[tuple[datetime, tuple[str, str], str]] = []
    for hour in range(0, 24 * 60, 3):
        now = BEGIN + timedelta(hours=hour)
        made = certificates.hashed(tmp_path, now)
        one = leaf(made)
        assert one.not_valid_before_utc <= now < one.not_valid_after_utc - timedelta(days=2)
        shown.append((now, made.hashes, made.hashes[0]))
    for now, told, _ in shown:
        for later, _, used in shown:
            if now <= later <= now + timedelta(days=4):
                assert used in told
    assert len({used for _, _, used in shown}) == 10, "a change each six days, but for the first after ten"


@settings(max_examples=30)
@given(st.lists(st.floats(-30, 60), max_size=6))
def test_whatever_the_clock_does_the_certificate_is_valid(steps: list[float]) -> None:
    now = BEGIN
    with tempfile.TemporaryDirectory() as name:
        for step in steps:
            now += timedelta(days=step)
            made = certificates.hashed(Path(name), now)
            one = leaf(made)
            assert one.not_valid_before_utc <= now < one.not_valid_after_utc - timedelta(days=2)
            assert made.hashes[0] == certificates.fingerprint(one)
            following = x509.load_pem_x509_certificate((Path(name) / "quic-next.pem").read_bytes())
            assert made.hashes[1] == certificates.fingerprint(following)
            change = one.not_valid_after_utc - certificates.HASHED_SPARE
            assert following.not_valid_before_utc <= change < following.not_valid_after_utc - timedelta(days=2)


@pytest.mark.parametrize("name", ["quic.pem", "quic.key", "quic-next.pem", "quic-next.key"])
@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----\n"])
def test_what_a_crash_left_is_made_again(tmp_path: Path, name: str, content: bytes | None) -> None:
    certificates.hashed(tmp_path, BEGIN)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    made = certificates.hashed(tmp_path, BEGIN)
    key = serialization.load_pem_private_key(made.certificate.key, None)
    assert leaf(made).public_key() == key.public_key()
    assert certificates.hashed(tmp_path, BEGIN) == made


def test_a_change_that_was_cut_short_leaves_no_certificate_with_another_key(tmp_path: Path) -> None:
    certificates.hashed(tmp_path, BEGIN)
    os.replace(tmp_path / "quic-next.key", tmp_path / "quic.key")
    made = certificates.hashed(tmp_path, BEGIN + timedelta(days=11))
    key = serialization.load_pem_private_key(made.certificate.key, None)
    assert leaf(made).public_key() == key.public_key()
