"""What people may do with their accounts: register, sign in, stay signed in, sign out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from chiron.errors import Refused
from chiron.server.identity import store, tokens
from chiron.server.identity.model import (
    LogIn,
    Me,
    Register,
    Session,
    checked_name,
    checked_password,
    checked_zone,
    normal_email,
)
from chiron.server.identity.passwords import Passwords
from chiron.server.platform.keys import Sealer
from chiron.server.ports import Clock, Database, Ids, Principal, Tx


class Identity:
    """`ended` is told of each login that has ended: its tokens are refused and its links closed from then on."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        ids: Ids,
        passwords: Passwords,
        sealer: Sealer,
        access: tokens.AccessTokens,
        ended: Callable[[UUID], None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._passwords = passwords
        self._sealer = sealer
        self._access = access
        self._ended = ended

    async def register(self, wanted: Register) -> Session:
        """A new account, signed in. Raises Refused: invalid with its field, email_taken."""
        email = normal_email(wanted.email)
        name = checked_name(wanted.name)
        zone = checked_zone(wanted.zone)
        password = await self._passwords.hash(checked_password(wanted.password))
        person, login, secret, now = self._ids.new(), self._ids.new(), tokens.new_secret(), self._clock.now()

        async def work(tx: Tx) -> Me:
            if not await store.insert_person(
                tx, id=person, email=email, name=name, password=password, locale=wanted.locale, zone=zone, now=now
            ):
                raise Refused("email_taken")
            return await self._begin_login(tx, login, person, secret, wanted.device, now)

        async def landed(tx: Tx) -> Me | None:
            return await store.me(tx, person)

        me = await self._database.run(work, landed=landed)
        return self._session(me, login, secret, 1)

    async def log_in(self, attempt: LogIn) -> Session:
        """Sign in. Raises Refused credentials, after the same work whether or not the address is known."""
        email = attempt.email.strip().lower()
        try:
            email = normal_email(attempt.email)
        except Refused:
            pass  # no account has it: refused below, like any other unknown address

        async def look(tx: Tx) -> tuple[UUID, str] | None:
            return await store.credentials(tx, email)

        found = await self._database.read(look)
        if not await self._passwords.matches(found[1] if found else None, attempt.password) or found is None:
            raise Refused("credentials")
        person, login, secret, now = found[0], self._ids.new(), tokens.new_secret(), self._clock.now()

        async def work(tx: Tx) -> Me:
            return await self._begin_login(tx, login, person, secret, attempt.device, now)

        async def landed(tx: Tx) -> Me | None:
            return await store.me(tx, person) if await store.login(tx, login) else None

        me = await self._database.run(work, landed=landed)
        return self._session(me, login, secret, 1)

    async def refresh(self, text: str) -> Session:
        """The next pair of tokens; the refresh token given is used up. Raises Refused: unauthenticated, login_ended.

        The token used last may be used again for a while and gives the same successor: whoever was cut off before
        the answer is not signed out by it.
        """
        token = tokens.parse_refresh_token(text)
        now = self._clock.now()

        async def work(tx: Tx) -> tuple[Me, bytes]:
            login = await store.lock_login(tx, token.login)
            if login is None:
                raise Refused("unauthenticated")
            secret = self._sealer.open(login.secret, login.id.bytes)
            if not tokens.is_genuine(token, secret):
                raise Refused("unauthenticated")
            if login.ended_at is not None:
                raise Refused("login_ended")
            if token.generation == login.generation + 1:
                await store.advance_login(tx, login.id, token.generation, now)
            elif token.generation != login.generation or now - login.refreshed_at > tokens.REPEATABLE:
                raise Refused("unauthenticated")
            return await self._own(tx, login.person), secret

        async def landed(tx: Tx) -> tuple[Me, bytes] | None:
            login = await store.login(tx, token.login)
            if login is None or login.generation != token.generation:
                return None
            return await self._own(tx, login.person), self._sealer.open(login.secret, login.id.bytes)

        me, secret = await self._database.run(work, landed=landed)
        return self._session(me, token.login, secret, token.generation + 1)

    async def end(self, principal: Principal) -> None:
        """Sign out: tokens of the login are refused and its links closed when this returns."""
        now = self._clock.now()

        async def work(tx: Tx) -> bool:
            return await store.end_login(tx, principal.login, now)

        async def landed(tx: Tx) -> bool | None:
            login = await store.login(tx, principal.login)
            return True if login is None or login.ended_at is not None else None

        await self._database.run(work, landed=landed)
        self._ended(principal.login)

    async def me(self, person: UUID) -> Me:
        async def look(tx: Tx) -> Me | None:
            return await store.me(tx, person)

        me = await self._database.read(look)
        if me is None:
            raise Refused("not_found", what="person")
        return me

    async def ended_lately(self) -> list[UUID]:
        """Logins that ended while access tokens of them may still be valid."""
        since = self._clock.now() - timedelta(seconds=tokens.ACCESS_SECONDS)

        async def look(tx: Tx) -> list[UUID]:
            return await store.ended_since(tx, since)

        return await self._database.read(look)

    # What other domains ask.

    async def by_id(self, tx: Tx, people: Sequence[UUID]) -> dict[UUID, str]:
        """Names of the people that exist, in the caller's transaction."""
        return await store.names(tx, people)

    async def by_email(self, tx: Tx, email: str) -> UUID | None:
        """Who has this address, in the caller's transaction. Raises Refused when it cannot be one."""
        return await store.person_of(tx, normal_email(email))

    async def _begin_login(self, tx: Tx, login: UUID, person: UUID, secret: bytes, device: str, now: datetime) -> Me:
        sealed = self._sealer.seal(secret, login.bytes)
        await store.insert_login(tx, id=login, person=person, secret=sealed, device=device, now=now)
        return await self._own(tx, person)

    async def _own(self, tx: Tx, person: UUID) -> Me:
        """The account of somebody who has a login, and so exists."""
        me = await store.me(tx, person)
        assert me is not None, "rows of people are never deleted"
        return me

    def _session(self, me: Me, login: UUID, secret: bytes, generation: int) -> Session:
        return Session(
            access_token=self._access.issue(me.person, login, self._clock.now()),
            refresh_token=tokens.refresh_token(secret, login, generation),
            expires_in=tokens.ACCESS_SECONDS,
            person=me,
        )
