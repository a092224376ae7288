"""The command `chiron`. What it says is for people; what it ends with is one of the statuses in `EXIT`."""

from __future__ import annotations

import contextlib
import sys
from typing import Annotated

import typer

from chiron import __version__
from chiron.errors import SetupError
from chiron.server.cli import config, database, doctor, fetch, moderation, people, running, score, serve, token
from chiron.server.cli.options import console

EXIT = {
    0: "done",
    1: "the server said no",
    2: "wrong arguments",
    69: "a server cannot be reached",
    70: "the running server could not follow",
    71: "the machine refused (a port, a process)",
    73: "a file cannot be written",
    75: "the database needs longer",
    76: "who answers is not trusted",
    78: "something must be set up first",
    130: "ended by Ctrl-C",
}
"""Every exit status, with its meaning; `docs/tools.md` has the same table."""

app = typer.Typer(
    name="chiron",
    help="Chiron: a self-hosted realtime platform for mentoring.",
    epilog=f"Exit status: {'; '.join(f'{status} {meaning}' for status, meaning in EXIT.items())}.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    *(serve.serve, config.config, running.reload, running.rotate),
    *(database.migrate, people.demo, people.chat, score.score, fetch.fetch, doctor.doctor),
):
    app.command()(command)
app.add_typer(token.app)
app.add_typer(moderation.app)


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
