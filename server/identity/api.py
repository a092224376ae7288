"""Routes of identity."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from chiron.server.identity.model import LogIn, Me, RefreshInput, Register, Session
from chiron.server.identity.service import Identity
from chiron.server.platform import base64url
from chiron.server.ports import ANYONE, SIGNED_IN, Call, Response, Route

JWKS_SECONDS = 300


PublicKeys = Sequence[tuple[str, bytes]]


def routes(identity: Identity, public_keys: Callable[[], PublicKeys]) -> list[Route]:
    """`public_keys` gives (kid, 32-byte Ed25519 public key) of every key whose tokens are accepted now."""

    async def register(call: Call) -> Session:
        return await identity.register(call.body)

    async def log_in(call: Call) -> Session:
        return await identity.log_in(call.body)

    async def refresh(call: Call) -> Session:
        return await identity.refresh(call.body.refresh_token)

    async def log_out(call: Call) -> None:
        assert call.principal is not None
        await identity.end(call.principal)

    async def me(call: Call) -> Me:
        return await identity.me(call.person)

    async def jwks(call: Call) -> Response:
        headers = [("content-type", "application/jwk-set+json"), ("cache-control", f"public, max-age={JWKS_SECONDS}")]
        key_set = {"keys": [_jwk(kid, key) for kid, key in public_keys()]}
        return Response(200, msgspec.json.encode(key_set), headers)

    return [
        Route(
            "POST",
            "/v1/people",
            register,
            ANYONE,
            body=Register,
            result=Session,
            status=201,
            cost=10,
            summary="Make an account and sign in",
        ),
        Route("POST", "/v1/logins", log_in, ANYONE, body=LogIn, result=Session, status=201, cost=10, summary="Sign in"),
        Route(
            "POST",
            "/v1/logins/refresh",
            refresh,
            ANYONE,
            body=RefreshInput,
            result=Session,
            cost=2,
            summary="Exchange a refresh token for the next pair of tokens",
        ),
        Route("DELETE", "/v1/logins/current", log_out, SIGNED_IN, status=204, summary="Sign out"),
        Route("GET", "/v1/me", me, SIGNED_IN, result=Me, summary="One's own account"),
        Route("GET", "/.well-known/jwks.json", jwks, ANYONE, summary="Keys of access tokens (RFC 7517)"),
    ]


def _jwk(kid: str, key: bytes) -> dict[str, str]:
    """RFC 8037 §2."""
    return {"kty": "OKP", "crv": "Ed25519", "x": base64url.encode(key), "kid": kid, "alg": "EdDSA", "use": "sig"}
