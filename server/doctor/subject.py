"""Who is examined: a server's settings, and what one check learns that the next ones need."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from chiron.server.config import Settings
from chiron.server.doctor import processes


@dataclass(slots=True)
class Subject:
    """`settings_fault` says why the settings could not be read; then `settings` are the defaults."""

    settings: Settings
    settings_fault: str | None = None
    dsn: str | None = None
    """Address of the database, once it was found to answer. Holds a password."""
    connection: asyncpg.Connection[Any] | None = None
    """To that database; read from only."""
    began: tuple[float, float] = field(default_factory=lambda: (time.time(), time.monotonic()))
    """Wall and monotonic clock in seconds."""

    @property
    def folder(self) -> Path:
        return self.settings.data_dir.absolute()

    @property
    def ground(self) -> Path:
        """The data folder, or the nearest folder above it that exists: it will be made there."""
        return next(step for step in (self.folder, *self.folder.parents) if os.path.lexists(step))

    @property
    def server(self) -> int | None:
        """Process id of the server that holds the data folder."""
        return processes.lock_holder(self.folder / "lock")

    def command(self, name: str) -> str:
        """`chiron NAME` for this subject, to be typed."""
        return f"chiron {name} --data-dir {self.folder}"
