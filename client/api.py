"""Chiron's REST operations for asyncio programs, over HTTP/1.1 (httpx) or HTTP/3."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import ssl
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import urlsplit

import httpx

from chiron.client.errors import NotReachable, NotTrusted, ServerRefused, SignedOut
from chiron.client.http3 import Http3Transport
from chiron.client.model import (
    Acknowledged,
    Conversation,
    Decision,
    Held,
    History,
    Items,
    KeySet,
    Login,
    Me,
    Member,
    Page,
    Profile,
    Transports,
)
from chiron.client.trust import Trust, distrust

Who = str
"""A person's id, or an e-mail address."""

ENDED = frozenset({"unauthenticated", "login_ended", "refresh_reused"})
"""Refusals of a refresh after which only signing in helps."""

EARLY = 30.0
"""Seconds before expiry at which an access token is exchanged."""


class Api:
    """One person's session with one server.

    `server` is an origin such as `https://localhost:8443`; `ca` a PEM file of authorities to trust beside the system's.
    With `pins`, SHA-256 digests of certificates in base64 or hexadecimal, the server has to show one of those, and
    neither name nor authority counts. `http` is the version of HTTP that requests are made in; `3` needs an address
    that begins with https, and is HTTP/3 alone. Links choose their transport by themselves: see `Link`.

    Every method raises ServerRefused and NotReachable (NotTrusted: because of the certificate); those that need an
    access token also SignedOut.
    """

    def __init__(
        self, server: str, *, ca: Path | None = None, pins: Sequence[str] = (), http: Literal["1.1", "3"] = "1.1"
    ) -> None:
        """Raises ValueError when `server` is no origin, `ca` holds no certificate, or a pin is no digest."""
        self.origin, loopback = _origin(server)
        self.trust = Trust.of(ca, pins)
        secure = self.origin.startswith("https:")
        if http == "3" and not secure:
            raise ValueError(f"HTTP/3 needs an address that begins with https, which {self.origin} does not")
        self.tls: ssl.SSLContext | None = self.trust.context() if secure else None
        self._http = httpx.AsyncClient(
            base_url=self.origin,
            verify=self.tls or True,
            timeout=20.0,
            # No proxy knows this machine's loopback addresses.
            trust_env=not loopback,
            transport=Http3Transport(self.trust) if http == "3" else None,
        )
        self._refreshing = asyncio.Lock()
        self._access = ""
        self._expires_at = 0.0
        self.refresh_token = ""
        """Keep it to sign in again with `resume`; it changes with every refresh."""
        self.person = cast(Me, {})
        """Once signed in."""

    async def close(self) -> None:
        await self._http.aclose()

    # Accounts.

    async def register(
        self,
        email: str,
        password: str,
        name: str,
        *,
        device: str = "chiron.client",
        locale: str | None = None,
        zone: str | None = None,
    ) -> Me:
        """A new account, signed in. It can talk to others once its address is verified: see `verify`."""
        body = {"email": email, "password": password, "name": name, "device": device, "locale": locale, "zone": zone}
        return self._signed_in(await self._send("POST", "/v1/people", _given(body)))

    async def log_in(self, email: str, password: str, *, device: str = "chiron.client") -> Me:
        return self._signed_in(
            await self._send("POST", "/v1/logins", {"email": email, "password": password, "device": device})
        )

    async def resume(self, refresh_token: str) -> Me:
        """Sign in with a kept refresh token."""
        return self._signed_in(await self._send("POST", "/v1/logins/refresh", {"refresh_token": refresh_token}))

    async def log_out(self) -> None:
        await self._call("DELETE", "/v1/logins/current")
        self._access = self.refresh_token = ""

    async def me(self) -> Me:
        self.person = cast(Me, await self._call("GET", "/v1/me"))
        return self.person

    async def change_me(self, *, name: str | None = None, locale: str | None = None, zone: str | None = None) -> Me:
        """What is left out stays."""
        body = _given({"name": name, "locale": locale, "zone": zone})
        self.person = cast(Me, await self._call("PATCH", "/v1/me", body))
        return self.person

    async def change_password(self, current: str, password: str) -> None:
        """Every other login ends."""
        await self._call("PUT", "/v1/me/password", {"current": current, "password": password})

    async def send_verification(self) -> None:
        """Have the mail with the link sent again."""
        await self._call("POST", "/v1/me/verification")

    async def verify(self, token: str) -> None:
        """Verify an address by the token of the mail's link; whoever is signed in here gets a new access token."""
        await self._send("POST", "/v1/verifications", {"token": token})
        if self.refresh_token:
            await self.resume(self.refresh_token)

    async def kept_mail(self, email: str) -> list[dict[str, Any]]:
        """Mails to an address that a server on this machine keeps instead of sending them, the newest first.

        Raises ServerRefused not_found where it sends them, or shows them to nobody.
        """
        items: list[dict[str, Any]] = (await self._send("GET", "/mail.json", query={"to": email}))["items"]
        return items

    async def request_reset(self, email: str) -> None:
        """Have a link sent by which a new password can be chosen, if the address has an account."""
        await self._send("POST", "/v1/resets", {"email": email})

    async def reset_password(self, token: str, password: str) -> None:
        """Every login ends."""
        await self._send("POST", "/v1/resets/password", {"token": token, "password": password})

    async def logins(self, *, cursor: str | None = None, limit: int = 50) -> Page[Login]:
        return cast(Page[Login], await self._call("GET", "/v1/logins", query=_paging(cursor, limit)))

    async def name_login(self, login: str, device: str) -> Login:
        return cast(Login, await self._call("PATCH", f"/v1/logins/{login}", {"device": device}))

    async def end_login(self, login: str) -> None:
        """Sign out another device."""
        await self._call("DELETE", f"/v1/logins/{login}")

    async def end_other_logins(self) -> None:
        await self._call("DELETE", "/v1/logins/others")

    async def profiles(self) -> list[Profile]:
        return cast(Items[Profile], await self._call("GET", "/v1/me/profiles"))["items"]

    async def set_profile(self, kind: Literal["mentor", "mentee"], state: Literal["active", "paused"]) -> Profile:
        return cast(Profile, await self._call("PUT", f"/v1/me/profiles/{kind}", {"state": state}))

    async def jwks(self) -> KeySet:
        """The keys by which access tokens can be checked. Needs no session."""
        return cast(KeySet, await self._send("GET", "/.well-known/jwks.json"))

    async def transports(self) -> Transports:
        """What links may run over, beside WebSocket at this address. Needs no session."""
        return cast(Transports, await self._send("GET", "/v1/transports"))

    async def access_token(self, *, newer_than: str = "") -> str:
        """A token with some life left, and another one than `newer_than`. Raises SignedOut."""
        async with self._refreshing:
            if self._access and self._access != newer_than and time.monotonic() < self._expires_at - EARLY:
                return self._access
            if not self.refresh_token:
                raise SignedOut("sign in first")
            try:
                await self.resume(self.refresh_token)
            except ServerRefused as error:
                if error.code in ENDED:
                    raise SignedOut("the login has ended; sign in again") from error
                raise
            return self._access

    # Conversations. `key` is an Idempotency-Key: whoever sends the same request again with it gets the first answer.

    async def conversations(self, *, cursor: str | None = None, limit: int = 50) -> Page[Conversation]:
        return cast(Page[Conversation], await self._call("GET", "/v1/conversations", query=_paging(cursor, limit)))

    async def direct(self, who: Who) -> Conversation:
        """The direct conversation with somebody, made when there is none. Harmless to repeat."""
        body = {"kind": "direct", "people": [_who(who)]}
        return cast(Conversation, await self._call("POST", "/v1/conversations", body))

    async def group(self, title: str, people: list[Who], *, key: str = "") -> Conversation:
        body = {"kind": "group", "title": title, "people": [_who(who) for who in people]}
        return cast(Conversation, await self._call("POST", "/v1/conversations", body, key=key))

    async def conversation(self, conversation: str) -> Conversation:
        return cast(Conversation, await self._call("GET", f"/v1/conversations/{conversation}"))

    async def members(self, conversation: str, *, cursor: str | None = None, limit: int = 200) -> Page[Member]:
        path = f"/v1/conversations/{conversation}/members"
        return cast(Page[Member], await self._call("GET", path, query=_paging(cursor, limit)))

    async def add(self, conversation: str, who: Who, *, key: str = "") -> Member:
        path = f"/v1/conversations/{conversation}/members"
        return cast(Member, await self._call("POST", path, {"person": _who(who)}, key=key))

    async def remove(self, conversation: str, person: str, *, key: str = "") -> None:
        await self._call("DELETE", f"/v1/conversations/{conversation}/members/{person}", key=key)

    async def leave(self, conversation: str, *, key: str = "") -> None:
        await self._call("DELETE", f"/v1/conversations/{conversation}/members/me", key=key)

    async def publish(self, conversation: str, client_id: str, text: str) -> Acknowledged:
        """Send over REST; repeating it with the same `client_id` (a ULID) is harmless."""
        body = {"client_id": client_id, "kind": "text", "body": {"text": text}}
        return cast(Acknowledged, await self._call("POST", f"/v1/conversations/{conversation}/messages", body))

    async def history(
        self, conversation: str, *, after: int | None = None, before: int | None = None, limit: int = 100
    ) -> History:
        places = {"after": after, "before": before, "limit": limit}
        query = {name: str(value) for name, value in _given(places).items()}
        return cast(History, await self._call("GET", f"/v1/conversations/{conversation}/messages", query=query))

    async def watermark(self, conversation: str, *, received: int | None = None, read: int | None = None) -> None:
        body = _given({"received": received, "read": read})
        await self._call("PUT", f"/v1/conversations/{conversation}/watermark", body)

    # Moderation, for moderators.

    async def held(self, *, cursor: str | None = None, limit: int = 50) -> Page[Held]:
        """Messages that wait for a decision, the oldest first."""
        return cast(Page[Held], await self._call("GET", "/v1/moderation/held", query=_paging(cursor, limit)))

    async def decide(self, message: str, decision: Literal["release", "refuse"]) -> Decision:
        """Harmless to repeat."""
        body = {"message": message, "decision": decision}
        return cast(Decision, await self._call("POST", "/v1/moderation/decisions", body))

    # Transport.

    async def _call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        query: dict[str, str] | None = None,
        key: str = "",
    ) -> dict[str, Any]:
        token = await self.access_token()
        try:
            return await self._send(method, path, body, query=query, token=token, key=key)
        except ServerRefused as error:
            if error.action != "refresh":
                raise
        token = await self.access_token(newer_than=token)
        return await self._send(method, path, body, query=query, token=token, key=key)

    async def _send(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        query: dict[str, str] | None = None,
        token: str = "",
        key: str = "",
    ) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        if key:
            headers["idempotency-key"] = f'"{key}"'
        try:
            response = await self._http.request(method, path, json=body, params=query, headers=headers)
        except httpx.HTTPError as error:
            if (why := distrust(error)) is not None:
                raise NotTrusted(self.origin, why) from error
            raise NotReachable(f"{self.origin} does not answer: {str(error) or type(error).__name__}") from error
        try:
            answer = json.loads(response.content) if response.content else {}
            if not isinstance(answer, dict):
                raise TypeError
            if response.is_success:
                return answer
            raise ServerRefused(
                _text(answer["code"]), answer.get("params"), retry_after=_seconds(response.headers.get("retry-after"))
            )
        except (ValueError, KeyError, TypeError) as error:
            raise NotReachable(
                f"{self.origin} answers with status {response.status_code}, but not like Chiron"
            ) from error

    def _signed_in(self, session: dict[str, Any]) -> Me:
        try:
            self._access = session["access_token"]
            self._expires_at = time.monotonic() + session["expires_in"]
            self.refresh_token = session["refresh_token"]
            self.person = session["person"]
        except KeyError as error:
            raise NotReachable(f"{self.origin} answers, but not like Chiron") from error
        return self.person


def _origin(server: str) -> tuple[str, bool]:
    """Scheme, host and port of an address, and whether it is of this machine alone."""
    wrong = ValueError(f"{server!r} is not a server's address; write one such as https://localhost:8443")
    try:
        parts = urlsplit(server if "://" in server else f"https://{server}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise wrong from None
    extra = parts.path.strip("/") or parts.query or parts.fragment or parts.username
    if parts.scheme not in ("http", "https") or not host or port == 0 or extra:
        raise wrong
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    return f"{parts.scheme}://{parts.netloc}", loopback


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _seconds(retry_after: str | None) -> float | None:
    """RFC 9110 §10.2.3; a date there is of no use to us."""
    return float(retry_after) if retry_after and retry_after.isdecimal() else None


def _given(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _paging(cursor: str | None, limit: int) -> dict[str, str]:
    return {"limit": str(limit)} | ({"cursor": cursor} if cursor else {})


def _who(who: Who) -> dict[str, str]:
    return {"email": who} if "@" in who else {"person": who}
