"""The command `chiron`. What it says is for people; what it ends with is one of the statuses in `EXIT`."""

from __future__ import annotations

import asyncio
import getpass
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, Literal, Optional

import typer
from rich.console import Console
from rich.table import Table

from chiron import __version__
from chiron.errors import SetupError

EXIT = """\
Exit status: 0 done; 1 the server said no; 64 wrong arguments; 69 a server cannot be reached;
71 the machine refused (a port, a process); 73 a file cannot be written; 78 something must be set up first."""

app = typer.Typer(
    name="chiron",
    help="Chiron: a self-hosted realtime platform for mentoring.",
    epilog=EXIT,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
console = Console(stderr=True, highlight=False)

DataDir = Annotated[
    Optional[Path],  # noqa: UP045 - typer reads it so on Python 3.11
    typer.Option(help="Folder of everything that must be kept.", show_default="the user's data folder"),
]
Database = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        envvar="CHIRON_DATABASE",
        metavar="postgresql://…",
        help="A PostgreSQL ≥ 18 of yours instead of the embedded one.",
    ),
]
Server = Annotated[str, typer.Option(envvar="CHIRON_SERVER", help="Address of a running server.")]
Authority = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(help="PEM file of an authority to trust, such as tls/ca.pem of the server's data folder."),
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

    log_level = log_level or ("warning" if sys.stderr.isatty() else "info")
    set_up_logging(log_level)
    settings = config.Settings(
        data_dir=data_dir or config.default_data_dir(),
        port=port,
        host=host,
        plain=None if plain == "off" else config.parse_address(plain),
        database=database,
        tls_certificate=tls_cert,
        tls_key=tls_key,
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
        async with database_of(data_dir or config.default_data_dir(), database, report=_progress) as dsn:
            if status:
                table = Table("migration", "state")
                for row in await migrations.status(dsn):
                    table.add_row(row.name, "applied" if row.applied_at else "to be applied")
                Console().print(table)
                return
            applied = await migrations.migrate(dsn)
            for name in applied:
                print(f"applied {name}")
            if not applied:
                print("the database is up to date")

    asyncio.run(work())


@app.command()
def demo(server: Server = DEFAULT_SERVER, ca: Authority = None) -> None:
    """Make demo people and conversations on a running server; again changes nothing."""
    from chiron.client import demo as community

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
    from chiron.client.api import Api
    from chiron.client.terminal import chat as talk

    password = os.environ.get("CHIRON_PASSWORD") or getpass.getpass("Password: ")

    async def work() -> int:
        api = Api(server, ca=ca)
        try:
            if register:
                await api.register(email, password, register, device="chiron chat")
            else:
                await api.log_in(email, password, device="chiron chat")
            return await talk(api, who)
        finally:
            await api.close()

    raise typer.Exit(_with_server(work()))


class _Banner:
    """What `serve` prints once it serves."""

    def __init__(self, demo: bool) -> None:
        self._demo = demo
        self._task: asyncio.Task[None] | None = None

    def __call__(self, serving: Any) -> None:
        address = serving.plain or serving.secure
        console.print(f"\n  [bold]Chiron serves at[/bold]  [bold cyan]{address}[/bold cyan]")
        if serving.plain:
            console.print(f"  with TLS at        {serving.secure}")
        if serving.authority:
            console.print(f"  its authority      {serving.authority}")
        console.print("  Ctrl-C stops it.\n")
        if self._demo:
            self._task = asyncio.get_running_loop().create_task(self._make_demo(address, serving.authority))

    async def _make_demo(self, address: str, authority: Path | None) -> None:
        from chiron.client import ClientError
        from chiron.client import demo as community

        try:
            await community.make(address, ca=authority)
        except ClientError as error:
            console.print(f"  The demo could not be made: {error}")
        else:
            _print_logins()


def _print_logins() -> None:
    from chiron.client import demo as community

    console.print("  Demo logins, password [bold]" + community.PASSWORD + "[/bold]:")
    for email, name in community.PEOPLE.items():
        console.print(f"    {email:<22} {name}")
    console.print()


def _progress(sentence: str) -> None:
    console.print(f"  {sentence}")


def _with_server(work: Coroutine[Any, Any, Any]) -> Any:
    from chiron.client import ClientError, NotReachable

    try:
        return asyncio.run(work)
    except NotReachable as error:
        raise SetupError(f"{error}\nIs the server running? `chiron serve` starts one.", exit_status=69) from error
    except ClientError as error:
        raise SetupError(str(error), exit_status=1) from error
    except ValueError as error:
        raise SetupError(str(error), exit_status=64) from error


def main() -> None:
    try:
        app(standalone_mode=True)
    except SetupError as error:
        console.print(f"chiron: {error}", style="red", markup=False)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
