"""A PostgreSQL server of our own below the data folder: made, started, watched, adopted and stopped.

Layout of `<data folder>/postgresql`, which belongs to us; what lies in it belongs to the server's account:

    lock           held by the process that owns the server (`FolderLock`)
    access.json    port, socket folder and passwords, 0600
    chiron.conf    settings, written at every start; `local.conf` beside it, if there is one, overrides them
    start.log      what the server said before its logger ran
    cluster/       PGDATA
    log/           one file a weekday, overwritten a week later
    run/           the Unix socket, 0700

Under root only the last three belong to the account, and root writes no file in them: a server that was broken into
could lay links there.

The server is in a session of its own and outlives a supervisor that is killed. The next one finds it by
`cluster/postmaster.pid` and adopts it; there is nothing that only a parent process could do.

Everybody shows a password (SCRAM-SHA-256), also on the socket: under root the account may be one that other services
share. The application's role owns its database and is no superuser.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

import asyncpg

from chiron.db.binaries import PostgresBinaries, Report
from chiron.db.cluster import Cluster
from chiron.db.lock import FolderLock
from chiron.db.process import POLL, Account, choose_account, exited, give, require_traversable, run, spawn, until
from chiron.errors import SetupError

MAJOR = 18
DATABASE = ROLE = "chiron"
SUPERUSER = "postgres"
SUN_PATH = 103
"""Bytes of a Unix socket's path: `sun_path` holds 104 on macOS and 108 on Linux, with the NUL."""
READY_TIMEOUT = 300.0
"""Seconds that a start may take. Recovery after a crash replays up to max_wal_size, on a slow disk in minutes."""
WATCH = 0.25
"""Seconds between two looks at whether a server that runs still does."""
LEFTOVER_TIMEOUT = 10.0
"""Seconds given to the backends of a dead postmaster. They notice by themselves; one that computes does not."""

DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
"""What an acknowledged message rests on: given on the command line, where no configuration file can undo it."""

SETTINGS = {
    "max_connections": "60",
    "shared_buffers": "128MB",
    "effective_cache_size": "512MB",
    "random_page_cost": "1.1",
    "jit": "off",
    "io_workers": "2",
    "wal_compression": "lz4",
    "max_wal_size": "512MB",
    "checkpoint_timeout": "10min",
    "autovacuum_naptime": "20s",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "on",
    "log_filename": "postgresql-%a.log",
    "log_file_mode": "0600",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_truncate_on_rotation": "on",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    # A DETAIL may quote a row, that is, what people wrote.
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    # Two-phase commit would let a transaction outlive the connection that began it.
    "max_prepared_transactions": "0",
}
"""For a machine of two cores that also runs the server."""


@dataclass(slots=True)
class _Access:
    """What `access.json` holds."""

    port: int
    socket_folder: str
    password: str
    superuser_password: str


