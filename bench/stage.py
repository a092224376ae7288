"""A server to measure: `chiron serve` on a temporary data folder, with its worker on the core that is measured."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from bench.community import Community
from bench.measure import Cores
from bench.processes import BenchError
from chiron.db.embedded import running_dsn

DEADLINE = 120.0
"""Seconds for a server to serve: the first start of a machine unpacks PostgreSQL."""

SETTINGS = """\
metrics = "off"

[limits]
address_per_second = 1e9
address_burst = 1e9
person_per_second = 1e9
person_burst = 1e9
"""
"""What is measured is the server, not its patience with one address and with sixty-four people."""

CHIRON = str(Path(sys.executable).with_name("chiron"))


@dataclass(frozen=True, slots=True)
class Stage:
    """A server that serves, and what is known of it."""

    data: Path
    plain: str
    secure: str
    worker: int
    postgres: int
    dsn: str
    community: Community

    @property
    def authority(self) -> Path:
        return self.data / "tls" / "ca.pem"


@contextlib.asynccontextmanager
async def stage(cores: Cores, settings: str = "") -> AsyncIterator[Stage]:
    """A fresh server. Its folder lies on a real disk, for durable commits are part of what is measured.

    `settings`: lines of TOML before those that are the same for all.
    """
    folder = real_folder()
    data = folder / "data"
    data.mkdir(mode=0o700)
    (data / "chiron.toml").write_text(settings + SETTINGS)
    plain, secure = f"127.0.0.1:{_free_port()}", f"127.0.0.1:{_free_port()}"
    log = (folder / "server.log").open("ab")
    process = await asyncio.create_subprocess_exec(
        *(CHIRON, "serve", "--data-dir", str(data), "--host", "127.0.0.1", "--port", secure.rpartition(":")[2]),
        *("--plain", plain, "--log-level", "warning"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env={name: value for name, value in os.environ.items() if not name.startswith("CHIRON_")},
    )
    cores.pin([process.pid], cores.load)
    try:
        await _until_ready(process, plain, folder / "server.log")
        worker, postgres = _worker(process.pid), _postmaster(data)
        cores.pin([worker], cores.measured)
        cores.pin([postgres, *(child.pid for child in psutil.Process(postgres).children())], cores.load)
        dsn = running_dsn(data)
        assert dsn is not None
        community = await Community.on(data, dsn)
        try:
            yield Stage(data, plain, secure, worker, postgres, dsn, community)
        finally:
            await community.close()
    finally:
        log.close()
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()
        shutil.rmtree(folder)


async def _until_ready(process: asyncio.subprocess.Process, plain: str, log: Path) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + DEADLINE
    async with httpx.AsyncClient(base_url=f"http://{plain}") as http:
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if (await http.get("/readyz", timeout=2.0)).status_code == 200:
                    return
            if process.returncode is not None or loop.time() > deadline:
                raise BenchError(f"the server does not serve:\n{_tail(log)}")
            await asyncio.sleep(0.1)


def real_folder() -> Path:
    """A temporary folder on a real disk, which PostgreSQL's account may pass."""
    folder = Path(tempfile.mkdtemp(prefix="chiron-bench-", dir="/var/tmp"))
    folder.chmod(0o711)
    return folder


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-4000:]


def _worker(supervisor: int) -> int:
    for child in psutil.Process(supervisor).children():
        if "chiron.server.worker" in child.cmdline():
            return int(child.pid)
    raise BenchError("the server has no worker")


def _postmaster(data: Path) -> int:
    return int((data / "postgresql/cluster/postmaster.pid").read_text().splitlines()[0])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
