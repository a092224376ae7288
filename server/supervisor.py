"""The supervisor: owns the data folder, PostgreSQL, the keys and the listening sockets; keeps a worker running.

Order of start: lock, keys, certificate, sockets, PostgreSQL, migrations, worker. What can be refused is refused before
anything is started. Order of stop: worker (drains), PostgreSQL, lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

from chiron.db import external, migrate
from chiron.db.binaries import PostgresBinaries
from chiron.db.embedded import EmbeddedPostgres, running_dsn
from chiron.db.lock import FolderLock
from chiron.errors import SetupError
from chiron.server.config import Listener, Settings, WorkerConfig
from chiron.server.control import TO_SUPERVISOR, Channel, Drain, Failed, Ready, Start
from chiron.server.edge import certificates
from chiron.server.platform import keys

DRAIN_SECONDS = 10.0
"""What a worker gets to finish; then it is killed: with PostgreSQL's stop the command ends within 30 s."""

BIND_SECONDS = 8.0
"""How long to wait for a worker whose supervisor was killed to give its sockets back."""

RESTART_SECONDS = (0.0, 0.1, 0.5, 2.0, 5.0)
"""Pauses before the next start of a part that keeps dying; back to the first after a minute of running."""

BACKLOG = 4096

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Serving:
    """Where the server can be reached."""

    secure: str
    plain: str | None
    authority: Path | None
    """Certificate of the development authority, where the certificate is ours."""


