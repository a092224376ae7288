"""Password hashing: argon2id (RFC 9106) off the event loop, one at a time, in a thread that yields to the server."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from chiron.errors import Unavailable

T = TypeVar("T")

WAITING = 32
"""Hashes that may wait; one more is refused: at some 20 ms each the last one waits well under a second."""


def _yield_to_the_loop() -> None:
    # Elsewhere a thread has no priority of its own among processes.
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


def _stable(password: str) -> str:
    """Keyboards compose characters differently: NFKC makes one of them (NIST SP 800-63B §3.1.1.2)."""
    return unicodedata.normalize("NFKC", password)


class Passwords:
    """argon2id with 19 MiB, two passes, one lane: the first recommendation of OWASP's password storage guidance."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, type=Type.ID)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="argon2", initializer=_yield_to_the_loop)
        self._waiting = 0
        self._decoy = self._hasher.hash(os.urandom(16).hex())

    async def hash(self, password: str) -> str:
        """The PHC string to store. Raises Unavailable busy when too many wait."""
        return await self._run(partial(self._hasher.hash, _stable(password)))

    async def matches(self, stored: str | None, password: str) -> bool:
        """Whether the password is the stored one. Without a stored one the same work is done, for the same time."""
        return await self._run(partial(self._verify, stored or self._decoy, _stable(password))) and stored is not None

    @property
    def waiting(self) -> int:
        """Hashes that wait or are being made."""
        return self._waiting

    def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerifyMismatchError, InvalidHashError):
            return False

    async def _run(self, work: partial[T]) -> T:
        if self._waiting >= WAITING:
            raise Unavailable("busy", retry_after=1.0)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        finally:
            self._waiting -= 1
