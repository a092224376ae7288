"""`chiron migrate`."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from chiron.server.cli.options import Database, DataDir, progress
from chiron.server.cli.settings import Assignments, Config, told


def migrate(
    data_dir: DataDir = None,
    database: Database = None,
    config: Config = None,
    assignments: Assignments = None,
    status: Annotated[bool, typer.Option("--status", help="Only show which migrations are applied.")] = False,
) -> None:
    """Bring the database to this version's schema (`serve` does so by itself)."""
    from chiron.db import migrate as migrations
    from chiron.server.foundation import database_of
    from chiron.server.settings.load import load

    settings = load(told(data_dir=data_dir, database=database, config=config, assignments=assignments)).settings

    async def work() -> None:
        folder = settings.data_dir
        async with database_of(folder, settings.database, make=not status, report=progress) as dsn:
            if status:
                table = Table("migration", "state")
                for row in await migrations.status(dsn):
                    table.add_row(row.name, "applied" if row.applied_at else "to be applied")
                Console().print(table)
                return
            applied = await migrations.migrate(dsn)
            for name in applied:
                print(f"Applied {name}.")
            if not applied:
                print("The database is up to date.")

    asyncio.run(work())