class Supervisor:
    """`report` is told what happens during start and stop, in sentences; `serving` is called once the worker serves."""

    def __init__(self, settings: Settings, *, report: Report, serving: Callable[[Serving], None]) -> None:
        self._settings = settings
        self._report = report
        self._announce = serving
        self._announced = False
        self._stopping = asyncio.Event()
        self._impatient = asyncio.Event()
        self._failure: SetupError | None = None
        self._log = structlog.get_logger("chiron.supervisor")

    async def run(self) -> int:
        """Serve until SIGTERM or SIGINT; the exit status. Raises SetupError when something must be mended first."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)
        try:
            async with contextlib.AsyncExitStack() as stack:
                await self._serve(stack)
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
        if self._failure:
            raise self._failure
        return 0

    async def _serve(self, stack: contextlib.AsyncExitStack) -> None:
        settings = self._settings
        stack.enter_context(_locked(settings.data_dir))
        secrets = keys.load_or_create(settings.data_dir / "keys.json")
        certificate, authority = self._certificate()
        listeners = await self._bind(stack)
        dsn = settings.database
        if dsn is None:
            binaries = await PostgresBinaries.bundled(report=self._report)
            postgres = EmbeddedPostgres(settings.data_dir, binaries, report=self._report)
            stack.push_async_callback(self._stop_postgres, postgres)
            await postgres.start()
            dsn = postgres.dsn
        else:
            postgres = None
            await (await external.connect(dsn)).close()
        for name in await migrate.migrate(dsn):
            self._report(f"Migrated the database: {name}")
        serving = Serving(
            secure=f"https://localhost:{listeners[0][0].getsockname()[1]}",
            plain=None if len(listeners) < 2 else "http://{}:{}".format(*listeners[1][0].getsockname()[:2]),
            authority=authority,
        )
        config = WorkerConfig(
            database=dsn,
            keys=secrets,
            tls_chain=certificate.chain,
            tls_key=certificate.key,
            listeners=[Listener(sock.fileno(), secure) for sock, secure in listeners],
            origins=list(settings.origins),
            log_level=settings.log_level,
        )
        watchers = [asyncio.create_task(self._keep_worker(config, serving))]
        if postgres is not None:
            watchers.append(asyncio.create_task(self._keep_postgres(postgres)))
        stopping = asyncio.create_task(self._stopping.wait())
        done, _ = await asyncio.wait([*watchers, stopping], return_when=asyncio.FIRST_COMPLETED)
        self._stopping.set()
        if stopping in done:
            self._report("Stopping: finishing what was begun (Ctrl-C again to stop at once)")
        # The worker's watcher ends when the worker has drained; PostgreSQL's when it is cancelled.
        await asyncio.wait(watchers[:1])
        for task in (*watchers[1:], stopping):
            task.cancel()
        for result in await asyncio.gather(*watchers, return_exceptions=True):
            if isinstance(result, SetupError):
                self._failure = result
            elif isinstance(result, Exception):
                raise result

    def _signalled(self) -> None:
        if self._stopping.is_set():
            self._impatient.set()
        self._stopping.set()

    # Sockets and certificate.

    def _certificate(self) -> tuple[certificates.Certificate, Path | None]:
        settings = self._settings
        if settings.tls_certificate and settings.tls_key:
            return certificates.from_files(settings.tls_certificate, settings.tls_key), None
        if settings.tls_certificate or settings.tls_key:
            raise SetupError("give both --tls-cert and --tls-key, or neither", exit_status=64)
        folder = settings.data_dir / "tls"
        return certificates.development(folder, datetime.now(UTC)), folder / "ca.pem"

    async def _bind(self, stack: contextlib.AsyncExitStack) -> list[tuple[socket.socket, bool]]:
        wanted = [(self._settings.host, self._settings.port, True)]
        if self._settings.plain:
            wanted.append((*self._settings.plain, False))
        listeners = []
        for host, port, secure in wanted:
            sock = await _bind(host, port)
            stack.enter_context(sock)
            listeners.append((sock, secure))
        return listeners

    # The worker.

    async def _keep_worker(self, config: WorkerConfig, serving: Serving) -> None:
        """Start the worker, and another one whenever it dies, until the stop; then have it drain."""
        deaths = 0
        loop = asyncio.get_running_loop()
        while not self._stopping.is_set():
            started = loop.time()
            process, channel = await self._spawn(config)
            try:
                watched = [
                    asyncio.create_task(process.wait()),
                    asyncio.create_task(self._stopping.wait()),
                    asyncio.create_task(self._listen(channel, serving)),
                ]
                await asyncio.wait(watched[:2], return_when=asyncio.FIRST_COMPLETED)
                if process.returncode is None:
                    await self._drain(process, channel)
                else:
                    # Whatever it said before it went.
                    await asyncio.wait(watched[2:], timeout=1.0)
            finally:
                for task in watched:
                    task.cancel()
                channel.close()
            if self._failure or self._stopping.is_set():
                self._stopping.set()
                return
            deaths = 0 if loop.time() - started > 60 else deaths + 1
            pause = RESTART_SECONDS[min(deaths, len(RESTART_SECONDS)) - 1] if deaths else 0.0
            self._log.error("worker.died", status=process.returncode, again_in=pause)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)

    async def _spawn(self, config: WorkerConfig) -> tuple[asyncio.subprocess.Process, Channel]:
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "chiron.server.worker",
                str(theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=[theirs.fileno(), *(listener.descriptor for listener in config.listeners)],
                start_new_session=True,
            )
        channel = await Channel.over(ours)
        channel.send(Start(config))
        return process, channel

    async def _listen(self, channel: Channel, serving: Serving) -> None:
        while True:
            message = await channel.receive(TO_SUPERVISOR)
            if message is None:
                return
            if isinstance(message, Failed):
                self._failure = SetupError(message.message, exit_status=message.exit_status)
            elif isinstance(message, Ready) and not self._announced:
                self._announced = True
                self._announce(serving)

    async def _drain(self, process: asyncio.subprocess.Process, channel: Channel) -> None:
        channel.send(Drain(DRAIN_SECONDS))
        gone = asyncio.create_task(process.wait())
        impatient = asyncio.create_task(self._impatient.wait())
        await asyncio.wait([gone, impatient], timeout=DRAIN_SECONDS + 2, return_when=asyncio.FIRST_COMPLETED)
        impatient.cancel()
        if process.returncode is None:
            self._log.warning("worker.killed", pid=process.pid)
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await gone

    # PostgreSQL.

    async def _keep_postgres(self, postgres: EmbeddedPostgres) -> None:
        attempts = 0
        while True:
            await postgres.wait_exit()
            pause = RESTART_SECONDS[min(attempts, len(RESTART_SECONDS) - 1)]
            self._log.error("postgres.died", again_in=pause)
            await asyncio.sleep(pause)
            try:
                await postgres.start()
            except SetupError as error:
                self._log.error("postgres.restart_failed", reason=str(error))
                attempts += 1
            else:
                attempts = 0
                self._log.info("postgres.restarted")

    async def _stop_postgres(self, postgres: EmbeddedPostgres) -> None:
        if postgres.running:
            self._report("Stopping PostgreSQL")
        await postgres.stop()


async def _bind(host: str, port: int) -> socket.socket:
    """A listening socket; waits for one that a dying worker still holds. Raises SetupError."""
    deadline = asyncio.get_running_loop().time() + BIND_SECONDS
    while True:
        try:
            if not host and socket.has_dualstack_ipv6():
                return socket.create_server(("::", port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True)
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            return socket.create_server((host, port), family=family, backlog=BACKLOG)
        except OSError as error:
            if asyncio.get_running_loop().time() >= deadline:
                raise SetupError(
                    f"cannot listen on {host or 'every address'}, port {port}: {error.strerror}", exit_status=71
                ) from error
        await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def database_of(folder: Path, database: str | None, *, report: Report) -> AsyncIterator[str]:
    """Address of the database of a data folder, for a command beside the server: of the given one, of the embedded one
    that runs, or of one that is started for the while. Raises SetupError."""
    if database is None:
        database = running_dsn(folder)
    if database is not None:
        yield database
        return
    with _locked(folder):
        postgres = EmbeddedPostgres(folder, await PostgresBinaries.bundled(report=report), report=report)
        try:
            await postgres.start()
            yield postgres.dsn
        finally:
            await postgres.stop()


def _locked(folder: Path) -> FolderLock:
    """The data folder, made when missing, for this process alone. Raises SetupError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(f"{folder} cannot be made: {error.strerror}", exit_status=73) from error
    return FolderLock(folder)
