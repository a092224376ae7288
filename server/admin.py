"""The admin socket: `control.sock` in the data folder, over which commands speak to the server that runs there.

A command connects, sends one line of JSON and gets one line back. The kernel lets in whom the socket's mode does (0600:
the owner and root), so there is nothing else to show.

A Unix socket's address is short (`SUN_PATH`), the path of a data folder need not be. Linux reaches a file in an open
folder by `/proc/self/fd`; elsewhere a long path leaves a server without this socket, which says so and serves.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import msgspec

from chiron.errors import SetupError
from chiron.server.platform.keys import Purpose

NAME = "control.sock"
SUN_PATH = 103
"""Bytes of a path: `sun_path` holds 104 on macOS and 108 on Linux, with the NUL."""
LINE_BYTES = 1 << 16
REQUEST_SECONDS = 5.0
ANSWER_SECONDS = 60.0


class ReloadRequest(msgspec.Struct, tag="reload", frozen=True):
    """Read settings and certificates again."""


class RotateRequest(msgspec.Struct, tag="rotate", frozen=True):
    """Make new keys."""

    purposes: list[Purpose]


class Reloaded(msgspec.Struct, tag="reloaded", frozen=True):
    applied: list[str]
    """Names of settings that are followed now."""
    restart: list[str]
    """Names of settings that differ from those that run, and wait for a restart."""
    certificate: bool
    """Whether it is another one than before."""
    scoring: bool = False
    """Whether files by which messages are scored hold something else than before."""


class Rotated(msgspec.Struct, tag="rotated", frozen=True):
    purposes: list[Purpose]


class Refusal(msgspec.Struct, tag="refusal", frozen=True):
    """Nothing was changed; `exit_status` is the command's."""

    message: str
    exit_status: int


Request = ReloadRequest | RotateRequest
Answer = Reloaded | Rotated | Refusal
REQUEST: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
ANSWER: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)


@contextlib.asynccontextmanager
async def listening(
    folder: Path, answer: Callable[[Request], Awaitable[Answer]], report: Callable[[str], None]
) -> AsyncIterator[None]:
    """Answer commands meanwhile. The caller holds the folder's lock; `answer` does not raise."""
    try:
        sock = _bind(folder)
    except OSError as error:
        report(f"`chiron reload` cannot reach this server: {folder / NAME}: {error.strerror or error}")
        yield
        return

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError, TimeoutError):
                line = await asyncio.wait_for(_line(reader), REQUEST_SECONDS)
                if line is not None:
                    writer.write(msgspec.json.encode(await _answered(line, answer)) + b"\n")
                    await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_unix_server(connected, sock=sock, limit=LINE_BYTES)
    try:
        yield
    finally:
        server.close()
        with contextlib.suppress(OSError):
            (folder / NAME).unlink()


def ask(folder: Path, request: Request) -> Answer:
    """What the server of the folder answers; waits for it. Raises SetupError."""
    nobody = f"No server runs on {folder}. `chiron serve` starts one; --data-dir names another folder."
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        try:
            with _address(folder) as address:
                sock.connect(address)
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError) as error:
            raise SetupError(nobody, exit_status=69) from error
        except OSError as error:
            reason = error.strerror or error
            raise SetupError(f"The server of {folder} cannot be reached: {reason}.", exit_status=69) from error
        sock.settimeout(ANSWER_SECONDS)
        try:
            sock.sendall(msgspec.json.encode(request) + b"\n")
            with sock.makefile("rb") as answers:
                line = answers.readline()
        except OSError as error:
            raise SetupError(
                f"The server of {folder} does not answer: {error.strerror or error}.", exit_status=69
            ) from error
    if not line.endswith(b"\n"):
        raise SetupError(f"The server of {folder} ended before it answered.", exit_status=69)
    try:
        return ANSWER.decode(line)
    except msgspec.MsgspecError as error:
        raise SetupError("The server that runs is of another version; restart it.", exit_status=69) from error


async def _line(reader: asyncio.StreamReader) -> bytes | None:
    """None when the other side is gone, or says more than a line may have."""
    try:
        return await reader.readuntil(b"\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return None


async def _answered(line: bytes, answer: Callable[[Request], Awaitable[Answer]]) -> Answer:
    try:
        request = REQUEST.decode(line)
    except msgspec.MsgspecError:
        return Refusal("The server that runs is of another version; restart it.", 69)
    return await answer(request)


def _bind(folder: Path) -> socket.socket:
    """Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        (folder / NAME).unlink()  # of a server that was killed: the lock is ours
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # The file gets its mode when it is made; changed later, it would be open to all for a moment.
    before = os.umask(0o177)
    try:
        with _address(folder) as address:
            sock.bind(address)
    except OSError:
        sock.close()
        raise
    finally:
        os.umask(before)
    return sock


@contextlib.contextmanager
def _address(folder: Path) -> Iterator[str]:
    """The socket's address, for as long as it is used. Raises OSError."""
    path = str(folder / NAME)
    if len(os.fsencode(path)) <= SUN_PATH:
        yield path
        return
    if sys.platform != "linux":
        raise OSError(f"a socket's path may have {SUN_PATH} bytes")
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{NAME}"
    finally:
        os.close(descriptor)
