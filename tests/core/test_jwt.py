"""Tokens as Python sees them, and as another implementation of RFC 8032 signs and checks them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from chiron._core import Signer, Verifier

NOW = 1_764_021_600
SEED = bytes(range(32))
CLAIMS: dict[str, Any] = {
    "iss": "https://chiron.test",
    "sub": "0193a1b2-0000-7000-8000-000000000001",
    "aud": "chiron",
    "exp": NOW + 600,
    "iat": NOW,
    "jti": "j",
    "sid": "0193a1b2-0000-7000-8000-000000000002",
    "client_id": "web",
    "version": 1,
}


def encode(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def token(**changes: Any) -> str:
    return Signer("k1", SEED).sign(json.dumps(CLAIMS | changes).encode())


def verifier(**options: Any) -> Verifier:
    verifier = Verifier("https://chiron.test", "chiron", **options)
    verifier.set_keys([("k1", Signer("k1", SEED).public_key)])
    return verifier


def refusal(verifier: Verifier, token: str, now: float = NOW) -> str:
    with pytest.raises(ValueError) as caught:
        verifier.verify(token, now)
    (message,) = caught.value.args
    assert isinstance(message, str)
    assert not any(len(part) > 8 and part in message for part in token.split("."))
    return message


def test_claims_come_back_with_their_types() -> None:
    claims = verifier().verify(token(), NOW)
    for name, value in CLAIMS.items() - {("version", 1)}:
        read = getattr(claims, name)
        assert read == value
        assert type(read) is type(value)


def test_rfc8037_3_1_another_implementation_agrees() -> None:
    mine, theirs = Signer("k1", SEED), Ed25519PrivateKey.from_private_bytes(SEED)
    assert mine.public_key == theirs.public_key().public_bytes_raw()
    header, claims, signature = token().split(".")
    assert json.loads(decode(header)) == {"alg": "EdDSA", "typ": "at+jwt", "kid": "k1"}
    assert json.loads(decode(claims)) == CLAIMS
    Ed25519PublicKey.from_public_bytes(mine.public_key).verify(decode(signature), f"{header}.{claims}".encode())
    made = f"{encode(decode(header))}.{encode(json.dumps(CLAIMS).encode())}"
    assert verifier().verify(f"{made}.{encode(theirs.sign(made.encode()))}", NOW).sub == CLAIMS["sub"]


def test_expiry_has_a_message_of_its_own_also_for_remembered_tokens() -> None:
    checked, good = verifier(), token()
    checked.verify(good, NOW)
    assert refusal(checked, good, NOW + 600) == "expired"
    assert refusal(verifier(), good, NOW + 600) == "expired"
    assert verifier(leeway=5.0).verify(good, NOW + 604).exp == NOW + 600


def test_removed_keys_take_their_tokens_along() -> None:
    checked, good = verifier(), token()
    checked.verify(good, NOW)
    checked.set_keys([("k2", Signer("k2", bytes(32)).public_key)])
    assert refusal(checked, good) == "key is not known"


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("", "not three parts of base64url"),
        ("a.b", "not three parts of base64url"),
        ("é.é.é", "not three parts of base64url"),
        (token() + "=", "not three parts of base64url"),
        (token()[:-6], "signature is wrong"),
        (token(iss="https://other.test"), "issuer is another"),
        (token(aud="other"), "audience is another"),
        (token(aud=["chiron"]), "claim aud is missing or of another type"),
        (token(sid=None), "claim sid is missing or of another type"),
        (token(iat=NOW + 1), "not valid yet"),
        (token(note="x" * 4096), "longer than 4096 bytes"),
        (encode(b'{"alg":"none"}') + "." + token().split(".")[1] + ".", "header is not exactly alg, kid and typ"),
    ],
)
def test_what_is_wrong_is_said_without_quoting_the_token(bad: str, message: str) -> None:
    assert refusal(verifier(), bad) == message


def test_keys_and_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="an Ed25519 key has 32 bytes"):
        Signer("k1", bytes(31))
    with pytest.raises(ValueError, match="a key id has 1 to 64 visible ASCII characters"):
        Signer("", SEED)
    with pytest.raises(ValueError, match="claims are not a JSON object"):
        Signer("k1", SEED).sign(b"[]")
    with pytest.raises(ValueError, match="an Ed25519 key has 32 bytes"):
        verifier().set_keys([("k1", b"short")])
    with pytest.raises(ValueError, match="leeway must be finite and not below 0"):
        Verifier("i", "a", leeway=-1.0)
    with pytest.raises(ValueError, match="now must be finite"):
        verifier().verify(token(), float("nan"))
