"""CPU and memory of other processes, and what repeated measurements come to."""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import psutil

PAGE = os.sysconf("SC_PAGE_SIZE")
TICK = os.sysconf("SC_CLK_TCK")


class Spread(msgspec.Struct, frozen=True):
    """Repeated measurements of one thing."""

    median: float
    min: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))

    def show(self, digits: int = 2) -> str:
        return f"{self.median:.{digits}f} ({self.min:.{digits}f}-{self.max:.{digits}f})"


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and all its threads, to the nanosecond (clock_getcpuclockid(3))."""
    return time.clock_gettime((~pid << 3) | 2)


def family_cpu_seconds(pid: int) -> float:
    """CPU of a process and of its children: those that live, and those that it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    waited_for = (int(fields[13]) + int(fields[14])) / TICK  # cutime, cstime (proc_pid_stat(5))
    total = cpu_seconds(pid) + waited_for
    for child in psutil.Process(pid).children():
        try:
            total += cpu_seconds(child.pid)
        except OSError:  # it ended, and is counted by its parent
            continue
    return total


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


class Cores:
    """Who runs where: the measured side on one core, whatever loads it on another. Without a second core, nowhere."""

    def __init__(self) -> None:
        available = sorted(os.sched_getaffinity(0))
        self.apart = len(available) > 1
        self.measured = available[0]
        self.load = available[-1]

    def pin(self, pids: Iterable[int], core: int) -> None:
        """All threads that the processes have now; later ones and children inherit."""
        if not self.apart:
            return
        for pid in pids:
            for thread in Path(f"/proc/{pid}/task").iterdir():
                os.sched_setaffinity(int(thread.name), {core})


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    model = ""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    release = os.uname()
    return {
        "cpu": model,
        "cores": str(len(os.sched_getaffinity(0))),
        "kernel": f"{release.sysname} {release.release}",
        "python": ".".join(map(str, sys.version_info[:3])),
    }
