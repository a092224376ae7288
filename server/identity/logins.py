"""The devices that somebody is signed in on: list them, name them, end them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

from chiron.errors import Refused
from chiron.server.identity import store
from chiron.server.identity.model import Login, LoginPage, checked_device
from chiron.server.ports import Clock, Cursors, Database, Principal, Tx

_BEYOND = UUID(int=2**128 - 1)


class Logins:
    """`ended` is told of each login that has ended: its tokens are refused and its links closed from then on."""

    def __init__(self, database: Database, clock: Clock, cursors: Cursors, ended: Callable[[UUID], None]) -> None:
        self._database = database
        self._clock = clock
        self._cursors = cursors
        self._ended = ended

    async def page(self, principal: Principal, cursor: str | None, limit: int) -> LoginPage:
        """One's own that have not ended, the newest first. Raises Refused invalid (cursor)."""
        scope = f"logins:{principal.person}"
        below = UUID(bytes=self._cursors.open(scope, cursor)) if cursor is not None else _BEYOND

        async def look(tx: Tx) -> list[Login]:
            return await store.logins_of(tx, principal.person, principal.login, below, limit + 1)

        found = await self._database.read(look)
        items = found[:limit]
        more = len(found) > limit
        return LoginPage(items=items, next=self._cursors.seal(scope, items[-1].login.bytes) if more else None)

    async def must_be_own(self, principal: Principal, login: UUID) -> None:
        """Whether or not it has ended. Raises Refused not_found."""
        found = await self._database.read(lambda tx: store.login(tx, login))
        if found is None or found.person != principal.person:
            raise Refused("not_found", what="login")

    async def name(self, principal: Principal, login: UUID, device: str) -> Login:
        """Harmless to repeat. Raises Refused: not_found, invalid (device)."""
        name = checked_device(device)

        async def work(tx: Tx) -> Login:
            named = await store.name_device(tx, principal.person, login, principal.login, name)
            if named is None:
                raise Refused("not_found", what="login")
            return named

        async def landed(_: Tx) -> Login | None:
            return None

        return await self._database.run(work, landed=landed)

    async def end(self, principal: Principal, login: UUID) -> None:
        """Sign out one of one's own; harmless to repeat. Raises Refused not_found."""
        now = self._clock.now()

        async def work(tx: Tx) -> list[UUID]:
            found = await store.lock_login(tx, login)
            if found is None or found.person != principal.person:
                raise Refused("not_found", what="login")
            await store.end_login(tx, login, now)
            return [login]

        await self._run(work)

    async def end_others(self, principal: Principal) -> None:
        """All but the one that asks."""
        now = self._clock.now()

        async def work(tx: Tx) -> list[UUID]:
            return await store.end_logins(tx, [principal.person], now, but=principal.login)

        async def landed(tx: Tx) -> list[UUID] | None:
            return await store.ended_at(tx, [principal.person], now) or None

        await self._run(work, landed)

    async def _run(
        self,
        work: Callable[[Tx], Awaitable[list[UUID]]],
        landed: Callable[[Tx], Awaitable[list[UUID] | None]] | None = None,
    ) -> None:
        """Tokens are refused and links closed when this returns."""

        async def nothing(_: Tx) -> list[UUID] | None:
            return None  # done again, to the same effect

        for login in await self._database.run(work, landed=landed or nothing):
            self._ended(login)
