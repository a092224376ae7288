"""`chiron fetch`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sys
from collections.abc import Coroutine, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Optional

import typer

from chiron.errors import SetupError
from chiron.server.cli.options import ADDRESSES, NOT_TRUSTED, Authority, console, progress

if TYPE_CHECKING:
    import httpx

    from chiron.client.fetch import Answer
    from chiron.client.trust import Trust

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
"""RFC 9110 §5.6.2."""


class Http(StrEnum):
    """Versions of HTTP."""

    one = "1.1"
    three = "3"


def fetch(
    url: Annotated[str, typer.Argument(metavar="URL", help="https is meant where nothing else is said.")],
    method: Annotated[
        Optional[str],  # noqa: UP045 - typer reads it so on Python 3.11
        typer.Option("--method", "-X", metavar="METHOD", help="Of the request.", show_default="GET, POST with -d"),
    ] = None,
    header: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--header", "-H", metavar="NAME:VALUE", help="A header field; may be repeated."),
    ] = None,
    data: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--data", "-d", metavar="TEXT|@FILE", help="The body of the request; JSON is sent as such."),
    ] = None,
    http: Annotated[
        Optional[Http],  # noqa: UP045
        typer.Option("--http", help="Version of HTTP.", show_default="3 if that answers within a second, else 1.1"),
    ] = None,
    ca: Authority = None,
    pin: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            "--pin",
            metavar="HASH",
            help="SHA-256 of the certificate that the server has to show, in base64 or hexadecimal; then neither its "
            "name nor its authority counts. May be repeated.",
        ),
    ] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Do not look at the certificate at all.")] = False,
    include: Annotated[
        bool,
        typer.Option("--include", "-i", help="Print status and header fields before the body, on standard output."),
    ] = False,
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--output", "-o", metavar="FILE", help="Write the body there.", show_default="standard output"),
    ] = None,
) -> None:
    """Make one request: the body to standard output; protocol, header fields and timings to standard error.

    Ends with 1 when the status is 400 or more.
    """
    address, trust = _address(url), _trust(ca, pin or [], insecure)
    if http is Http.three and address.scheme != "https":
        raise typer.BadParameter("HTTP/3 needs an address that begins with https.")
    fields = [_field(text) for text in header or ()]
    body = _body(data) if data is not None else b""
    if body and not any(name == "content-type" for name, _ in fields):
        fields.append(("content-type", _kind(body)))

    async def work() -> int:
        from chiron.client.fetch import fetch as ask

        async with ask(
            address,
            method=(method or ("GET" if data is None else "POST")).upper(),
            fields=[("accept", "*/*"), ("user-agent", "chiron fetch"), *fields],
            body=body,
            http=http.value if http else "auto",
            trust=trust,
            report=progress,
        ) as answer:
            with _opened(output) as file:
                _head(answer, file if include else None)
                size = 0
                async for chunk in answer.chunks:
                    file.write(chunk)
                    file.flush()
                    size += len(chunk)
            _say(_summary(answer, size))
            return answer.status

    status = _run(work())
    raise typer.Exit(1 if status >= 400 else 0)


def _run(work: Coroutine[Any, Any, int]) -> int:
    from chiron.client import NotReachable, NotTrusted

    try:
        return asyncio.run(work)
    except NotTrusted as error:
        raise SetupError(
            f"{error}.\n--ca FILE names its authority, --pin HASH the certificate itself; --insecure believes anybody.",
            exit_status=NOT_TRUSTED,
        ) from error
    except NotReachable as error:
        raise SetupError(f"{error}.", exit_status=69) from error


def _address(text: str) -> httpx.URL:
    import httpx

    try:
        url = httpx.URL(text if "://" in text else f"https://{text}")
    except httpx.InvalidURL as error:
        raise typer.BadParameter(f"{text!r} is no address: {error}.") from error
    if url.scheme not in ("http", "https") or not url.host or url.userinfo:
        raise typer.BadParameter(
            f"{text!r} is no address that can be fetched; write one such as {ADDRESSES[1]}/healthz."
        )
    return url


def _trust(ca: Path | None, pins: Sequence[str], insecure: bool) -> Trust:
    from chiron.client.trust import Trust

    if insecure and (ca or pins):
        raise typer.BadParameter("With --insecure nothing is looked at, so --ca and --pin are of no use.")
    try:
        return Trust.of(ca, pins, anyone=insecure)
    except ValueError as error:
        raise typer.BadParameter(f"{error}.") from error


def _field(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    name, value = name.strip().lower(), value.strip()
    if not colon or not TOKEN.fullmatch(name) or not value.isprintable():
        raise typer.BadParameter(f"{text!r} is no header field; write NAME:VALUE.")
    return name, value


def _body(data: str) -> bytes:
    if not data.startswith("@"):
        return data.encode()
    try:
        return Path(data[1:]).read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{data[1:]} cannot be read: {error.strerror}.") from error


def _kind(body: bytes) -> str:
    try:
        json.loads(body)
    except ValueError:
        return "application/octet-stream"
    return "application/json"


@contextlib.contextmanager
def _opened(output: Path | None) -> Iterator[BinaryIO]:
    if output is None:
        yield sys.stdout.buffer
        return
    try:
        file = output.open("wb")
    except OSError as error:
        raise SetupError(f"{output} cannot be written: {error.strerror}.", exit_status=73) from error
    with file:
        yield file


def _head(answer: Answer, file: BinaryIO | None) -> None:
    """To the file, or else to whoever looks on."""
    from chiron.client.text import one_line

    if file is not None:
        lines = [f"{answer.version} {answer.status}", *(f"{name}: {value}" for name, value in answer.fields)]
        file.write("".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1"))
        return
    host, port = answer.address
    carrier = "UDP" if answer.version == "HTTP/3" else "TCP"
    _say(f"{answer.version} {answer.status}, by {carrier} port {port} of {host}")
    for name, value in answer.fields:
        _say(one_line(f"{name}: {value}"))


def _summary(answer: Answer, size: int) -> str:
    took = answer.timings
    parts = {
        "resolve": took.resolve,
        "connect": took.connect,
        "first byte": took.first_byte,
        "body": took.body,
        "total": took.total,
    }
    return ", ".join(f"{name} {seconds * 1000:.1f} ms" for name, seconds in parts.items()) + f"; {size} bytes"


def _say(line: str) -> None:
    with contextlib.suppress(OSError):
        console.print(line, markup=False, soft_wrap=True)
