"""What the files and processes of a cluster (PGDATA) say about the server on it."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from chiron.errors import SetupError


class Cluster:
    """One data directory, seen from outside.

    Every process of a server has the data directory as its working directory. On Linux that tells a postmaster and its
    orphaned backends from strangers whose process id was used by the server before a reboot; elsewhere `postmaster.pid`
    is believed as PostgreSQL itself believes it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def major_version(self) -> int:
        """From the file PG_VERSION. Raises `SetupError` when this is no cluster."""
        try:
            return int((self.folder / "PG_VERSION").read_text())
        except (OSError, ValueError) as error:
            raise SetupError(f"{self.folder} is not a PostgreSQL cluster: {error}") from error

    def postmaster(self) -> int | None:
        """Process id of the server that runs on this cluster."""
        lines = self._lock_file()
        with contextlib.suppress(IndexError, ValueError):
            pid = int(lines[0])
            if self.occupied_by(pid):
                return pid
        return None

    def status(self) -> str:
        """`starting`, `stopping`, `ready` or `standby`, as the server says; empty when it has not said."""
        lines = self._lock_file()
        return lines[7].strip() if len(lines) > 7 else ""

    def occupied_by(self, pid: int) -> bool:
        """Whether that process is alive and belongs to a server on this cluster."""
        if sys.platform == "linux":
            try:
                return Path(os.readlink(f"/proc/{pid}/cwd")) == self.folder.resolve()
            except OSError:
                return False
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    def occupants(self) -> list[int]:
        """Processes of servers on this cluster, dead postmasters' backends among them."""
        if sys.platform != "linux":
            return []
        return [int(name) for name in os.listdir("/proc") if name.isdigit() and self.occupied_by(int(name))]

    def forget_postmaster(self, socket_folder: Path) -> None:
        """Remove the lock files of a server that is known to be dead.

        PostgreSQL checks only whether some process has the id in them, and after a reboot one may.
        """
        if sys.platform == "linux":
            (self.folder / "postmaster.pid").unlink(missing_ok=True)
            for file in socket_folder.glob(".s.PGSQL.*"):
                file.unlink(missing_ok=True)

    def _lock_file(self) -> list[str]:
        try:
            return (self.folder / "postmaster.pid").read_text().splitlines()
        except OSError:
            return []
