"""What the machine gives every program: Python, memory, limits, randomness, names of zones and languages."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import resource
import sys
import sysconfig
import zoneinfo
from pathlib import Path

from chiron import __version__, _build
from chiron.server.doctor import processes
from chiron.server.doctor.findings import Fault, Found, problem, warning
from chiron.server.doctor.subject import Subject
from chiron.server.edge.capacity import BACKLOG

OLDEST_PYTHON = (3, 11)
WANTED_DESCRIPTORS = 65_536
"""One for each connection, and some for files and databases."""
LEAST_DESCRIPTORS = 1_024
MEBIBYTE = 1 << 20
LEAST_MEMORY = 512 * MEBIBYTE
"""Of the machine: PostgreSQL's 128 MiB of shared buffers, two Python processes, and something for connections."""
LEAST_AVAILABLE = 128 * MEBIBYTE


def python(_: Subject) -> Found:
    faults: list[Fault] = []
    version = platform.python_version()
    if sys.version_info < OLDEST_PYTHON:
        faults.append(
            problem(
                f"Chiron needs Python 3.11 or newer, and this is {version}.",
                "apt-get install python3.11 python3.11-venv",
            )
        )
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        faults.append(
            problem("This Python is the free-threaded one, which the extension is not made for.", "python3 -m venv …")
        )
    loop = "uvloop " + importlib.metadata.version("uvloop") if importlib.util.find_spec("uvloop") else "asyncio's loop"
    if not importlib.util.find_spec("uvloop") and sys.platform != "win32":
        faults.append(
            warning(
                "uvloop is not installed, so every connection costs more.", f"{sys.executable} -m pip install uvloop"
            )
        )
    return f"{version}, {loop}", faults


def extension(_: Subject) -> Found:
    try:
        _build.refuse_stale_extension()
    except ImportError as error:
        return "older than its sources", [problem(f"{str(error).partition(';')[0].capitalize()}.", "make setup")]
    return f"chiron {__version__}, loads", []


def descriptors(subject: Subject) -> Found:
    # A worker raises its own soft limit: the hard one counts.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = sys.maxsize if hard == resource.RLIM_INFINITY else hard
    summary = f"{_count(soft)} at first, up to {_count(hard)}"
    mend = (
        "[Service] LimitNOFILE=1048576   (systemd: systemctl edit chiron)",
        "echo '* - nofile 1048576' > /etc/security/limits.d/chiron.conf   (then sign in again)",
    )
    faults = []
    if most < LEAST_DESCRIPTORS:
        faults.append(problem(f"A process may open {most:,} files only, too few to serve.", *mend))
    elif most < WANTED_DESCRIPTORS:
        faults.append(
            warning(
                f"A process may open {most:,} files, and each connection is one; {WANTED_DESCRIPTORS:,} are wanted.",
                *mend,
            )
        )
    if (pid := subject.server) is not None:
        limits = [limit for member in processes.family(pid) if (limit := processes.descriptor_limit(member))]
        if limits:
            running = max(limits)
            summary += f"; the running server: {running:,}"
            if running < WANTED_DESCRIPTORS <= most:
                faults.append(warning(f"The running server was started with a limit of {running:,} files.", *mend))
    return summary, faults


def _count(limit: int) -> str:
    return "any number" if limit == resource.RLIM_INFINITY else f"{limit:,}"


def backlog(_: Subject) -> Found:
    try:
        most = int(Path("/proc/sys/net/core/somaxconn").read_text())
    except (OSError, ValueError):
        return "not told by this system", []
    if most >= BACKLOG:
        return f"{most:,} connections may wait to be accepted", []
    sentence = (
        f"The kernel lets {most:,} connections wait to be accepted where {BACKLOG:,} are asked for: "
        "when many people come back at once, some wait for a second or longer."
    )
    setting = f"net.core.somaxconn={BACKLOG}"
    return f"{most:,}", [
        warning(sentence, f"sysctl -w {setting}", f"echo {setting} > /etc/sysctl.d/chiron.conf   (to keep it)")
    ]


def random(_: Subject) -> Found:
    if not hasattr(os, "getrandom"):
        os.urandom(32)
        return "answers", []
    try:
        os.getrandom(32, os.GRND_NONBLOCK)
    except BlockingIOError:
        return "not ready", [
            problem(
                "The kernel has not gathered enough randomness yet, so that keys cannot be made; the start would hang.",
                "apt-get install haveged   (or give a virtual machine a virtio-rng device)",
            )
        ]
    return "ready", []


def zones(_: Subject) -> Found:
    known = zoneinfo.available_timezones()
    try:
        zoneinfo.ZoneInfo("Europe/Berlin")
    except zoneinfo.ZoneInfoNotFoundError:
        sentence = "There is no time zone data here, so that people cannot choose their zone."
        return f"{len(known)} zones", [
            problem(sentence, "apt-get install tzdata", f"{sys.executable} -m pip install tzdata   (instead)")
        ]
    return f"{len(known)} zones", []


def locale(_: Subject) -> Found:
    names = sys.getfilesystemencoding()
    wanted = next((os.environ[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if os.environ.get(name)), "C")
    if names.lower().replace("-", "") == "utf8":
        return f"{wanted}, {names}", []
    sentence = f"Under the locale {wanted} names of files are {names}: what is not ASCII cannot be printed or opened."
    return f"{wanted}, {names}", [warning(sentence, "export LC_ALL=C.UTF-8")]


def memory(_: Subject) -> Found:
    sizes = _meminfo()
    if not sizes:
        return "not told by this system", []
    total, available = sizes.get("MemTotal", 0), sizes.get("MemAvailable", 0)
    limit = _group_limit()
    if limit is not None and limit < total:
        total, available = limit, min(limit, available)
    faults: list[Fault] = []
    if total < LEAST_MEMORY:
        faults.append(
            warning(
                f"{_mebibytes(total)} of memory in all; with the embedded PostgreSQL {_mebibytes(LEAST_MEMORY)} are "
                "the least.",
                "Give the machine or container more memory   (systemd: MemoryMax=, Docker: --memory)",
            )
        )
    if available < LEAST_AVAILABLE:
        faults.append(
            warning(
                f"Only {_mebibytes(available)} of memory are available: the kernel may end PostgreSQL or the server.",
                "ps -eo rss,pid,args --sort=-rss | head   (shows who uses it)",
            )
        )
    return f"{_mebibytes(available)} available of {_mebibytes(total)}", faults


def _meminfo() -> dict[str, int]:
    """Bytes by the names of proc(5), meminfo."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return {}
    return {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.endswith(" kB")}


def _group_limit() -> int | None:
    """Bytes that the control group of a container or service allows."""
    try:
        group = Path("/proc/self/cgroup").read_text().splitlines()[-1].rpartition(":")[2]
    except (OSError, IndexError):
        return None
    for file in (f"/sys/fs/cgroup{group}/memory.max", "/sys/fs/cgroup/memory.max"):
        try:
            return int(Path(file).read_text())
        except (OSError, ValueError):
            continue
    return None


def _mebibytes(size: int) -> str:
    return f"{size // MEBIBYTE:,} MiB"
