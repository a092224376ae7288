"""Identity with its surroundings: a real database and outbox, a clock that is set, and a postman who remembers."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from chiron._core import Limiter
from chiron.server.identity.expiry import Expiry
from chiron.server.identity.letters import Letters
from chiron.server.identity.logins import Logins
from chiron.server.identity.model import LogIn, Register, Session
from chiron.server.identity.password_rules import PasswordRules, site_names
from chiron.server.identity.passwords import Passwords
from chiron.server.identity.proofs import Proofs
from chiron.server.identity.recovery import Recovery
from chiron.server.identity.service import Identity
from chiron.server.identity.throttle import Throttle
from chiron.server.identity.tokens import AccessTokens
from chiron.server.platform.cursors import SealedCursors
from chiron.server.platform.ids import UuidV7
from chiron.server.platform.keys import Sealer, generate
from chiron.server.platform.mail import Letter, Mailer
from chiron.server.ports import Database, Principal

PASSWORD = "correct horse battery"
ANOTHER = "staple of another horse"
SITE = "https://mentors.example.org"
HOME = "192.0.2.7"
ADA = "ada@example.org"


@dataclass
class SetClock:
    time: datetime = datetime(2026, 11, 24, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()


@dataclass
class Postman:
    """`platform.mail.Transport` that keeps what it takes."""

    letters: list[Letter] = field(default_factory=list)

    async def send(self, letter: Letter) -> None:
        self.letters.append(letter)

    async def close(self) -> None:
        pass


@dataclass
class World:
    identity: Identity
    recovery: Recovery
    logins: Logins
    expiry: Expiry
    passwords: Passwords
    database: Database
    clock: SetClock
    ids: UuidV7
    mailer: Mailer
    postman: Postman
    ended: list[UUID]

    async def register(self, email: str = ADA, **given: Any) -> Session:
        return await self.identity.register(Register(**{"email": email, "password": PASSWORD, "name": "Ada"} | given))

    async def resident(self, email: str = ADA, **given: Any) -> Session:
        """Somebody who has verified their address."""
        session = await self.register(email, **given)
        await self.recovery.verify(await self.token(email))
        return await self.identity.refresh(session.refresh_token)

    async def log_in(self, email: str = ADA, password: str = PASSWORD, address: str = HOME) -> Session:
        return await self.identity.log_in(LogIn(email=email, password=password), address)

    async def mails(self) -> list[Letter]:
        """What was sent since the last call."""
        while await self.mailer.deliver():
            pass
        sent, self.postman.letters = self.postman.letters, []
        return sent

    async def token(self, email: str = ADA) -> str:
        """That of the one link in the newest mail to the address."""
        (*_, text) = (letter.text for letter in await self.mails() if letter.to == email)
        (found,) = re.findall(r"/#/(?:verify|reset)/(\S+)", text)
        return str(found)

    async def rows(self, table: str) -> int:
        return int(await self.database.read(lambda tx: tx.fetchval(f"SELECT count(*) FROM {table}")))


@asynccontextmanager
async def world_of(
    database: Database, *, verification: Literal["required", "off"] = "required", passwords: Passwords | None = None
) -> AsyncIterator[World]:
    clock = SetClock()
    ids = UuidV7(clock)
    hashing = passwords or Passwords()
    ended: list[UUID] = []
    keys = generate()
    postman = Postman()
    mailer = Mailer(database, clock, Sealer(keys.sealing), postman)
    rules = PasswordRules(site_names(SITE))
    links = Proofs(lambda: keys.sealing)
    letters = Letters(mailer, links, ids, SITE)
    throttle = Throttle(Limiter(10_000), clock)
    # The service only needs something that signs; the real signer has tests of its own.
    access = AccessTokens(lambda claims: claims.decode(), "chiron", "chiron", ids)
    identity = Identity(
        database,
        clock,
        ids,
        passwords=hashing,
        rules=rules,
        sealer=Sealer(keys.sealing),
        access=access,
        letters=letters,
        throttle=throttle,
        ended=ended.append,
        verification=verification,
    )
    recovery = Recovery(
        database,
        clock,
        passwords=hashing,
        rules=rules,
        links=links,
        letters=letters,
        throttle=throttle,
        ended=ended.append,
    )
    logins = Logins(database, clock, SealedCursors(keys.cursor), ended.append)
    expiry = Expiry(database, clock, ended.append)
    yield World(identity, recovery, logins, expiry, hashing, database, clock, ids, mailer, postman, ended)
    hashing.close()


def claims(session: Session) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(session.access_token)
    return found


def principal(session: Session) -> Principal:
    found = claims(session)
    return Principal(UUID(found["sub"]), UUID(found["sid"]), float(found["exp"]), verified="verified" in found["scope"])
