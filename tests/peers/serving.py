"""Whole servers in processes of their own, started as a person starts them, and killed as nobody should."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import psutil

from chiron.db.binaries import PostgresBinaries
from chiron.db.embedded import EmbeddedPostgres

CHIRON = str(Path(sys.executable).with_name("chiron"))

DEADLINE = 60.0
"""Seconds for anything to become true: generous, since two cores may be busy with other tests."""


class Server:
    """`chiron serve` on `folder / "data"`. `folder` may have been another server's before.

    Accounts need no verification, unless `settings` (environment variables) say so; and metrics are not served, since
    many servers run at a time.
    """

    furnished = True
    """A folder that is not there yet gets a cluster that was made before, in which nothing is: making one is a third of
    a first start, and the tests of that (and `tests/db`) do without."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = {"CHIRON_METRICS": "off", "CHIRON_IDENTITY_VERIFICATION": "off"}
        self.data = folder / "data"
        self.plain, self.secure = _free_port(), _free_port()
        self.address = f"http://127.0.0.1:{self.plain}"
        self.secure_address = f"https://localhost:{self.secure}"
        self.authority = self.data / "tls" / "ca.pem"
        self.process: asyncio.subprocess.Process | None = None
        self.log = folder / "server.log"
        self._family: set[int] = set()

    async def start(self, *options: str, crash_at: str = "", wait: bool = True) -> None:
        """Start the command, with `options` after those that every server gets, and wait until it serves."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CHIRON_")}
        environment |= self.settings
        if crash_at:
            environment["CHIRON_CRASH_AT"] = crash_at
        if self.furnished and not self.data.exists():
            await _furnish(self.data)
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.command(*options),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                # As under systemd: without a controlling terminal, whatever the tests have.
                start_new_session=True,
            )
        if wait:
            await self.until_ready()

    def command(self, *options: str) -> list[str]:
        places = ["--data-dir", str(self.data), "--port", str(self.secure), "--host", "127.0.0.1"]
        return [CHIRON, "serve", *places, "--plain", f"127.0.0.1:{self.plain}", *options]

    async def until_ready(self) -> None:
        async with httpx.AsyncClient(base_url=self.address) as http:

            async def ready() -> bool:
                assert self.process is None or self.process.returncode is None, self.tail()
                try:
                    return (await http.get("/readyz", timeout=2.0)).status_code == 200
                except httpx.HTTPError:
                    return False

            await until(ready, lambda: f"the server is not ready\n{self.tail()}")
        self.remember()

    async def until_said(self, words: str) -> None:
        """Wait until the log, which holds all that the command says, has these words."""
        await until(lambda: words in self.tail(), lambda: f"it has not said {words!r}\n{self.tail()}")

    def remember(self) -> None:
        """Know the processes of this server also once their parents are dead."""
        if self.process is not None and self.process.returncode is None:
            for child in psutil.Process(self.process.pid).children(recursive=True):
                self._family.add(child.pid)
        if (postmaster := self.postmaster()) is not None:
            self._family.add(postmaster)

    def worker(self) -> int | None:
        """Process id of the worker that lives now."""
        if self.process is None:
            return None
        try:
            children = psutil.Process(self.process.pid).children()
        except psutil.Error:
            return None
        for child in children:
            # Another child may be gone while it is looked at, or dead and not yet waited for.
            with contextlib.suppress(psutil.Error):
                if "chiron.server.worker" in child.cmdline():
                    return child.pid
        return None

    def postmaster(self) -> int | None:
        try:
            pid = int((self.data / "postgresql/cluster/postmaster.pid").read_text().splitlines()[0])
        except (OSError, ValueError, IndexError):
            return None
        return pid if psutil.pid_exists(pid) else None

    def kill_worker(self) -> bool:
        return _kill(self.worker())

    def kill_postgres(self) -> bool:
        return _kill(self.postmaster())

    async def kill_supervisor(self) -> None:
        """The supervisor alone: its worker and PostgreSQL live on, for a while."""
        assert self.process is not None
        self.remember()
        self.process.kill()
        await self.process.wait()

    def kill_everything(self) -> None:
        """What a power cut leaves: no process of this server."""
        self.remember()
        for pid in self._family:
            _kill(pid)

    async def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """As Ctrl-C does; the exit status."""
        assert self.process is not None
        self.remember()
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await self.ended()

    async def ended(self) -> int:
        """The exit status, once it ends by itself."""
        assert self.process is not None
        async with asyncio.timeout(DEADLINE):
            return await self.process.wait()

    async def destroy(self) -> None:
        """Nothing of it is left, whatever state it is in."""
        if self.process is not None and self.process.returncode is None:
            self.remember()
            self.process.kill()
            await self.process.wait()
        self.remember()
        for pid in self._family:
            _kill(pid)
        await until(lambda: not any(psutil.pid_exists(pid) for pid in self._family), lambda: "processes are left")

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-40:]) if self.log.exists() else ""


async def until(condition: Callable[[], object], complaint: Callable[[], str], *, seconds: float = DEADLINE) -> None:
    """Wait for a condition (which may be a coroutine function), looking often; fail with the complaint."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return
        assert loop.time() < deadline, complaint()
        await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def servers() -> AsyncIterator[Callable[[], Server]]:
    """Makes servers that are not started yet; of all of them nothing is left at the end."""
    made: list[Server] = []

    def make() -> Server:
        made.append(Server(open_folder()))
        return made[-1]

    try:
        yield make
    finally:
        for server in made:
            await server.destroy()
            shutil.rmtree(server.folder)


def open_folder() -> Path:
    """A temporary folder whose path is short enough for Unix sockets and passable for the server's account."""
    memory = Path("/dev/shm")
    roomy = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 4 << 30
    # The tests kill processes, not machines: where there is room, the disk need not spin for every fsync.
    folder = Path(tempfile.mkdtemp(prefix="chiron-", dir=memory if roomy else "/tmp"))
    folder.chmod(0o711)
    return folder


_clusters: list[Path] = []
"""The folder of the cluster that servers get copies of, once there is one."""


async def _furnish(data: Path) -> None:
    """Make the data folder with a copy of the cluster, as `EmbeddedPostgres` would have made it there."""
    if not _clusters:
        folder = open_folder()
        atexit.register(shutil.rmtree, folder)
        server = EmbeddedPostgres(folder, await PostgresBinaries.bundled())
        await server.start()
        await server.stop()
        _clusters.append(server.home)
    home = data / "postgresql"
    home.mkdir(mode=0o711, parents=True)
    access = json.loads((_clusters[0] / "access.json").read_text())
    access |= {"port": _free_port(), "socket_folder": str(home / "run")}
    (home / "access.json").touch(mode=0o600)
    (home / "access.json").write_text(json.dumps(access))
    # It belongs to the server's account.
    copying = await asyncio.create_subprocess_exec("cp", "-a", _clusters[0] / "cluster", home / "cluster")
    assert await copying.wait() == 0


def _free_port() -> int:
    """One that neither TCP nor UDP has."""
    while True:
        with socket.socket() as probe, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            with contextlib.suppress(OSError):
                other.bind(("127.0.0.1", port))
                return port


def _kill(pid: int | None) -> bool:
    if pid is None:
        return False
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
