"""What the fixture `database` of `tests/conftest.py` gives."""

from __future__ import annotations

from dataclasses import dataclass, field

from chiron.db.pool import Pool


@dataclass(frozen=True, slots=True)
class MigratedDatabase:
    """A freshly migrated database of one test."""

    pool: Pool
    dsn: str = field(repr=False)
    """By Unix socket, as the application's role."""
    tcp_dsn: str = field(repr=False)
    """The same by 127.0.0.1, for a proxy in between."""
    superuser_dsn: str = field(repr=False)
    """The same database as superuser."""
