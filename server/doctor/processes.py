"""Other processes, as Linux's /proc shows them: who holds a lock or a port, whose children they are, and users' names.

Where there is no /proc, or where a process is another user's, nothing is known, and None or nothing is the answer.
"""

from __future__ import annotations

import contextlib
import os
import pwd
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
LISTENING = "0A"
"""TCP_LISTEN of linux/tcp_states.h, as /proc/net/tcp writes it."""
RECEIVING = "07"
"""TCP_CLOSE, which stands for a UDP socket that is connected to nobody."""


@dataclass(frozen=True, slots=True)
class Listening:
    """A socket that listens, or of UDP. Several processes may share it."""

    port: int
    inode: int


def lock_holder(file: Path) -> int | None:
    """Who has `flock`ed the file. Asked of the kernel's list: trying the lock could keep a server from getting it."""
    try:
        status = file.stat()
        locks = (PROC / "locks").read_text().splitlines()
    except OSError:
        return None
    for line in locks:
        # `1: FLOCK  ADVISORY  WRITE 20385 fe:00:5611620 0 EOF`; behind `->` stands one that waits.
        words = line.split()
        if len(words) >= 8 and words[1] == "FLOCK" and int(words[5].rpartition(":")[2]) == status.st_ino:
            pid = int(words[4])
            if _has_open(pid, status):
                return pid
    return None


def _has_open(pid: int, status: os.stat_result) -> bool:
    """Whether the process has that very file open: inode numbers repeat on other file systems."""
    try:
        for descriptor in _descriptors(pid):
            with contextlib.suppress(OSError):
                if os.path.samestat(os.stat(descriptor), status):
                    return True
    except PermissionError:
        return True  # another user's: the number must do
    except OSError:
        pass
    return False


def listening() -> list[Listening]:
    """Every listening TCP socket of this network namespace."""
    return _sockets(("tcp", "tcp6"), LISTENING)


def receiving() -> list[Listening]:
    """Every UDP socket that anybody may send to."""
    return _sockets(("udp", "udp6"), RECEIVING)


def _sockets(names: tuple[str, str], state: str) -> list[Listening]:
    found = []
    for name in names:
        try:
            lines = (PROC / "net" / name).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            words = line.split()
            if words[3] == state:
                found.append(Listening(int(words[1].rpartition(":")[2], 16), int(words[9])))
    return found


def owners(inodes: set[int]) -> dict[int, set[int]]:
    """Which processes have these sockets open: inode to process ids, as far as we may see."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    found: dict[int, set[int]] = {}
    for pid in _all():
        with contextlib.suppress(OSError):
            for descriptor in _descriptors(pid):
                with contextlib.suppress(OSError):
                    if (inode := wanted.get(os.readlink(descriptor))) is not None:
                        found.setdefault(inode, set()).add(pid)
    return found


def family(pid: int) -> set[int]:
    """The process and all that descend from it."""
    parents = {child: parent for child in _all() if (parent := _parent(child)) is not None}
    members = {pid}
    while grown := {child for child, parent in parents.items() if parent in members} - members:
        members |= grown
    return members


def name(pid: int) -> str:
    """Name and number, for people."""
    try:
        return f"{(PROC / str(pid) / 'comm').read_text().strip()} (process {pid})"
    except OSError:
        return f"process {pid}"


def user(number: int) -> str:
    """Name of a user for people; the number where it has none, as in many containers."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def descriptor_limit(pid: int) -> int | None:
    """How many files the process may open (its soft limit)."""
    with contextlib.suppress(OSError, ValueError):
        for line in (PROC / str(pid) / "limits").read_text().splitlines():
            if line.startswith("Max open files"):
                return int(line.split()[3])
    return None


def _descriptors(pid: int) -> list[str]:
    """Links to what the process has open. Raises OSError: it is gone, or another user's."""
    folder = f"{PROC}/{pid}/fd"
    return [f"{folder}/{number}" for number in os.listdir(folder)]


def _all() -> list[int]:
    try:
        return [int(entry) for entry in os.listdir(PROC) if entry.isdigit()]
    except OSError:
        return []


def _parent(pid: int) -> int | None:
    try:
        # Behind the command's name, which may hold spaces and parentheses: state, parent.
        return int((PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return None
