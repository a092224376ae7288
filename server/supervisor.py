"""The supervisor: owns the data folder, PostgreSQL, the keys and the listening sockets; keeps a worker running.

Order of stop: sockets, worker (drains), what `foundation` laid.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import structlog

from chiron.errors import SetupError
from chiron.server import admin
from chiron.server.config import Settings, WorkerConfig
from chiron.server.control import (
    TO_SUPERVISOR,
    Channel,
    Drain,
    Failed,
    Ready,
    Reload,
    Reloaded,
    Start,
    ToSupervisor,
    Unready,
)
from chiron.server.foundation import RESTART_SECONDS, WORTH_SAYING, Foundation, Report, Serving, keep_postgres, lay
from chiron.server.live import LiveConfig
from chiron.server.platform.clock import SystemClock
from chiron.server.telemetry import set_log_level

DRAIN_SECONDS = 10.0
"""What a worker gets to finish; then it is killed: with PostgreSQL's stop the command ends within 30 s."""

RELOAD_SECONDS = 10.0
"""How long a worker may take to follow a change."""

GOOD_LIFE = 3.0
"""Seconds: a worker that served and lived so long died of something that the next one need not meet."""

T = TypeVar("T")


class Supervisor:
    """`report` is told what happens, in sentences; `serving` is called once, when the first worker serves.

    `read_again` gives the settings as they are said now, or raises SetupError.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        read_again: Callable[[], Settings],
        report: Report,
        serving: Callable[[Serving], None],
    ) -> None:
        self._settings = settings
        self._read_again = read_again
        self._report = report
        self._announce = serving
        self._announced = False
        self._clock = SystemClock()
        self._stopping = asyncio.Event()
        self._impatient = asyncio.Event()
        self._hung_up = asyncio.Event()
        self._failure: SetupError | None = None
        self._worker: Channel | None = None
        """To the worker that serves now."""
        self._followed: WorkerConfig | None = None
        """What it follows, or was told last of what was not refused."""
        self._numbers = itertools.count(1)
        self._replies: dict[int, asyncio.Future[str]] = {}
        """By number of a `Reload`: what it was answered."""
        self._log = structlog.get_logger("chiron.supervisor")

    async def run(self) -> int:
        """Serve until SIGTERM or SIGINT; the exit status. Raises SetupError when something must be mended.

        SIGHUP means that the terminal was closed, and stops too. Without a controlling terminal that cannot be, and
        it asks for a reload, as daemons have it.
        """
        loop = asyncio.get_running_loop()
        handlers = {signal.SIGTERM: self._signalled, signal.SIGINT: self._signalled}
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # `nohup` ignores it for us
            handlers[signal.SIGHUP] = self._signalled if _has_terminal() else self._hung_up.set
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        try:
            async with contextlib.AsyncExitStack() as stack:
                parts = await self._unless_stopped(lay(stack, self._settings, self._clock, self._report))
                if parts is not None:
                    await self._serve(parts)
        finally:
            for number in handlers:
                loop.remove_signal_handler(number)
        if self._failure:
            raise self._failure
        return 0

    def _signalled(self) -> None:
        if self._stopping.is_set():
            self._impatient.set()
        self._stopping.set()

    async def _unless_stopped(self, work: Coroutine[Any, Any, T]) -> T | None:
        """What `work` returns; None when a signal comes first, which cancels it."""
        task = asyncio.create_task(work)
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait([task, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not task.done():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            return None
        return task.result()

    async def _serve(self, parts: Foundation) -> None:
        live = LiveConfig(parts.config, read_again=self._read_again, tell=self._tell, clock=self._clock)
        async with admin.listening(self._settings.data_dir, live.answer, self._report):
            await self._watch(parts, live)

    async def _watch(self, parts: Foundation, live: LiveConfig) -> None:
        watchers = [
            asyncio.create_task(self._keep_worker(live, parts.serving)),
            asyncio.create_task(live.keep_fresh()),
            asyncio.create_task(self._reload_when_hung_up(live)),
        ]
        if parts.postgres is not None:
            watchers.append(asyncio.create_task(keep_postgres(parts.postgres, self._report)))
        stopping = asyncio.create_task(self._stopping.wait())
        done, _ = await asyncio.wait([*watchers, stopping], return_when=asyncio.FIRST_COMPLETED)
        self._stopping.set()
        if stopping in done:
            self._report("Stopping: finishing what was begun (Ctrl-C again to stop at once)")
        # As long as one process has them open, clients are let into a queue that nobody will serve.
        for sock in parts.sockets:
            sock.close()
        # The worker's watcher ends when the worker has drained; the others when they are cancelled.
        await asyncio.wait(watchers[:1])
        for task in (*watchers[1:], stopping):
            task.cancel()
        for result in await asyncio.gather(*watchers, return_exceptions=True):
            if isinstance(result, Exception):
                raise result

    # The worker.

    async def _keep_worker(self, live: LiveConfig, serving: Serving) -> None:
        """Start the worker, and another one whenever it dies, until the stop; then have it drain."""
        short_lives = failed_starts = 0
        loop = asyncio.get_running_loop()
        while not self._stopping.is_set():
            started = loop.time()
            last, status = await self._one_life(live, serving)
            if self._stopping.is_set():
                return
            if isinstance(last, Failed):
                self._failure = SetupError(last.message, exit_status=last.exit_status)
                return
            served = isinstance(last, Ready)
            failed_starts = 0 if served else failed_starts + 1
            short_lives = 0 if served and loop.time() - started >= GOOD_LIFE else short_lives + 1
            pause = RESTART_SECONDS[min(short_lives, len(RESTART_SECONDS) - 1)]
            self._log.error("worker.died", status=status, served=served, again_in=pause)
            if failed_starts == WORTH_SAYING:
                reason = last.reason if isinstance(last, Unready) else f"its process ends with status {status}"
                self._report(f"The server does not start and is tried again and again: {reason}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)

    async def _one_life(self, live: LiveConfig, serving: Serving) -> tuple[ToSupervisor | None, int | None]:
        """From the start of a worker to its end: the last that it said, and its exit status."""
        try:
            process, channel, told = await self._spawn(live)
        except OSError as error:
            return Unready(f"no process can be started: {error.strerror}"), None
        gone = asyncio.create_task(process.wait())
        stopping = asyncio.create_task(self._stopping.wait())
        said = asyncio.create_task(self._listen(channel, serving, live, told))
        try:
            await asyncio.wait([gone, stopping], return_when=asyncio.FIRST_COMPLETED)
            if not gone.done():
                await self._drain(process, channel)
            # Its end of the pipe is closed; what it wrote before is still to be read.
            return await said, process.returncode
        finally:
            for task in (gone, stopping, said):
                task.cancel()
            channel.close()

    async def _spawn(self, live: LiveConfig) -> tuple[asyncio.subprocess.Process, Channel, WorkerConfig]:
        config = live.current
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
        return process, channel, config

    async def _listen(
        self, channel: Channel, serving: Serving, live: LiveConfig, told: WorkerConfig
    ) -> ToSupervisor | None:
        """The last message before the worker's end, but for `Reloaded`. `told`: what it was started with."""
        last = None
        try:
            while (message := await channel.receive(TO_SUPERVISOR)) is not None:
                if isinstance(message, Reloaded):
                    self._replied(message.number, message.problem)
                    continue
                last = message
                if isinstance(message, Ready):
                    self._worker, self._followed = channel, live.current
                    if live.current is not told:  # changed while it started
                        channel.send(Reload(next(self._numbers), live.current))
                    if not self._announced:
                        self._announced = True
                        self._announce(serving)
        finally:
            self._worker = None
            for number in list(self._replies):
                # The next one begins with what this one was told.
                self._replied(number, "")
        return last

    async def _tell(self, config: WorkerConfig) -> str:
        """Have the worker follow a change; why it does not, or nothing. One that starts is told when it is ready."""
        if self._stopping.is_set():
            return "it is stopping"
        problem = await self._ask(self._worker, config) if self._worker is not None else ""
        if not problem:
            self._followed = config
            set_log_level(config.settings.log_level)
        return problem

    async def _ask(self, worker: Channel, config: WorkerConfig) -> str:
        number = next(self._numbers)
        reply = self._replies[number] = asyncio.get_running_loop().create_future()
        worker.send(Reload(number, config))
        try:
            return await asyncio.wait_for(reply, RELOAD_SECONDS)
        except TimeoutError:
            # What it was told it may follow yet. It was refused, so then it goes back.
            if self._followed is not None:
                worker.send(Reload(next(self._numbers), self._followed))
            return "the worker does not answer"
        finally:
            self._replies.pop(number, None)

    def _replied(self, number: int, problem: str) -> None:
        reply = self._replies.pop(number, None)
        if reply is not None and not reply.done():
            reply.set_result(problem)

    async def _reload_when_hung_up(self, live: LiveConfig) -> None:
        while True:
            await self._hung_up.wait()
            self._hung_up.clear()
            answer = await live.answer(admin.ReloadRequest())
            if isinstance(answer, admin.Refusal):
                self._log.error("reload.refused", reason=answer.message)
                self._report(f"Reload refused, going on as before: {answer.message}")
            elif isinstance(answer, admin.Reloaded):
                self._report(f"Reloaded: {', '.join(answer.applied) or 'no setting'} changed")
                if answer.restart:
                    self._report(f"Restart to apply: {', '.join(answer.restart)}")

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


def _has_terminal() -> bool:
    """Whether this process has a controlling terminal, whose end SIGHUP would tell (POSIX §11.1.3)."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True