class EmbeddedPostgres:
    """The server on one data folder. One object per process and folder; `start` may be called again after it died.

    `report` is told what a first start is doing. `settings` override `SETTINGS` (names and values as in
    postgresql.conf).
    """

    def __init__(
        self,
        data_dir: Path,
        binaries: PostgresBinaries,
        *,
        report: Report = lambda _: None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.home = data_dir.resolve() / "postgresql"
        self.binaries = binaries
        self._report = report
        self._settings = {**SETTINGS, **(settings or {})}
        self._cluster = Cluster(self.home / "cluster")
        self._lock = FolderLock(self.home)
        self._access: _Access | None = None
        self._account: Account | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._pid: int | None = None

    # --- where it is ---------------------------------------------------------------------------------------------

    @property
    def pid(self) -> int | None:
        """The postmaster's process id while it runs."""
        return self._pid if self.running else None

    @property
    def running(self) -> bool:
        """Whether the postmaster is alive (it may still be recovering, or already be stopping)."""
        if self._child is not None:
            return self._child.poll() is None
        return self._pid is not None and self._cluster.occupied_by(self._pid)

    @property
    def dsn(self) -> str:
        """The application's database by Unix socket. Holds a password. The same for the life of this object."""
        return _dsn(self._opened(), ROLE, DATABASE)

    @property
    def tcp_dsn(self) -> str:
        """The same by the loopback address; refused while another program has the port (see `start`)."""
        return _dsn(self._opened(), ROLE, DATABASE, tcp=True)

    @property
    def superuser_dsn(self) -> str:
        """Database `postgres` as superuser, for maintenance."""
        return _dsn(self._opened(), SUPERUSER, "postgres")

    def _opened(self) -> _Access:
        assert self._access is not None, "start() makes the addresses"
        return self._access

    # --- starting ------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Make the cluster if there is none, adopt its server if one runs, else start one; return when it answers.

        The port is the one of last time where it is free. Once this object has given out its addresses they stay: if
        another program took the port between two starts, the server comes back on the Unix socket alone.
        Raises `SetupError`.
        """
        self._account = choose_account(self._cluster.folder)
        self._prepare_home()
        self._lock.acquire()
        first = self._access is None
        try:
            await self._make_cluster()
            if not await self._adopt():
                await self._clear_leftovers()
                await self._launch(keep_port=not first)
            await self._provide_database()
        except BaseException:
            if first:
                self._lock.release()
            raise

    def _prepare_home(self) -> None:
        try:
            if not self.home.exists():
                self.home.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self.home.mkdir(mode=0o700)
        except OSError as error:
            raise SetupError(f"{self.home} cannot be made: {error.strerror}.", exit_status=73) from error
        if self._account is not None:
            # Ours to open: the account passes through to its own folders, and sees no names on the way.
            for folder in (self.home.parent, self.home):
                folder.chmod(folder.stat().st_mode & 0o7777 | 0o011)
        require_traversable(self.home, self._account)

    async def _make_cluster(self) -> None:
        for leftover in self.home.glob(".making-*"):
            await asyncio.to_thread(shutil.rmtree, leftover)
        access_file = self.home / "access.json"
        if not self._cluster.folder.exists():
            await self._initialize(access_file)
        found = self._cluster.major_version()
        if found != MAJOR:
            raise SetupError(
                f"{self._cluster.folder} was made by PostgreSQL {found}, and this is PostgreSQL {MAJOR}. "
                "Upgrade it with pg_upgrade, or dump it with the old version and restore it."
            )
        if self._access is None:
            self._access = _read_access(access_file)
        for folder in (self.home / "log", Path(self._access.socket_folder)):
            self._provide_folder(folder)

    def _provide_folder(self, folder: Path) -> None:
        """A private folder of the server's account; the one for sockets may be where everybody can make folders."""
        try:
            folder.mkdir(mode=0o700)
            give(folder, self._account)
        except FileExistsError:
            owner = self._account.uid if self._account is not None else os.geteuid()
            status = folder.lstat()
            if not stat.S_ISDIR(status.st_mode) or status.st_uid != owner:
                raise SetupError(f"{folder} belongs to somebody else. Remove it and start again.") from None

    async def _initialize(self, access_file: Path) -> None:
        available = await self.binaries.major_version(self._account)
        if available != MAJOR:
            raise SetupError(f"{self.binaries.directory} holds PostgreSQL {available}; {MAJOR} is needed.")
        self._report("Making the database")
        access = _Access(
            port=_free_port(),
            socket_folder=self._choose_socket_folder(),
            password=secrets.token_urlsafe(24),
            superuser_password=secrets.token_urlsafe(24),
        )
        # In place only once complete: a kill in the middle leaves nothing that looks like a cluster.
        making = Path(tempfile.mkdtemp(prefix=".making-", dir=self.home))
        give(making, self._account)
        password_file = making / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(access.superuser_password + "\n")
        give(password_file, self._account)
        status, output = await run(
            [
                self.binaries.program("initdb"),
                f"--pgdata={making / 'cluster'}",
                f"--username={SUPERUSER}",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                # Orders text by code point, on every machine and for ever: no index breaks with a host's upgrade.
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--locale=C",
                "--data-checksums",
            ],
            self._account,
            self.binaries.environment(),
            timeout=300,
        )
        if status != 0:
            raise SetupError(f"The database could not be made: {output.strip()}", exit_status=73)
        configuration = making / "cluster" / "postgresql.conf"
        with configuration.open("a") as file:
            file.write("\ninclude '../chiron.conf'\ninclude_if_exists '../local.conf'\n")
        _write_durably(access_file, json.dumps(asdict(access)))
        (making / "cluster").rename(self._cluster.folder)
        _sync_folder(self.home)
        await asyncio.to_thread(shutil.rmtree, making)

    def _choose_socket_folder(self) -> str:
        """`run/` where its path is short enough for a socket, else a private folder for temporary files."""
        folder = self.home / "run"
        if len(os.fsencode(folder / ".s.PGSQL.65535.lock")) <= SUN_PATH:
            return str(folder)
        # Not $TMPDIR, which may be the long path itself.
        short = Path(tempfile.mkdtemp(prefix="chiron-", dir="/tmp"))
        give(short, self._account)
        return str(short)

    async def _adopt(self) -> bool:
        """Take over a server that already runs here. One that is stopping is waited for."""
        pid = self._cluster.postmaster()
        if pid is None:
            return False
        self._child = self._child if self._child is not None and self._child.pid == pid else None
        self._pid = pid
        return await self._until_ready()

    async def _clear_leftovers(self) -> None:
        """Wait for the backends of a dead postmaster: a server would refuse to start while one has its memory."""
        self._pid, self._child = None, None
        if not await until(lambda: not self._cluster.occupants(), LEFTOVER_TIMEOUT):
            # Their postmaster is gone, and nobody else can use the shared memory that they hold.
            for pid in self._cluster.occupants():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if not await until(lambda: not self._cluster.occupants(), LEFTOVER_TIMEOUT):
                raise SetupError(
                    f"Processes {self._cluster.occupants()} of a dead PostgreSQL server do not end.", exit_status=71
                )
        self._cluster.forget_postmaster(Path(self._opened().socket_folder))

    async def _launch(self, *, keep_port: bool) -> None:
        access = self._opened()
        listen = "127.0.0.1"
        if not _is_free(access.port):
            if keep_port:
                listen = ""
            else:
                access.port = _free_port()
                _write_durably(self.home / "access.json", json.dumps(asdict(access)))
        self._write_configuration()
        self._report("Starting PostgreSQL")
        options = {**DURABLE, "listen_addresses": listen, "port": str(access.port)}
        command: list[str | Path] = [self.binaries.program("postgres"), "-D", self._cluster.folder]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        log = self.home / "start.log"
        with log.open("wb") as output:
            self._child = spawn(command, self._account, self.binaries.environment(), output)
        self._pid = self._child.pid
        if not await self._until_ready():
            said = log.read_text(errors="replace").strip().splitlines()[-5:]
            await self.binaries.major_version(self._account)
            raise SetupError(
                f"PostgreSQL ended at its start with status {self._child.poll()}; its log is in {self.home / 'log'}. "
                + " ".join(said),
                exit_status=71,
            )

    def _write_configuration(self) -> None:
        values = {
            **self._settings,
            "unix_socket_directories": self._opened().socket_folder,
            "unix_socket_permissions": "0700",
            "log_directory": str(self.home / "log"),
        }
        lines = [f"{name} = '{value.replace(chr(39), chr(39) * 2)}'\n" for name, value in values.items()]
        _write_durably(self.home / "chiron.conf", "".join(lines), mode=0o644)

    async def _until_ready(self) -> bool:
        """Wait until the server answers; False when it ended first. Raises `SetupError` at the deadline."""
        deadline = time.monotonic() + READY_TIMEOUT
        while self.running:
            if self._cluster.status() == "ready" and await self._answers():
                return True
            if time.monotonic() > deadline:
                raise SetupError(
                    f"PostgreSQL (process {self._pid}) has not become ready within {READY_TIMEOUT:.0f} s; "
                    f"its log is in {self.home / 'log'}.",
                    exit_status=75,
                )
            await asyncio.sleep(POLL)
        return False

    async def _answers(self) -> bool:
        try:
            connection = await asyncpg.connect(self.superuser_dsn, timeout=5)
        except (OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError):
            return False
        except asyncpg.PostgresError as error:
            raise SetupError(f"The running PostgreSQL does not let us in: {error}") from error
        try:
            folder = await connection.fetchval("SHOW data_directory", timeout=5)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        finally:
            connection.terminate()
        return Path(folder) == self._cluster.folder

    async def _provide_database(self) -> None:
        """Role and database of the application; harmless when they exist."""
        connection = await asyncpg.connect(self.superuser_dsn, timeout=30)
        try:
            if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", ROLE):
                # Letters, digits, - and _ only: safe inside quotes.
                await connection.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{self._opened().password}'")
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
                await connection.execute(f"CREATE DATABASE {DATABASE} OWNER {ROLE}")
        finally:
            await connection.close(timeout=5)

    # --- watching and stopping -----------------------------------------------------------------------------------

    async def wait_exit(self) -> None:
        """Return once the postmaster has ended, for whatever reason. `start` then brings it back."""
        if (pid := self.pid) is not None:
            with contextlib.suppress(OSError):
                await exited(pid)
        await until(lambda: not self.running, poll=WATCH)

    async def stop(self, *, timeout: float = 10.0) -> None:
        """Stop the server and give the folder up: fast (connections end, everything is written), after `timeout`
        seconds immediate (the next start recovers), and after 5 more by SIGKILL. Harmless when it does not run."""
        for number, patience in ((signal.SIGINT, timeout), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
            pid = self.pid
            if pid is None:
                break
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            await until(lambda: not self.running, patience)
        if self._access is not None and not self._access.socket_folder.startswith(str(self.home)):
            # Not empty means that the server is still there, whatever it was sent.
            with contextlib.suppress(OSError):
                os.rmdir(self._access.socket_folder)
        self._lock.release()


def running_dsn(data_dir: Path) -> str | None:
    """Address of the application's database on a folder whose server another process owns; None when none runs."""
    home = data_dir.resolve() / "postgresql"
    if Cluster(home / "cluster").postmaster() is None:
        return None
    return _dsn(_read_access(home / "access.json"), ROLE, DATABASE)


def _dsn(access: _Access, role: str, database: str, *, tcp: bool = False) -> str:
    password = access.superuser_password if role == SUPERUSER else access.password
    host = "127.0.0.1" if tcp else access.socket_folder
    query = urlencode({"host": host, "port": access.port})
    return f"postgresql://{role}:{quote(password)}@/{database}?{query}"


def _read_access(file: Path) -> _Access:
    try:
        return _Access(**json.loads(file.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise SetupError(f"{file}, which holds the database's passwords, is missing or damaged: {error}") from error


def _write_durably(file: Path, text: str, mode: int = 0o600) -> None:
    """Replace a file so that a crash leaves the old or the new content."""
    beside = file.with_name(file.name + ".new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as output:
        output.write(text)
        output.flush()
        os.fsync(descriptor)
    beside.replace(file)
    _sync_folder(file.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As PostgreSQL does: connections of a former server that still linger do not hold the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
