"""Proofs that an address is somebody's, and what they open: verification, a new password."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

from chiron.errors import Refused
from chiron.server.identity import proofs, store
from chiron.server.identity.letters import Letters
from chiron.server.identity.model import ChangePassword, Reset, StoredProof, normal_email
from chiron.server.identity.password_rules import PasswordRules
from chiron.server.identity.passwords import Passwords
from chiron.server.identity.proofs import Proofs, Purpose
from chiron.server.identity.throttle import Throttle
from chiron.server.platform import crashpoint
from chiron.server.ports import Clock, Database, Principal, StatementError, Tx


class Recovery:
    """`ended` is told of each login that has ended."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        passwords: Passwords,
        rules: PasswordRules,
        links: Proofs,
        letters: Letters,
        throttle: Throttle,
        ended: Callable[[UUID], None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords
        self._rules = rules
        self._links = links
        self._letters = letters
        self._throttle = throttle
        self._ended = ended

    # --- verification -------------------------------------------------------------------------------------------------

    async def ask_verification(self, person: UUID) -> None:
        """Send the mail of the registration again. Nothing happens where there is nothing to verify."""
        account = await self._database.read(lambda tx: store.me(tx, person))
        if account is None or account.verified:
            return
        email, now = account.email, self._clock.now()
        may_send = self._throttle.mail("verification", email)

        async def work(tx: Tx) -> None:
            taken = await store.person_of(tx, email) is not None
            await self._letters.verification(tx, person, email, now, taken=taken, send=may_send())

        await self._put(work)

    async def verify(self, text: str) -> None:
        """The address becomes theirs. Raises Refused link_expired, also when it became somebody else's meanwhile."""
        token, now = proofs.parse(text), self._clock.now()

        async def work(tx: Tx) -> UUID:
            proof = await self._take(tx, token, "verification")
            if not await store.verify(tx, proof.person, proof.email, now):
                raise Refused("link_expired")
            return proof.person

        found = await self._database.read(lambda tx: self._look(tx, token, "verification"))

        async def landed(tx: Tx) -> UUID | None:
            me = await store.me(tx, found.person)
            return found.person if me is not None and me.verified and me.email == found.email else None

        try:
            await self._database.run(work, landed=landed)
        except StatementError as error:
            raise _taken(error) from error

    # --- reset --------------------------------------------------------------------------------------------------------

    async def ask_reset(self, text: str) -> None:
        """Send a link to a new password, if the address is anybody's; the same work is done if it is not.

        Raises Refused invalid when it cannot be an address.
        """
        email, now = normal_email(text), self._clock.now()
        may_send = self._throttle.mail("reset", email)

        async def work(tx: Tx) -> None:
            await self._letters.reset(tx, await store.who_resets(tx, email), email, now, send=may_send())

        await self._put(work)
        crashpoint.reach("identity.after_ask_reset")

    async def reset(self, wanted: Reset) -> None:
        """Set the password, end every login, and take the address for verified: the mail was read there.

        Raises Refused: link_expired, invalid (password); Unavailable busy.
        """
        token = proofs.parse(wanted.token)
        found = await self._database.read(lambda tx: self._look(tx, token, "reset"))
        password = await self._passwords.hash(self._rules.check(wanted.password, found.email))
        now = self._clock.now()

        async def work(tx: Tx) -> list[UUID]:
            proof = await self._take(tx, token, "reset")
            await store.drop_proofs(tx, proof.person, "verification")
            if not await store.reset_password(tx, proof.person, proof.email, password, now):
                raise Refused("link_expired")
            await self._letters.password_changed(tx, proof.email, now)
            ended = await store.end_logins(tx, [proof.person], now)
            crashpoint.reach("identity.before_commit")
            return ended

        async def landed(tx: Tx) -> list[UUID] | None:
            if not await store.has_password(tx, found.person, password):
                return None
            return await store.ended_at(tx, [found.person], now)

        try:
            ended = await self._database.run(work, landed=landed)
        except StatementError as error:
            raise _taken(error) from error
        self._finish(ended)
        crashpoint.reach("identity.after_reset")

    async def change_password(self, principal: Principal, wanted: ChangePassword) -> None:
        """Needs the current one, and ends every other login.

        Raises Refused: credentials, invalid (password), not_found; Unavailable: limited, busy.
        """
        person = principal.person
        self._throttle.current_password(person)
        own = await self._database.read(lambda tx: store.own_credentials(tx, person))
        if own is None:
            raise Refused("not_found", what="person")
        email, current, verified = own
        if not await self._passwords.matches(current, wanted.current):
            raise Refused("credentials")
        password = await self._passwords.hash(self._rules.check(wanted.password, email))
        now = self._clock.now()

        async def work(tx: Tx) -> list[UUID]:
            await store.drop_proofs(tx, person, "reset")
            if not await store.replace_password(tx, person, current, password):
                raise Refused("credentials")
            if verified:  # who registers another one's address may not write to them, as often as they like
                await self._letters.password_changed(tx, email, now)
            return await store.end_logins(tx, [person], now, but=principal.login)

        async def landed(tx: Tx) -> list[UUID] | None:
            if not await store.has_password(tx, person, password):
                return None
            return await store.ended_at(tx, [person], now)

        self._finish(await self._database.run(work, landed=landed))

    # --- parts --------------------------------------------------------------------------------------------------------

    async def _look(self, tx: Tx, token: proofs.Token, purpose: Purpose) -> StoredProof:
        return self._checked(await store.proof(tx, token.id), token, purpose)

    async def _take(self, tx: Tx, token: proofs.Token, purpose: Purpose) -> StoredProof:
        return self._checked(await store.take_proof(tx, token.id), token, purpose)

    def _checked(self, proof: StoredProof | None, token: proofs.Token, purpose: Purpose) -> StoredProof:
        """Raises Refused link_expired, whatever is wrong with it."""
        if (
            proof is None
            or proof.purpose != purpose
            or not self._links.is_genuine(token, purpose, proof.email)
            or self._clock.now() >= proof.expires_at
        ):
            raise Refused("link_expired")
        return proof

    async def _put(self, work: Callable[[Tx], Awaitable[None]]) -> None:
        """What is lost with an unanswered COMMIT is done again: then there are two mails, and the newer link works."""

        async def landed(_: Tx) -> None:
            return None

        await self._database.run(work, landed=landed)
        self._letters.wake()

    def _finish(self, ended: list[UUID]) -> None:
        for login in ended:
            self._ended(login)
        self._letters.wake()


def _taken(error: StatementError) -> Exception:
    """Somebody else verified the address first; anything else is a fault of ours."""
    return Refused("link_expired") if error.constraint == store.ONE_VERIFIED else error
