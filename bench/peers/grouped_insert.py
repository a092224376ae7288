"""The floor of durable publishing: one connection that inserts ready-made rows, a transaction a batch.

`python grouped_insert.py DSN`: makes a table with the columns, keys and checks of `message`. Then for each line
`{"seconds": S, "sizes": [rows of each batch…]}` it inserts batches of these sizes in turn, and prints
`{"rows": …, "seconds": …, "cpu_seconds": …, "p99_ms": …}`, of whole transactions. There is no numbering, no lock, no
look at members and repeats, no network but the database's.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
import time
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import uvloop

INSERT = """
INSERT INTO bench_message (conversation, "offset", id, ordinal, sender, client_id, kind, body, body_hash, created_at)
SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::bigint[], $5::uuid[], $6::text[], $7::text[],
                     $8::json[], $9::bytea[], $10::timestamptz[])
"""


def batch(size: int, offset: int) -> tuple[list[Any], ...]:
    now = datetime.now(UTC)
    body = json.dumps({"text": "x" * 128})
    numbers = range(offset, offset + size)
    return (
        [UUID(int=1 + number % 100) for number in numbers],
        list(numbers),
        [UUID(int=number) for number in numbers],
        list(numbers),
        [UUID(int=1 + number % 1000) for number in numbers],
        [f"{number:026}" for number in numbers],
        ["text"] * size,
        [body] * size,
        [os.urandom(32) for _ in numbers],
        [now] * size,
    )


async def main() -> None:
    connection = await asyncpg.connect(sys.argv[1])
    await connection.execute("DROP TABLE IF EXISTS bench_message")
    await connection.execute("CREATE TABLE bench_message (LIKE message INCLUDING ALL)")
    print("ready", flush=True)
    offset = 1
    while line := await asyncio.to_thread(sys.stdin.readline):
        order = json.loads(line)
        took: list[float] = []
        rows = 0
        cpu, began = time.process_time(), time.perf_counter()
        sizes = itertools.cycle(order["sizes"])
        while time.perf_counter() - began < order["seconds"]:
            arguments = batch(next(sizes), offset)
            sent = time.perf_counter()
            async with connection.transaction():
                await connection.execute(INSERT, *arguments)
            took.append(time.perf_counter() - sent)
            rows += len(arguments[0])
            offset += len(arguments[0])
        seconds = time.perf_counter() - began
        took.sort()
        p99 = took[min(len(took) - 1, int(len(took) * 0.99))] * 1000
        result = {"rows": rows, "seconds": seconds, "cpu_seconds": time.process_time() - cpu, "p99_ms": p99}
        print(json.dumps(result), flush=True)


uvloop.run(main())
