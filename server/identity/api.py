"""Routes of identity: `docs/protocol.md`, "Accounts"."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from chiron.server.identity import model
from chiron.server.identity.logins import Logins
from chiron.server.identity.recovery import Recovery
from chiron.server.identity.service import Identity
from chiron.server.platform import base64url
from chiron.server.ports import ANYONE, SIGNED_IN, VERIFIED, Call, Principal, Rate, Response, Route, Rule

JWK_SET = "application/jwk-set+json"
JWKS_SECONDS = 300

# Of one address, to what hashes a password: a class that signs in at once, then one a second.
HASHES = Rate(1.0, 100.0)
# Of one address (of one person, where they are signed in), to what sends a mail.
MAILS = Rate(0.1, 20.0)

PublicKeys = Sequence[tuple[str, bytes]]


class IdentityApi:
    """`public_keys` gives (kid, 32-byte Ed25519 public key) of every key whose tokens are accepted now."""

    def __init__(
        self, identity: Identity, logins: Logins, recovery: Recovery, public_keys: Callable[[], PublicKeys]
    ) -> None:
        self._identity = identity
        self._logins = logins
        self._recovery = recovery
        self._public_keys = public_keys
        self._own_login = Rule("own login", check=self._must_be_own, refusals=("not_found",))

    def routes(self) -> list[Route]:
        return [*self._sessions(), *self._signed_in_devices(), *self._account(), *self._from_mails()]

    def _sessions(self) -> list[Route]:
        return [
            Route(
                "POST",
                "/v1/people",
                self.register,
                ANYONE,
                body=model.Register,
                result=model.Session,
                status=201,
                cost=10,
                limit=HASHES,
                summary="Make an account and sign in",
                description="The answer is the same whether or not the address has an account: a mail to it tells. "
                "Only where no verification is asked for is there `email_taken`.",
                refusals=("email_taken", "busy"),
            ),
            Route(
                "POST",
                "/v1/logins",
                self.log_in,
                ANYONE,
                body=model.LogIn,
                result=model.Session,
                status=201,
                cost=10,
                limit=HASHES,
                summary="Sign in",
                refusals=("credentials", "busy"),
            ),
            Route(
                "POST",
                "/v1/logins/refresh",
                self.refresh,
                ANYONE,
                body=model.RefreshInput,
                result=model.Session,
                cost=2,
                summary="Exchange a refresh token for the next pair of tokens",
                description="It may be repeated for 20 seconds, to the same result. Used later, it ends the login.",
                refusals=("unauthenticated", "login_ended", "refresh_reused"),
            ),
            Route(
                "GET",
                "/.well-known/jwks.json",
                self.jwks,
                ANYONE,
                result=model.KeySet,
                media=JWK_SET,
                summary="Keys of access tokens (RFC 7517)",
            ),
        ]

    def _signed_in_devices(self) -> list[Route]:
        return [
            Route(
                "GET",
                "/v1/logins",
                self.logins,
                SIGNED_IN,
                query=model.Paging,
                result=model.LoginPage,
                cost=2,
                summary="Where one is signed in, the newest first",
            ),
            Route(
                "PATCH",
                "/v1/logins/{login:uuid}",
                self.name_login,
                self._own_login,
                body=model.NameDevice,
                result=model.Login,
                once="needless",
                summary="Name a device",
            ),
            Route(
                "DELETE",
                "/v1/logins/{login:uuid}",
                self.end_login,
                self._own_login,
                status=204,
                once="needless",
                summary="Sign a device out; its links close",
            ),
            Route(
                "DELETE",
                "/v1/logins/current",
                self.end_current,
                SIGNED_IN,
                status=204,
                summary="Sign out",
            ),
            Route(
                "DELETE",
                "/v1/logins/others",
                self.end_others,
                SIGNED_IN,
                status=204,
                once="needless",
                summary="Sign out every other device",
            ),
        ]

    def _account(self) -> list[Route]:
        return [
            Route("GET", "/v1/me", self.me, SIGNED_IN, result=model.Me, summary="One's own account"),
            Route(
                "PATCH",
                "/v1/me",
                self.change_me,
                SIGNED_IN,
                body=model.ChangeMe,
                result=model.Me,
                once="needless",
                summary="Change name, locale or time zone",
            ),
            Route(
                "PUT",
                "/v1/me/password",
                self.change_password,
                SIGNED_IN,
                body=model.ChangePassword,
                status=204,
                cost=10,
                summary="Change the password; every other login ends",
                refusals=("credentials", "busy"),
            ),
            Route(
                "GET",
                "/v1/me/profiles",
                self.profiles,
                SIGNED_IN,
                result=model.Profiles,
                summary="One's roles",
            ),
            Route(
                "PUT",
                "/v1/me/profiles/{kind:str}",
                self.set_profile,
                VERIFIED,
                body=model.SetProfile,
                result=model.Profile,
                once="needless",
                summary="Take on the role of a `mentor` or a `mentee`, or pause it",
                refusals=("not_found",),
            ),
        ]

    def _from_mails(self) -> list[Route]:
        return [
            Route(
                "POST",
                "/v1/me/verification",
                self.ask_verification,
                SIGNED_IN,
                status=202,
                cost=5,
                once="needless",
                limit=MAILS,
                summary="Have the mail with the verification link sent again",
            ),
            Route(
                "POST",
                "/v1/verifications",
                self.verify,
                ANYONE,
                body=model.Verify,
                status=204,
                cost=5,
                summary="Verify an address with the token from the mail",
                refusals=("link_expired",),
            ),
            Route(
                "POST",
                "/v1/resets",
                self.ask_reset,
                ANYONE,
                body=model.AskReset,
                status=202,
                cost=10,
                limit=MAILS,
                summary="Have a link to a new password sent, if the address has an account",
            ),
            Route(
                "POST",
                "/v1/resets/password",
                self.reset,
                ANYONE,
                body=model.Reset,
                status=204,
                cost=10,
                limit=HASHES,
                summary="Set a password with the token from the mail; every login ends",
                refusals=("link_expired", "busy"),
            ),
        ]

    # --- handlers -----------------------------------------------------------------------------------------------------

    async def register(self, call: Call) -> model.Session:
        return await self._identity.register(call.body)

    async def log_in(self, call: Call) -> model.Session:
        assert call.request is not None, "it is no command"
        return await self._identity.log_in(call.body, call.request.address)

    async def refresh(self, call: Call) -> model.Session:
        return await self._identity.refresh(call.body.refresh_token)

    async def logins(self, call: Call) -> model.LoginPage:
        return await self._logins.page(_asker(call), call.query.cursor, call.query.limit)

    async def name_login(self, call: Call) -> model.Login:
        return await self._logins.name(_asker(call), call.params["login"], call.body.device)

    async def end_login(self, call: Call) -> None:
        await self._logins.end(_asker(call), call.params["login"])

    async def end_current(self, call: Call) -> None:
        principal = _asker(call)
        await self._logins.end(principal, principal.login)

    async def end_others(self, call: Call) -> None:
        await self._logins.end_others(_asker(call))

    async def me(self, call: Call) -> model.Me:
        return await self._identity.me(call.person)

    async def change_me(self, call: Call) -> model.Me:
        return await self._identity.change_me(call.person, call.body)

    async def change_password(self, call: Call) -> None:
        await self._recovery.change_password(_asker(call), call.body)

    async def profiles(self, call: Call) -> model.Profiles:
        return await self._identity.profiles(call.person)

    async def set_profile(self, call: Call) -> model.Profile:
        return await self._identity.set_profile(call.person, call.params["kind"], call.body.state)

    async def ask_verification(self, call: Call) -> Response:
        await self._recovery.ask_verification(call.person)
        return Response(202)

    async def verify(self, call: Call) -> None:
        await self._recovery.verify(call.body.token)

    async def ask_reset(self, call: Call) -> Response:
        await self._recovery.ask_reset(call.body.email)
        return Response(202)

    async def reset(self, call: Call) -> None:
        await self._recovery.reset(call.body)

    async def jwks(self, _: Call) -> Response:
        key_set = msgspec.json.encode(model.KeySet([_jwk(kid, key) for kid, key in self._public_keys()]))
        headers = [("content-type", JWK_SET), ("cache-control", f"public, max-age={JWKS_SECONDS}")]
        return Response(200, key_set, headers)

    # --- rules --------------------------------------------------------------------------------------------------------

    async def _must_be_own(self, principal: Principal, params: Mapping[str, Any]) -> None:
        await self._logins.must_be_own(principal, params["login"])


def _asker(call: Call) -> Principal:
    assert call.principal is not None, "the rule asks for somebody who is signed in"
    return call.principal


def _jwk(kid: str, key: bytes) -> model.PublicKey:
    return model.PublicKey(x=base64url.encode(key), kid=kid)
