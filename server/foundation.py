"""What a server stands on: data folder, keys, certificate, listening sockets, PostgreSQL with this version's schema.

Order of start: lock, keys, certificate, sockets, PostgreSQL, migrations. What can be refused is refused before anything
is started; what was started is given back in the opposite order.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import structlog

from chiron.db import external, migrate
from chiron.db.binaries import PostgresBinaries
from chiron.db.embedded import EmbeddedPostgres, running_dsn
from chiron.db.lock import FolderLock
from chiron.errors import SetupError
from chiron.server.config import Listener, Settings, WorkerConfig, parse_address
from chiron.server.edge import udp
from chiron.server.edge.capacity import BACKLOG
from chiron.server.live import certificates_of, load_keys, sources_of
from chiron.server.ports import Clock

BIND_SECONDS = 8.0
"""How long to wait for a worker whose supervisor was killed to give its sockets back."""

FREE_PORTS = 16
"""How many to try until one is free for TCP and for UDP."""

RESTART_SECONDS = (0.0, 0.1, 0.5, 2.0, 5.0)
"""Pauses before the next start of a part: the first one after a good life, then one more step for each short one."""

WORTH_SAYING = 3
"""After so many failed starts in a row people are told, and not the log alone."""

Report = Callable[[str], None]
T = TypeVar("T")

log = structlog.get_logger("chiron.supervisor")


@dataclass(frozen=True, slots=True)
class Serving:
    """Where the server can be reached."""

    secure: str
    """Origin with TLS; HTTP/3 is served on its port too, where `quic` says so."""
    plain: str | None
    """Origin without TLS, where there is one."""
    authority: Path | None
    """Certificate of the development authority, where the certificate is ours."""
    quic: bool = False


@dataclass(frozen=True, slots=True)
class Foundation:
    """Laid by `lay`."""

    sockets: Sequence[socket.socket]
    """That were bound."""
    postgres: EmbeddedPostgres | None
    config: WorkerConfig
    serving: Serving


async def lay(stack: contextlib.AsyncExitStack, settings: Settings, clock: Clock, report: Report) -> Foundation:
    """What `stack` gives back when it closes. Raises SetupError."""
    stack.enter_context(locked(settings.data_dir))
    secrets = load_keys(settings, clock)
    certificates = certificates_of(settings, clock.now())
    datagrams = plain = None
    if settings.quic:
        secure, datagrams = await _bind(_both, settings.host, settings.port, report)
        stack.enter_context(datagrams)
    else:
        secure = await _bind(_listening, settings.host, settings.port, report)
    stack.enter_context(secure)
    if settings.plain:
        plain = stack.enter_context(await _bind(_listening, *parse_address(settings.plain), report))
    if (exposed := _expose(settings, report)) is not None:
        stack.enter_context(exposed)
    postgres, dsn = await _database(stack, settings, report)
    for name in await migrate.migrate(dsn):
        report(f"Migrated the database: {name}")
    bound = [
        (secure, Listener(secure.fileno(), True)),
        *([] if datagrams is None else [(datagrams, Listener(datagrams.fileno(), True, datagram=True))]),
        *([] if plain is None else [(plain, Listener(plain.fileno(), False))]),
        *([] if exposed is None else [(exposed, Listener(exposed.fileno(), False, metrics=True))]),
    ]
    serving = Serving(
        _address(secure, True),
        None if plain is None else _address(plain, False),
        certificates.authority,
        datagrams is not None,
    )
    config = certificates.put_into(
        WorkerConfig(
            database=dsn,
            keys=secrets,
            tls_chain=b"",
            tls_key=b"",
            quic_port=0 if datagrams is None else _quic_port(settings, datagrams),
            listeners=[listener for _, listener in bound],
            settings=settings,
            scoring=sources_of(settings).fingerprint(),
            public_url=settings.public_url or serving.plain or serving.secure,
        )
    )
    return Foundation([sock for sock, _ in bound], postgres, config, serving)


def _quic_port(settings: Settings, datagrams: socket.socket) -> int:
    """The UDP port that clients are told; 0 where whatever stands between them and us makes it unknown."""
    if settings.public_port is not None:
        return settings.public_port
    if settings.trusted_proxies or settings.proxy_protocol:
        return 0
    port: int = datagrams.getsockname()[1]
    return port


def _expose(settings: Settings, report: Report) -> socket.socket | None:
    """A listening socket for metrics. Nobody must have them: another server of this machine may have their port."""
    if settings.metrics is None:
        return None
    host, port = parse_address(settings.metrics)
    try:
        return _listening(host, port)
    except OSError as error:
        report(f"Metrics are not served: {host}, port {port}: {_reason(error)}.")
        return None


async def _database(
    stack: contextlib.AsyncExitStack, settings: Settings, report: Report
) -> tuple[EmbeddedPostgres | None, str]:
    if settings.database is not None:
        await (await external.connect(settings.database)).close()
        return None, settings.database
    binaries = await PostgresBinaries.bundled(report=report)
    postgres = EmbeddedPostgres(settings.data_dir, binaries, report=report)
    stack.push_async_callback(_stop_postgres, postgres, report)
    await postgres.start()
    return postgres, postgres.dsn


async def keep_postgres(postgres: EmbeddedPostgres, report: Report) -> None:
    """Start PostgreSQL again whenever it dies; until cancelled."""
    failed_starts = 0
    while True:
        await postgres.wait_exit()
        pause = RESTART_SECONDS[min(failed_starts, len(RESTART_SECONDS) - 1)]
        log.error("postgres.died", again_in=pause)
        await asyncio.sleep(pause)
        try:
            await postgres.start()
        except Exception as error:
            # Also a full disk, or a server that dies again while it is looked at: none of them is for ever.
            failed_starts += 1
            reason = str(error) or type(error).__name__
            log.warning("postgres.restart_failed", reason=reason)
            if failed_starts == WORTH_SAYING:
                report(f"PostgreSQL does not start and is tried again and again: {reason}")
        else:
            failed_starts = 0
            log.info("postgres.restarted")


async def _stop_postgres(postgres: EmbeddedPostgres, report: Report) -> None:
    if postgres.running:
        report("Stopping PostgreSQL")
    await postgres.stop()


async def _bind(bind: Callable[[str, int], T], host: str, port: int, report: Report) -> T:
    """What `bind` makes there; waits for a port that a worker without supervisor still holds. Raises SetupError."""
    loop = asyncio.get_running_loop()
    deadline = None
    while True:
        try:
            return bind(host, port)
        except OSError as error:
            if error.errno == errno.EADDRINUSE and deadline is None:
                deadline = loop.time() + BIND_SECONDS
                report(f"Port {port} is in use: waiting {BIND_SECONDS:.0f} s for a former server to give it back")
            if deadline is None or loop.time() >= deadline:
                raise SetupError(
                    f"Cannot listen on {host or 'every address'}, port {port}: {_reason(error)}.", exit_status=71
                ) from error
        await asyncio.sleep(0.1)


def _both(host: str, port: int) -> tuple[socket.socket, socket.socket]:
    """Sockets of TCP, which listens, and of UDP with one number; 0 finds one that both have free. Raises OSError."""
    attempts = FREE_PORTS if port == 0 else 1
    while True:
        listening = _listening(host, port)
        attempts -= 1
        try:
            return listening, udp.bind(host, listening.getsockname()[1])
        except OSError as error:
            listening.close()
            if error.errno != errno.EADDRINUSE or not attempts:
                reason = f"over UDP: {_reason(error)}; `chiron serve --no-quic` does without HTTP/3"
                raise OSError(error.errno, reason) from error


def _listening(host: str, port: int) -> socket.socket:
    """Raises OSError."""
    if not host and socket.has_dualstack_ipv6():
        return socket.create_server(("::", port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


def _reason(error: OSError) -> str:
    """What the system said; `create_server` puts the address behind it."""
    return (error.strerror or str(error)).partition(" (while ")[0]


def _address(sock: socket.socket, secure: bool) -> str:
    """What to type into a browser."""
    host, port = sock.getsockname()[:2]
    if host in ("::", "0.0.0.0") or (secure and host in ("127.0.0.1", "::1")):  # noqa: S104 - compared, not bound
        host = "localhost"
    return f"{'https' if secure else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


@contextlib.asynccontextmanager
async def database_of(folder: Path, database: str | None, *, make: bool = True, report: Report) -> AsyncIterator[str]:
    """Address of the database of a data folder, for a command beside the server: of the given one, of the embedded one
    that runs, or of one that is started for the while, and made where `make` allows it. Raises SetupError."""
    if database is None:
        database = running_dsn(folder)
    if database is not None:
        yield database
        return
    if not make and not (folder / "postgresql").exists():
        raise SetupError(f"There is no database in {folder} yet; `chiron serve` makes one.")
    with locked(folder):
        postgres = EmbeddedPostgres(folder, await PostgresBinaries.bundled(report=report), report=report)
        try:
            await postgres.start()
            yield postgres.dsn
        finally:
            await postgres.stop()


def locked(folder: Path) -> FolderLock:
    """The data folder, made when missing, for this process alone. Raises SetupError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(f"{folder} cannot be made: {error.strerror}.", exit_status=73) from error
    return FolderLock(folder)
