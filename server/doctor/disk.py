"""The disk under the data folder, and the folder itself: kind, space, speed, owner, modes, keys."""

from __future__ import annotations

import os
import shlex
import stat
import statistics
import tempfile
import time
from pathlib import Path

import msgspec

from chiron.db.process import choose_account, require_traversable
from chiron.errors import SetupError
from chiron.server.doctor import processes
from chiron.server.doctor.findings import Fault, Found, problem, warning
from chiron.server.doctor.subject import Subject
from chiron.server.platform import keys

MEBIBYTE = 1 << 20
LITTLE = 2048 * MEBIBYTE
TOO_LITTLE = 256 * MEBIBYTE
"""PostgreSQL's log of changes alone takes up to 512 MiB, a new cluster 40."""
FEW_FILES = 10_000
TOO_FEW_FILES = 2_000
"""A new cluster is some 1,000 files."""
SYNCS = 8
SYNC_BYTES = 8192
"""A block of PostgreSQL's log."""
SLOW_SYNC = 0.02
"""Seconds. Every acknowledged message waits for one, though many share it."""
VOLATILE = {"tmpfs", "ramfs"}
LAYERED = {"overlay", "aufs"}
REMOTE = {"nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "glusterfs", "fuse.sshfs", "fuse.glusterfs", "fuse.s3fs"}


def disk(subject: Subject) -> Found:
    ground = subject.ground if subject.ground.is_dir() else subject.ground.parent
    faults = _kind(ground)
    usage = os.statvfs(ground)
    free = usage.f_bavail * usage.f_frsize
    summary = f"{_size(free)} free"
    mend = (
        f"du -xh --max-depth=2 {shlex.quote(str(subject.folder))} | sort -h | tail   (shows what takes the space)",
        "chiron serve --data-dir FOLDER   (with the data folder moved to a larger disk)",
    )
    if free < TOO_LITTLE:
        faults.append(problem(f"The disk of {ground} is full: {_size(free)} are left.", *mend))
    elif free < LITTLE:
        faults.append(warning(f"The disk of {ground} is nearly full: {_size(free)} are left.", *mend))
    if usage.f_files:  # 0 where files are not counted, as on btrfs
        files = f"{usage.f_favail:,} more files (inodes) fit on the disk of {ground}."
        find = f"find {shlex.quote(str(ground))} -xdev -printf '%h\\n' | sort | uniq -c | sort -n | tail"
        if usage.f_favail < TOO_FEW_FILES:
            faults.append(problem(f"Only {files}", find))
        elif usage.f_favail < FEW_FILES:
            faults.append(warning(f"Only {files}", find))
    try:
        seconds = _sync_seconds(ground)
    except OSError as error:
        faults.append(_not_writable(ground, error))
    else:
        summary += f", fsync {seconds * 1000:.1f} ms"
        if seconds > SLOW_SYNC:
            faults.append(
                warning(
                    f"A fsync takes {seconds * 1000:.0f} ms on the disk of {ground}, and every acknowledgement waits "
                    "for one.",
                    "chiron serve --data-dir FOLDER   (on a local SSD; a network or USB disk is slow)",
                )
            )
    return summary, faults


def _kind(folder: Path) -> list[Fault]:
    kind = file_system(folder)
    move = "chiron serve --data-dir FOLDER   (on a local disk; move the data folder there while the server is stopped)"
    if kind in VOLATILE:
        return [warning(f"{folder} is in memory ({kind}): a restart of the machine loses everything.", move)]
    if kind in LAYERED:
        return [
            warning(
                f"{folder} is in a container's own layer ({kind}): with the container, everything is gone.",
                "docker run -v chiron:/var/lib/chiron …   (mount a volume there)",
            )
        ]
    if kind in REMOTE:
        return [
            warning(
                f"{folder} is on a network file system ({kind}), where locks and fsync may not hold what they promise.",
                move,
            )
        ]
    return []


def file_system(folder: Path) -> str:
    """Kind of the file system that the folder is on (proc(5), mountinfo); empty when the system does not say."""
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return ""
    folder = folder.resolve()
    best, kind = -1, ""
    for line in lines:
        before, _, behind = line.partition(" - ")
        # Spaces and such are written as octal numbers.
        place = Path(before.split()[4].encode().decode("unicode_escape"))
        # Of two on one place, the later one covers the other.
        if (place == folder or place in folder.parents) and len(place.parts) >= best:
            best, kind = len(place.parts), behind.split()[0]
    return kind


def _sync_seconds(folder: Path) -> float:
    """Median time of a fsync after a small write, in a file that has no name."""
    took = []
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(SYNCS):
            file.write(bytes(SYNC_BYTES))
            began = time.perf_counter()
            os.fsync(file.fileno())
            took.append(time.perf_counter() - began)
    return statistics.median(took)


def _not_writable(ground: Path, error: OSError) -> Fault:
    if isinstance(error, PermissionError):
        me = processes.user(os.geteuid())
        return problem(
            f"User {me} may not write in {ground}.",
            f"sudo -u {processes.user(ground.stat().st_uid)} chiron …   (run everything as its owner)",
            f"chown -R {me} {shlex.quote(str(ground))}   (or give it to {me})",
        )
    return problem(
        f"Nothing can be written in {ground}: {error.strerror}.",
        "mount -o remount,rw …   (a read-only disk)",
        "chiron serve --data-dir FOLDER   (elsewhere)",
    )


def folder(subject: Subject) -> Found:
    place = subject.folder
    path = shlex.quote(str(place))
    if subject.ground != place:
        faults = []
        if not subject.ground.is_dir():
            faults.append(
                problem(
                    f"{place} cannot be made, because {subject.ground} is no folder.", "chiron serve --data-dir FOLDER"
                )
            )
        return f"{place}, made at the first start", faults + _way(subject)
    if not place.is_dir():
        return str(place), [problem(f"{place} is no folder.", "chiron serve --data-dir FOLDER")]
    status = place.stat()
    owner, me = processes.user(status.st_uid), processes.user(os.geteuid())
    summary = f"{place}, of {owner}, mode {stat.S_IMODE(status.st_mode):04o}"
    faults = []
    if status.st_uid != os.geteuid():
        faults.append(
            (warning if os.geteuid() == 0 else problem)(
                f"{place} belongs to {owner}, and this is {me}.",
                f"sudo -u {owner} chiron …   (run the server as {owner})",
                f"chown {me} {path}   (or give the folder to {me})",
            )
        )
    if status.st_mode & 0o022:
        faults.append(problem(f"Others may change what is in {place}.", f"chmod go-w {path}"))
    elif status.st_mode & 0o044:
        faults.append(warning(f"Others may see what is in {place}.", f"chmod go-r {path}"))
    faults += _keys(subject) + _way(subject)
    if (pid := subject.server) is not None:
        summary += f"; used by {processes.name(pid)}"
    return summary, faults


def _way(subject: Subject) -> list[Fault]:
    """Whether PostgreSQL's account may pass through to its folder."""
    if subject.settings.database is not None:
        return []
    home = subject.folder / "postgresql"
    # The data folder itself is opened at the start.
    way = home if home.exists() else subject.folder.parent
    try:
        require_traversable(way, choose_account(home / "cluster"))
    except SetupError as error:
        sentence, _, command = str(error).partition(", or open the way with: ")
        return [problem(f"{sentence.partition('. Choose')[0]}.", command or "chiron serve --data-dir /var/lib/chiron")]
    return []


def _keys(subject: Subject) -> list[Fault]:
    file = subject.folder / keys.FILE
    path = shlex.quote(str(file))
    if not file.exists():
        if (subject.folder / "postgresql" / "cluster").exists():
            return [
                problem(
                    f"{file} is missing, although there is a database: with new keys, every login ends.",
                    f"cp BACKUP/{keys.FILE} {path} && chmod 600 {path}",
                )
            ]
        return []
    if file.stat().st_mode & 0o077:
        return [problem(f"{file} holds the keys of this server, and others may read it.", f"chmod 600 {path}")]
    try:
        msgspec.json.decode(file.read_bytes(), type=keys.Keys)
    except PermissionError:
        me, owner = processes.user(os.geteuid()), processes.user(file.stat().st_uid)
        return [problem(f"User {me} may not read {file}.", f"sudo -u {owner} chiron …   (run everything as its owner)")]
    except (OSError, msgspec.MsgspecError) as error:
        return [
            problem(
                f"{file} cannot be read: {error}.",
                f"cp BACKUP/{keys.FILE} {path} && chmod 600 {path}",
            )
        ]
    return []


def _size(size: int) -> str:
    return f"{size / (1 << 30):,.1f} GiB" if size >= 1 << 30 else f"{size // MEBIBYTE:,} MiB"
