"""One process per folder: an advisory lock that the kernel drops when its holder dies, however it dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from types import TracebackType

from chiron.db.process import until
from chiron.errors import SetupError


class FolderLock:
    """`flock` on the file `lock` in a folder, which must exist. Child processes do not inherit it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        return self._descriptor is not None

    def acquire(self) -> None:
        """Take the lock for the life of this process or until `release`.

        Raises `SetupError` that names the process which holds it.
        """
        if not self._try():
            holder = self.holder()
            who = f"process {holder}" if holder is not None else "another process"
            raise SetupError(f"{self.folder} is in use by {who}. Stop that server first, or choose another folder.")

    async def wait(self, *, timeout: float) -> None:
        """Like `acquire`, but waits up to `timeout` seconds for the other holder to finish."""
        if not await until(self._try, timeout):
            self.acquire()

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def holder(self) -> int | None:
        """Process id of the newest holder as it wrote it down; only meaningful while somebody holds the lock."""
        with contextlib.suppress(OSError, ValueError):
            return int((self.folder / "lock").read_text())
        return None

    def __enter__(self) -> FolderLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _try(self) -> bool:
        if self._descriptor is not None:
            return True
        try:
            descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SetupError(f"{self.folder / 'lock'} cannot be opened: {error.strerror}.", exit_status=73) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor
        return True
