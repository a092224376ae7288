"""The mails of identity. Each is put in the unit of work that it belongs to.

None of them has a word that somebody else chose: who registers another one's address may not write to them. They are of
one size class with and without a link, and are put, for nobody, where nothing is to be said.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from chiron.server.identity import store
from chiron.server.identity.proofs import LIFETIME, Proofs, Purpose
from chiron.server.ports import Ids, Mail, MailQueue, Tx

VERIFICATION = """\
Somebody, probably you, has made an account at {site} with this e-mail address.

To confirm that it is yours, open this page within 24 hours and press the button there:

{link}

If it was not you, do nothing: the account cannot be used to talk to anybody, and is
deleted after two weeks.
"""
TAKEN = """\
Somebody, probably you, wanted to make an account at {site} with this e-mail address.

You already have one. Sign in with it; if you do not remember the password, ask for
another one on the page where you sign in:

{site}/#/forgot

If it was not you, do nothing: nothing has changed.
"""
RESET = """\
Somebody, probably you, has asked for a new password at {site}.

To choose one, open this page within an hour:

{link}

Every device that is signed in will be signed out then. If it was not you, do nothing:
your password stays as it is.
"""
CHANGED = """\
The password of your account at {site} was changed, and every other device that was
signed in has been signed out.

If it was not you, choose another password at once:

{site}/#/forgot
"""


class Letters:
    """`site` is the origin at which people reach the page."""

    def __init__(self, mail: MailQueue, proofs: Proofs, ids: Ids, site: str) -> None:
        self._mail = mail
        self._proofs = proofs
        self._ids = ids
        self._site = site

    async def verification(self, tx: Tx, person: UUID, email: str, now: datetime, *, taken: bool, send: bool) -> None:
        """To who registered: a link, or that they have an account already. If it is sent, older links end."""
        link = await self._link(tx, "verification", person if send else None, email, now)
        subject = "You already have an account" if taken else "Confirm your e-mail address"
        text = TAKEN if taken else VERIFICATION
        await self._put(tx, email if send else None, subject, text.format(site=self._site, link=link), now)

    async def reset(self, tx: Tx, person: UUID | None, email: str, now: datetime, *, send: bool) -> None:
        """To who forgot their password; without a person the same work is done for nobody."""
        known = person is not None and send
        link = await self._link(tx, "reset", person if send else None, email, now)
        await self._put(
            tx, email if known else None, "Choose a new password", RESET.format(site=self._site, link=link), now
        )

    async def password_changed(self, tx: Tx, email: str, now: datetime) -> None:
        await self._put(tx, email, "Your password was changed", CHANGED.format(site=self._site), now)

    def wake(self) -> None:
        """After COMMIT."""
        self._mail.wake()

    async def _link(self, tx: Tx, purpose: Purpose, person: UUID | None, email: str, now: datetime) -> str:
        """A new link in the place of an older one; nobody's when it goes to nobody, so that the older one works on."""
        id = self._ids.new()
        await store.put_proof(
            tx,
            id=id,
            person=person or self._ids.new(),
            purpose=purpose,
            email=email,
            now=now,
            expires_at=now + LIFETIME[purpose],
        )
        page = "verify" if purpose == "verification" else "reset"
        return f"{self._site}/#/{page}/{self._proofs.token(id, purpose, email)}"

    async def _put(self, tx: Tx, to: str | None, subject: str, text: str, now: datetime) -> None:
        await self._mail.put(tx, Mail(self._ids.new(), to, subject, text), now)
