"""No query of identity reads a table from end to end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from database import MigratedDatabase

from chiron.server.identity import store
from chiron.server.ports import Row, Tx

PEOPLE, LOGINS = 5_000, 20_000
SOMEBODY = UUID("01900000-0000-7000-8000-000000000100")
LAST = UUID(int=2**128 - 1)
LATE = datetime(2100, 1, 1, tzinfo=UTC)

FILL = """
    INSERT INTO person (id, number, created_at)
        SELECT ('01900000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, i, now()
        FROM generate_series(1, {people}) i;
    INSERT INTO person_private (person, email, name, password, verified_at)
        SELECT id, number || '@example.org', 'P', '', CASE WHEN number % 50 > 0 THEN now() END FROM person;
    INSERT INTO login (id, person, secret, created_at, refreshed_at, ended_at, ended_by)
        SELECT ('01900000-0001-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid,
               ('01900000-0000-7000-8000-' || lpad(to_hex(1 + i % {people}), 12, '0'))::uuid, '', now(), now(),
               CASE WHEN i % 4 = 0 THEN now() END, CASE WHEN i % 4 = 0 THEN '3'::xid8 END
        FROM generate_series(1, {logins}) i;
    INSERT INTO proof (person, purpose, id, email, created_at, expires_at)
        SELECT id, 'reset', id, number || '@example.org', now(), now() FROM person;
    ANALYZE
"""

QUERIES: dict[str, Callable[[Tx], Awaitable[Any]]] = {
    "revocations": lambda tx: store.ended_from(tx, 1_000_000),
    "start": lambda tx: store.ended_since(tx, LATE),
    "logins": lambda tx: store.logins_of(tx, SOMEBODY, SOMEBODY, LAST, 51),
    "others": lambda tx: store.end_logins(tx, [SOMEBODY], LATE, but=LAST),
    "credentials": lambda tx: store.credentials(tx, "77@example.org"),
    "lookup": lambda tx: store.person_of(tx, "77@example.org"),
    "resets": lambda tx: store.who_resets(tx, "77@example.org"),
    "unverified": lambda tx: store.unverified(tx, LAST, 20),
    "expired": lambda tx: store.drop_expired_proofs(tx, datetime(2000, 1, 1, tzinfo=UTC), 20),
    "forgotten": lambda tx: store.drop_ended_logins(tx, datetime(2000, 1, 1, tzinfo=UTC), 20),
    "proof": lambda tx: store.take_proof(tx, SOMEBODY),
}


class Explained:
    """`ports.Tx` that keeps the plan of each query."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self.plan: list[str] = []

    async def _explain(self, sql: str, args: tuple[Any, ...]) -> None:
        self.plan += [row["QUERY PLAN"] for row in await self._tx.fetch(f"EXPLAIN {sql}", *args)]

    async def fetch(self, sql: str, *args: Any) -> Sequence[Row]:
        await self._explain(sql, args)
        return await self._tx.fetch(sql, *args)

    async def fetchrow(self, sql: str, *args: Any) -> Row | None:
        await self._explain(sql, args)
        return await self._tx.fetchrow(sql, *args)

    async def fetchval(self, sql: str, *args: Any) -> Any:
        await self._explain(sql, args)
        return await self._tx.fetchval(sql, *args)

    async def execute(self, sql: str, *args: Any) -> str:
        await self._explain(sql, args)
        return await self._tx.execute(sql, *args)

    async def executemany(self, sql: str, args: Sequence[Sequence[Any]]) -> None:
        await self._tx.executemany(sql, args)


@pytest.mark.parametrize("name", QUERIES)
async def test_it_follows_an_index(database: MigratedDatabase, name: str) -> None:
    async def plan(tx: Tx) -> list[str]:
        for statement in FILL.format(people=PEOPLE, logins=LOGINS).split(";"):
            await tx.execute(statement)
        explained = Explained(tx)
        await QUERIES[name](explained)
        return explained.plan

    lines = await database.pool.run(plan)
    assert any("Index" in line for line in lines), lines
    assert not any("Seq Scan" in line for line in lines), lines
