"""Programs of PostgreSQL as child processes: under which account, in which environment, for how long.

PostgreSQL refuses to run as root, so a root supervisor starts its programs under an account without privileges.
`initdb` and `postgres` look their own account up by name, so a bare number will not do, and we make no account: the
owner of an existing cluster, else `postgres` where a package has made it, else `nobody`, which every Unix has.
"""

from __future__ import annotations

import asyncio
import errno
import os
import pwd
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from chiron.errors import SetupError

POLL = 0.02
"""Seconds between two looks at something that gives no notice (a child, a lock file, a foreign process)."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who runs a program, when not we ourselves."""

    name: str
    uid: int
    gid: int


def choose_account(cluster: Path) -> Account | None:
    """The account for the server on `cluster` (which need not exist yet); None is our own.

    Raises `SetupError` when started by root and no account without privileges exists.
    """
    if os.geteuid() != 0:
        return None
    if cluster.exists() and (owner := cluster.stat().st_uid) != 0:
        try:
            return _account(pwd.getpwuid(owner))
        except KeyError:
            raise SetupError(
                f"{cluster} belongs to user {owner}, who does not exist on this machine; "
                "PostgreSQL cannot run without an account. Give the folder to an existing user (chown -R)."
            ) from None
    for name in ("postgres", "nobody"):
        try:
            return _account(pwd.getpwnam(name))
        except KeyError:
            continue
    raise SetupError("PostgreSQL must not run as root, and neither user `postgres` nor user `nobody` exists here.")


def _account(entry: pwd.struct_passwd) -> Account:
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def require_traversable(folder: Path, account: Account | None) -> None:
    """Raise `SetupError` naming the first folder on the way to `folder` that `account` may not pass."""
    if account is None:
        return
    for step in [*reversed(folder.resolve().parents), folder.resolve()]:
        if not step.exists():
            return
        status = step.stat()
        bit = 0o100 if status.st_uid == account.uid else 0o010 if status.st_gid == account.gid else 0o001
        if not status.st_mode & bit:
            raise SetupError(
                f"PostgreSQL runs as user `{account.name}` because it refuses root, but that user may not pass "
                f"{step}. Choose a folder elsewhere, such as /var/lib/chiron, or open the way with: chmod o+x {step}"
            )


async def until(condition: Callable[[], bool], timeout: float | None = None, *, poll: float = POLL) -> bool:
    """Wait for something that gives no notice; False when it did not come true within `timeout` seconds.

    It is looked at every `poll` seconds.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    while not condition():
        if deadline is not None and time.monotonic() > deadline:
            return False
        await asyncio.sleep(poll)
    return True


async def exited(pid: int) -> None:
    """Return once a process has exited, though nobody may have waited for it yet. Raises OSError where the system gives
    no notice of that (it is not Linux), or there is no such process."""
    if not hasattr(os, "pidfd_open"):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    file = os.pidfd_open(pid)
    try:
        loop.add_reader(file, gone.set)
        try:
            await gone.wait()
        finally:
            loop.remove_reader(file)
    finally:
        os.close(file)


def give(path: Path, account: Account | None) -> None:
    """Make `account` the owner of `path`."""
    if account is not None:
        os.chown(path, account.uid, account.gid)


def spawn(
    arguments: Sequence[str | Path], account: Account | None, environment: Mapping[str, str], output: IO[bytes] | int
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, so that a terminal's Ctrl-C reaches only us."""
    return subprocess.Popen(
        [str(argument) for argument in arguments],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd="/",
        start_new_session=True,
        user=account.uid if account else None,
        group=account.gid if account else None,
        # An explicit list of none: otherwise the child would keep root's groups.
        extra_groups=[] if account else None,
    )


async def run(
    arguments: Sequence[str | Path], account: Account | None, environment: Mapping[str, str], *, timeout: float
) -> tuple[int, str]:
    """Run a program to its end: exit status and everything it wrote.

    It is killed when the caller is cancelled, or after `timeout` seconds, which raises `SetupError`.
    """
    with tempfile.TemporaryFile() as output:
        try:
            process = spawn(arguments, account, environment, output)
        except OSError as error:
            raise SetupError(f"{arguments[0]} could not be started: {error.strerror}.", exit_status=71) from error
        try:
            if not await until(lambda: process.poll() is not None, timeout):
                raise SetupError(f"{arguments[0]} did not end within {timeout:.0f} s.", exit_status=71)
        finally:
            if process.returncode is None:
                process.kill()
                process.wait()
        output.seek(0)
        return process.returncode, output.read().decode(errors="replace")
