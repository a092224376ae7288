"""What the commands share: options, the console, and how a failure of a server is told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional, TypeVar

import typer
from rich.console import Console

from chiron.errors import SetupError

if TYPE_CHECKING:
    from chiron.client import Api

console = Console(stderr=True, highlight=False)
T = TypeVar("T")

DataDir = Annotated[
    Optional[Path],  # noqa: UP045 - typer reads it so on Python 3.11
    # Whoever may not read it is told so by what needs it, and `doctor` says how to mend it.
    typer.Option(help="Folder of everything that must be kept.", show_default="the user's data folder", readable=False),
]
Database = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        metavar="postgresql://…",
        help="A PostgreSQL ≥ 18 of yours instead of the embedded one. In CHIRON_DATABASE or a file, others on this "
        "machine do not see its password.",
    ),
]
Server = Annotated[
    str,
    typer.Option(envvar="CHIRON_SERVER", help="Address of a running server.", autocompletion=lambda: list(ADDRESSES)),
]
Authority = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        exists=True,
        dir_okay=False,
        readable=True,
        help="PEM file of an authority to trust, such as tls/ca.pem of the server's data folder.",
    ),
]

NOT_TRUSTED = 76
"""Exit status (EX_PROTOCOL): whoever answers cannot show that it is the server."""
DEFAULT_SERVER = "http://127.0.0.1:8080"
ADDRESSES = (DEFAULT_SERVER, "https://localhost:8443")
"""What a shell offers: where a server listens that was told nothing."""


def say(text: str) -> None:
    # A terminal that was closed meanwhile keeps nobody from stopping in order.
    with contextlib.suppress(OSError):
        console.print(text, soft_wrap=True)


def progress(sentence: str) -> None:
    with contextlib.suppress(OSError):
        console.print(f"  {sentence}", markup=False, soft_wrap=True)


def api_of(server: str, ca: Path | None) -> Api:
    from chiron.client import Api

    try:
        return Api(server, ca=ca)
    except ValueError as error:
        raise typer.BadParameter(f"{error}.") from error


def with_server(work: Coroutine[Any, Any, T]) -> T:
    from chiron.client import ClientError, NotReachable, NotTrusted

    try:
        return asyncio.run(work)
    except NotTrusted as error:
        raise SetupError(f"{error}.\n--ca FILE names its authority.", exit_status=NOT_TRUSTED) from error
    except NotReachable as error:
        raise SetupError(f"{error}.\nIs the server running? `chiron serve` starts one.", exit_status=69) from error
    except ClientError as error:
        raise SetupError(str(error), exit_status=1) from error
