"""The command `chiron`. What it says is for people; what it ends with is one of the statuses in `EXIT`."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from chiron import __version__
from chiron.errors import SetupError

if TYPE_CHECKING:
    from chiron.client import Api
    from chiron.server.supervisor import Serving

EXIT = """\
Exit status: 0 done; 1 the server said no; 2 wrong arguments; 69 a server cannot be reached; 71 the machine refused
(a port, a process); 73 a file cannot be written; 75 the database needs longer; 78 something must be set up first;
130 ended by Ctrl-C."""

app = typer.Typer(
    name="chiron",
    help="Chiron: a self-hosted realtime platform for mentoring.",
    epilog=EXIT,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
console = Console(stderr=True, highlight=False)
T = TypeVar("T")

DataDir = Annotated[
    Optional[Path],  # noqa: UP045 - typer reads it so on Python 3.11
    typer.Option(help="Folder of everything that must be kept.", show_default="the user's data folder"),
]
Database = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        envvar="CHIRON_DATABASE",
        metavar="postgresql://…",
        help="A PostgreSQL ≥ 18 of yours instead of the embedded one. In the variable, others on this machine do not "
        "see its password.",
    ),
]
Server = Annotated[str, typer.Option(envvar="CHIRON_SERVER", help="Address of a running server.")]
Authority = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        exists=True,
        dir_okay=False,
        readable=True,
        help="PEM file of an authority to trust, such as tls/ca.pem of the server's data folder.",
    ),
]

DEFAULT_SERVER = "http://127.0.0.1:8080"


def _version(wanted: bool) -> None:
    if wanted:
        print(f"chiron {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def serve(
    data_dir: DataDir = None,
    database: Database = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port with TLS; 0 takes a free one.")] = 8443,
    host: Annotated[str, typer.Option(help="Address of --port.", show_default="every address")] = "",
    plain: Annotated[
        str,
        typer.Option(
            metavar="HOST:PORT|off",
            help="A second listener without TLS: for a trusted proxy, and for development on a loopback address.",
        ),
    ] = "127.0.0.1:8080",
    tls_cert: Annotated[Optional[Path], typer.Option(help="PEM certificate chain.", show_default="made")] = None,  # noqa: UP045
    tls_key: Annotated[Optional[Path], typer.Option(help="PEM private key.", show_default="made")] = None,  # noqa: UP045
    origin: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="Another origin whose pages may use this server, such as https://example.org. Repeatable."),
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Make demo people and conversations, and print their logins.")
    ] = False,
    log_level: Annotated[
        Optional[Literal["debug", "info", "warning", "error"]],  # noqa: UP045
        typer.Option(help="How much to log.", show_default="warning on a terminal, else info, with each request"),
    ] = None,
) -> None:
    """Run the server until Ctrl-C."""
    from chiron.server import config
    from chiron.server.supervisor import Supervisor
    from chiron.server.telemetry import set_up_logging

    try:
        plain_address = None if plain == "off" else config.parse_address(plain)
    except ValueError as error:
        raise typer.BadParameter(f"{error}.", param_hint="'--plain'") from error
    if (tls_cert is None) != (tls_key is None):
        raise typer.BadParameter("Give both --tls-cert and --tls-key, or neither.")
    log_level = log_level or ("warning" if sys.stderr.isatty() else "info")
    set_up_logging(log_level)
    settings = config.Settings(
        data_dir=data_dir or config.default_data_dir(),
        port=port,
        host=host,
        plain=plain_address,
        database=database,
        tls=(tls_cert, tls_key) if tls_cert and tls_key else None,
        origins=tuple(origin or ()),
        log_level=log_level,
    )
    supervisor = Supervisor(settings, report=_progress, serving=_Banner(demo))
    raise typer.Exit(asyncio.run(supervisor.run()))


@app.command()
def migrate(
    data_dir: DataDir = None,
    database: Database = None,
    status: Annotated[bool, typer.Option("--status", help="Only show which migrations are applied.")] = False,
) -> None:
    """Bring the database to this version's schema (`serve` does so by itself)."""
    from chiron.db import migrate as migrations
    from chiron.server import config
    from chiron.server.supervisor import database_of

    async def work() -> None:
        folder = data_dir or config.default_data_dir()
        async with database_of(folder, database, make=not status, report=_progress) as dsn:
            if status:
                table = Table("migration", "state")
                for row in await migrations.status(dsn):
                    table.add_row(row.name, "applied" if row.applied_at else "to be applied")
                Console().print(table)
                return
            applied = await migrations.migrate(dsn)
            for name in applied:
                print(f"Applied {name}.")
            if not applied:
                print("The database is up to date.")

    asyncio.run(work())


