"""The machine's clock, held against everything that wrote down a time.

Access tokens live for ten minutes and are valid from the second in which they were made; certificates begin and end.
A clock that was set back refuses what it made itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from chiron.server.doctor.findings import Fault, Found, problem, warning
from chiron.server.doctor.subject import Subject

STEP = 0.5
"""Seconds that the wall clock may leave the monotonic one while we look: slewing is at most 0.5 ms/s."""
NEAR = 2.0
FAR = 60.0
"""Seconds between two machines' clocks, from which on it is worth a warning, and a problem."""
LATEST_YEAR = 2100
MEND = ("timedatectl set-ntp true", "timedatectl   (then shows `System clock synchronized: yes`)")


async def clock(subject: Subject) -> Found:
    now = datetime.now(UTC)
    faults: list[Fault] = []
    summary = f"{now:%Y-%m-%d %H:%M:%S} UTC"
    built = _installed()
    if now.year > LATEST_YEAR or (built - now).total_seconds() > FAR:
        faults.append(
            problem(f"The clock says {now:%Y-%m-%d %H:%M}, and this program was installed on {built:%Y-%m-%d}.", *MEND)
        )
    if (newest := max(_written(subject.folder), default=None)) is not None:
        moment, file = newest
        ahead = moment - now.timestamp()
        if ahead > FAR:
            faults.append(
                problem(
                    f"{file} was written {_words(ahead)} in the future: the clock was set back since, or was wrong "
                    "then.",
                    *MEND,
                )
            )
    if subject.connection is not None:
        said, more = await _database(subject)
        summary += said
        faults += more
    wall, monotonic = subject.began
    stepped = (time.time() - wall) - (time.monotonic() - monotonic)
    if abs(stepped) > STEP:
        faults.append(
            warning(f"The clock was set {_words(abs(stepped))} {'forward' if stepped > 0 else 'back'} just now.", *MEND)
        )
    return summary, faults


async def _database(subject: Subject) -> tuple[str, list[Fault]]:
    connection = subject.connection
    assert connection is not None
    asked = time.time()
    theirs = (await connection.fetchval("SELECT clock_timestamp()")).timestamp()
    # It was read somewhere between question and answer: the middle is wrong by half of that at most.
    answered = time.time()
    apart = theirs - (asked + answered) / 2
    faults = []
    if abs(apart) - (answered - asked) / 2 > NEAR:
        kind = problem if abs(apart) > FAR else warning
        side = "ahead of" if apart > 0 else "behind"
        faults.append(
            kind(f"The database's clock is {_words(abs(apart))} {side} this machine's.", *MEND, "(on both machines)")
        )
    if await connection.fetchval("SELECT to_regclass('login') IS NOT NULL"):
        newest = await connection.fetchval("SELECT max(greatest(created_at, refreshed_at)) FROM login")
        ahead = newest.timestamp() - time.time() if newest is not None else 0.0
        if ahead > NEAR:
            faults.append(
                problem(
                    f"The newest login was made {_words(ahead)} in the future: until the clock is there, its access "
                    "tokens are refused as not valid yet.",
                    *MEND,
                )
            )
    return f", {abs(apart) * 1000:.0f} ms from the database's" if abs(apart) < NEAR else "", faults


def _installed() -> datetime:
    """When this program was put here: no clock may be before that."""
    return datetime.fromtimestamp(Path(__file__).stat().st_mtime, UTC)


def _written(folder: Path) -> Iterator[tuple[float, Path]]:
    """When the files were written that every start or sign-in of the server touches."""
    home = folder / "postgresql"
    for place in (folder, folder / "tls", home, home / "log", home / "cluster"):
        try:
            files = [file for file in place.iterdir() if file.is_file()]
        except OSError:
            continue
        for file in files:
            try:
                yield file.stat().st_mtime, file
            except OSError:
                continue


def _words(seconds: float) -> str:
    for size, name in ((86_400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.1f} s"
