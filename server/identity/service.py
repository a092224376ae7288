"""What people may do with their accounts: register, sign in, stay signed in, change what is known of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from chiron.errors import Refused
from chiron.server.identity import store, tokens
from chiron.server.identity.letters import Letters
from chiron.server.identity.model import (
    ChangeMe,
    LogIn,
    Me,
    Profile,
    ProfileKind,
    Profiles,
    ProfileState,
    Register,
    Session,
    checked_device,
    checked_name,
    checked_zone,
    normal_email,
)
from chiron.server.identity.password_rules import PasswordRules
from chiron.server.identity.passwords import Passwords
from chiron.server.identity.throttle import Throttle
from chiron.server.platform import crashpoint
from chiron.server.platform.keys import Sealer
from chiron.server.ports import Clock, Database, Ids, Principal, Tx


class Identity:
    """Accounts and their sessions; also `ports.People`.

    `ended` is told of each login that has ended: its tokens are refused and its links closed from then on.
    `verification` is that of the settings.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        ids: Ids,
        *,
        passwords: Passwords,
        rules: PasswordRules,
        sealer: Sealer,
        access: tokens.AccessTokens,
        letters: Letters,
        throttle: Throttle,
        ended: Callable[[UUID], None],
        verification: Literal["required", "off"] = "required",
    ) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._passwords = passwords
        self._rules = rules
        self._sealer = sealer
        self._access = access
        self._letters = letters
        self._throttle = throttle
        self._ended = ended
        self._verification = verification

    # --- sessions -----------------------------------------------------------------------------------------------------

    async def register(self, wanted: Register) -> Session:
        """A new account, signed in. Where verification is required, it is the same whether or not the address has one.

        Raises Refused: invalid with its field; without verification, email_taken.
        """
        email = normal_email(wanted.email)
        name = checked_name(wanted.name)
        zone = checked_zone(wanted.zone)
        device = checked_device(wanted.device)
        password = await self._passwords.hash(self._rules.check(wanted.password, email))
        person, login, secret, now = self._ids.new(), self._ids.new(), tokens.new_secret(), self._clock.now()
        by_mail = self._verification == "required"
        may_send = self._throttle.mail("verification", email)

        async def work(tx: Tx) -> Me:
            if not await store.insert_person(
                tx,
                id=person,
                email=email,
                name=name,
                password=password,
                locale=wanted.locale,
                zone=zone,
                now=now,
                verified_at=None if by_mail else now,
            ):
                raise Refused("email_taken")
            if by_mail:
                taken = await store.person_of(tx, email) is not None
                await self._letters.verification(tx, person, email, now, taken=taken, send=may_send())
            me = await self._begin_login(tx, login, person, secret, device, now)
            crashpoint.reach("identity.before_commit")
            return me

        async def landed(tx: Tx) -> Me | None:
            return await store.me(tx, person)

        me = await self._database.run(work, landed=landed)
        self._letters.wake()
        crashpoint.reach("identity.after_register")
        return self._session(me, login, secret, 1)

    async def provision(self, email: str, name: str) -> Principal:
        """Whoever has verified the address, made when nobody has: for a program that acts here itself, as a bot does.

        Nobody knows the password of an account that is made so. Raises Refused invalid, with its field.
        """
        email, name = normal_email(email), checked_name(name)
        password = await self._passwords.hash(tokens.new_secret().hex())
        made, now = self._ids.new(), self._clock.now()

        async def work(tx: Tx) -> UUID:
            inserted = await store.insert_person(
                tx,
                id=made,
                email=email,
                name=name,
                password=password,
                locale="en",
                zone="UTC",
                now=now,
                verified_at=now,
            )
            if not inserted:
                raise Refused("email_taken")
            return made

        async def landed(tx: Tx) -> UUID | None:
            return await store.person_of(tx, email)

        person = await self._database.read(landed)
        if person is None:
            try:
                person = await self._database.run(work, landed=landed)
            except Refused:
                person = await self._database.read(landed)
        assert person is not None, "the address is taken by somebody who verified it"
        return Principal(person=person, login=UUID(int=0), expires_at=math.inf, client="program", verified=True)

    async def log_in(self, attempt: LogIn, address: str) -> Session:
        """Sign in from `address`, an IP address.

        Raises Refused credentials, after the same work whether or not the e-mail address is known; Unavailable limited.
        """
        email = attempt.email.strip().lower()
        try:
            email = normal_email(attempt.email)
        except Refused:
            pass  # no account has it: refused below, like any other unknown address
        device = checked_device(attempt.device)
        self._throttle.password(email, address)

        async def look(tx: Tx) -> tuple[UUID, str] | None:
            return await store.credentials(tx, email)

        found = await self._database.read(look)
        if not await self._passwords.matches(found[1] if found else None, attempt.password) or found is None:
            raise Refused("credentials")
        (person, checked), login, secret, now = found, self._ids.new(), tokens.new_secret(), self._clock.now()

        async def work(tx: Tx) -> Me:
            # Whoever changed the password meanwhile has ended all logins, and this would be one more.
            if not await store.lock_password(tx, person, checked):
                raise Refused("credentials")
            return await self._begin_login(tx, login, person, secret, device, now)

        async def landed(tx: Tx) -> Me | None:
            return await store.me(tx, person) if await store.login(tx, login) else None

        me = await self._database.run(work, landed=landed)
        return self._session(me, login, secret, 1)

    async def refresh(self, text: str) -> Session:
        """The next pair of tokens; the refresh token given is used up.

        The token used last may be used again for a while and gives the same successor: whoever was cut off before the
        answer is not signed out by it. Any other use of a used one says that two have it, so the login ends.
        Raises Refused: unauthenticated, login_ended, refresh_reused.
        """
        token = tokens.parse_refresh_token(text)
        now = self._clock.now()

        async def work(tx: Tx) -> tuple[Me | None, bytes]:
            login = await store.lock_login(tx, token.login)
            if login is None:
                raise Refused("unauthenticated")
            secret = self._sealer.open(login.secret, login.id.bytes)
            if not tokens.is_genuine(token, secret):
                raise Refused("unauthenticated")
            if login.ended_at is not None:
                raise Refused("login_ended")
            match tokens.use(token.generation, login.generation, now - login.refreshed_at):
                case "first":
                    await store.advance_login(tx, login.id, token.generation, now)
                case "unissued":
                    raise Refused("unauthenticated")
                case "reused":
                    await store.end_login(tx, login.id, now)
                    return None, secret
            return await self._own(tx, login.person), secret

        async def landed(tx: Tx) -> tuple[Me | None, bytes] | None:
            login = await store.login(tx, token.login)
            if login is None or (login.ended_at is None and login.generation != token.generation):
                return None
            me = None if login.ended_at is not None else await self._own(tx, login.person)
            return me, self._sealer.open(login.secret, login.id.bytes)

        me, secret = await self._database.run(work, landed=landed)
        crashpoint.reach("identity.after_refresh")
        if me is None:
            self._ended(token.login)
            raise Refused("refresh_reused")
        return self._session(me, token.login, secret, token.generation + 1)

    # --- the account --------------------------------------------------------------------------------------------------

    async def me(self, person: UUID) -> Me:
        async def look(tx: Tx) -> Me | None:
            return await store.me(tx, person)

        me = await self._database.read(look)
        if me is None:
            raise Refused("not_found", what="person")
        return me

    async def change_me(self, person: UUID, wanted: ChangeMe) -> Me:
        """Harmless to repeat. Raises Refused: invalid with its field, not_found."""
        name = None if wanted.name is None else checked_name(wanted.name)
        zone = None if wanted.zone is None else checked_zone(wanted.zone)

        async def work(tx: Tx) -> Me | None:
            await store.change_me(tx, person, name=name, locale=wanted.locale, zone=zone)
            return await store.me(tx, person)

        async def landed(_: Tx) -> Me | None:
            return None

        me = await self._database.run(work, landed=landed)
        if me is None:
            raise Refused("not_found", what="person")
        return me

    async def profiles(self, person: UUID) -> Profiles:
        return Profiles(items=await self._database.read(lambda tx: store.profiles(tx, person)))

    async def set_profile(self, person: UUID, kind: str, state: ProfileState) -> Profile:
        """Harmless to repeat. Raises Refused not_found for what is no kind of profile."""
        if kind not in KINDS:
            raise Refused("not_found", what="profile")
        known, now = KINDS[kind], self._clock.now()

        async def work(tx: Tx) -> Profile:
            return await store.set_profile(tx, person, known, state, now)

        async def landed(_: Tx) -> Profile | None:
            return None

        return await self._database.run(work, landed=landed)

    # --- what other domains ask ---------------------------------------------------------------------------------------

    async def by_id(self, tx: Tx, people: Sequence[UUID]) -> dict[UUID, str]:
        """See `ports.People.by_id`."""
        return await store.names(tx, people)

    async def by_email(self, tx: Tx, email: str, *, asker: UUID) -> UUID | None:
        """See `ports.People.by_email`."""
        address = normal_email(email)
        self._throttle.lookup(asker)
        return await store.person_of(tx, address)

    # --- parts --------------------------------------------------------------------------------------------------------

    async def _begin_login(self, tx: Tx, login: UUID, person: UUID, secret: bytes, device: str, now: datetime) -> Me:
        sealed = self._sealer.seal(secret, login.bytes)
        await store.insert_login(tx, id=login, person=person, secret=sealed, device=device, now=now)
        return await self._own(tx, person)

    async def _own(self, tx: Tx, person: UUID) -> Me:
        """The account of somebody with a login that has not ended: erasing one ends the other."""
        me = await store.me(tx, person)
        if me is None:
            raise Refused("login_ended")
        return me

    def _session(self, me: Me, login: UUID, secret: bytes, generation: int) -> Session:
        return Session(
            access_token=self._access.issue(me.person, login, self._clock.now(), verified=me.verified),
            refresh_token=tokens.refresh_token(secret, login, generation),
            expires_in=tokens.ACCESS_SECONDS,
            person=me,
        )


KINDS: dict[str, ProfileKind] = {"mentor": "mentor", "mentee": "mentee"}