@app.command()
def demo(server: Server = DEFAULT_SERVER, ca: Authority = None) -> None:
    """Make demo people and conversations on a running server; again changes nothing."""
    from chiron.client import demo as community

    _api(server, ca)
    _with_server(community.make(server, ca=ca, report=_progress))
    _print_logins()


@app.command()
def chat(
    who: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(help="E-mail address of the person to talk to.", show_default="your list of conversations"),
    ] = None,
    email: Annotated[str, typer.Option(envvar="CHIRON_EMAIL", help="Your e-mail address.", prompt="E-mail")] = "",
    register: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="NAME", help="Make an account under this name first."),
    ] = None,
    server: Server = DEFAULT_SERVER,
    ca: Authority = None,
) -> None:
    """Chat in the terminal. The password is asked for, or taken from CHIRON_PASSWORD."""
    from chiron.client import terminal

    api = _api(server, ca)
    password = os.environ.get("CHIRON_PASSWORD") or getpass.getpass("Password: ")

    async def work() -> int:
        try:
            await terminal.sign_in(api, email, password, name=register, report=_progress)
            return await terminal.chat(api, who, report=_progress)
        finally:
            await api.close()

    raise typer.Exit(_with_server(work()))


class _Banner:
    """What `serve` prints once it serves."""

    def __init__(self, demo: bool) -> None:
        self._demo = demo
        self._task: asyncio.Task[None] | None = None

    def __call__(self, serving: Serving) -> None:
        address = serving.plain or serving.secure
        lines = [f"\n  [bold]Chiron serves at[/bold]  [bold cyan]{address}[/bold cyan]"]
        if serving.plain:
            lines.append(f"  with TLS at        {serving.secure}")
        if serving.authority:
            lines.append(f"  its authority      {serving.authority}")
        _say("\n".join([*lines, "  Ctrl-C stops it.\n"]))
        if self._demo:
            self._task = asyncio.get_running_loop().create_task(self._make_demo(address, serving.authority))

    async def _make_demo(self, address: str, authority: Path | None) -> None:
        from chiron.client import ClientError
        from chiron.client import demo as community

        try:
            await community.make(address, ca=authority)
        except ClientError as error:
            _progress(f"The demo could not be made: {error}")
        else:
            _print_logins()


def _print_logins() -> None:
    from chiron.client import demo as community

    people = "".join(f"    {email:<22} {name}\n" for email, name in community.PEOPLE.items())
    _say(f"  Demo logins, password [bold]{community.PASSWORD}[/bold]:\n{people}")


def _say(text: str) -> None:
    # A terminal that was closed meanwhile keeps nobody from stopping in order.
    with contextlib.suppress(OSError):
        console.print(text, soft_wrap=True)


def _progress(sentence: str) -> None:
    with contextlib.suppress(OSError):
        console.print(f"  {sentence}", markup=False, soft_wrap=True)


def _api(server: str, ca: Path | None) -> Api:
    from chiron.client import Api

    try:
        return Api(server, ca=ca)
    except ValueError as error:
        raise typer.BadParameter(f"{error}.") from error


def _with_server(work: Coroutine[Any, Any, T]) -> T:
    from chiron.client import ClientError, NotReachable

    try:
        return asyncio.run(work)
    except NotReachable as error:
        raise SetupError(f"{error}.\nIs the server running? `chiron serve` starts one.", exit_status=69) from error
    except ClientError as error:
        raise SetupError(str(error), exit_status=1) from error


def main() -> None:
    try:
        app()
    except SetupError as error:
        _fail(str(error), error.exit_status)
    except OSError as error:
        # Whatever was not foreseen: a disk that is full, a folder without permission.
        _fail(f"the machine refused: {error}", 71)
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(message: str, status: int) -> None:
    with contextlib.suppress(OSError):
        console.print(f"chiron: {message}", style="red", markup=False, soft_wrap=True)
    sys.exit(status)


if __name__ == "__main__":
    main()
