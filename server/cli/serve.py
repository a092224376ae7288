"""`chiron serve`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Optional

import typer

from chiron.server.cli.options import Database, DataDir, progress, say
from chiron.server.cli.people import print_logins

if TYPE_CHECKING:
    from chiron.server.config import Settings
    from chiron.server.supervisor import Serving


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
        if plain != "off":
            config.parse_address(plain)
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
        plain=None if plain == "off" else plain,
        database=database,
        tls=config.TlsSettings(certificate=tls_cert, key=tls_key),
        origins=tuple(origin or ()),
        log_level=log_level,
    )
    supervisor = Supervisor(settings, report=progress, serving=_Banner(settings, demo))
    raise typer.Exit(asyncio.run(supervisor.run()))


class _Banner:
    """What `serve` prints once it serves."""

    def __init__(self, settings: Settings, demo: bool) -> None:
        self._settings = settings
        self._demo = demo
        self._task: asyncio.Task[None] | None = None

    def __call__(self, serving: Serving) -> None:
        address = serving.plain or serving.secure
        lines = [f"\n  [bold]Chiron serves at[/bold]  [bold cyan]{address}[/bold cyan]"]
        if serving.plain:
            lines.append(f"  with TLS at        {serving.secure}")
        if serving.authority:
            lines.append(f"  its authority      {serving.authority}")
        lines += self._mail(serving)
        say("\n".join([*lines, "  Ctrl-C stops it.\n"]))
        if self._demo:
            self._task = asyncio.get_running_loop().create_task(self._make_demo(address, serving.authority))

    def _mail(self, serving: Serving) -> list[str]:
        """Where mail goes, and where it can be read."""
        from chiron.server.gateway import mail_page
        from chiron.server.platform.mail import parse_smtp

        if self._settings.mail.smtp is not None:
            return [f"  mail goes to       {parse_smtp(self._settings.mail.smtp).host}"]
        lines = [f"  mail is kept in    {self._settings.data_dir / 'mail'}"]
        if mail_page.is_shown(self._settings):
            addresses = [serving.plain, serving.secure]
            here = [each for each in addresses if each and mail_page.is_loopback_host(each.partition("//")[2])]
            lines += [f"  read it at         [bold cyan]{address}/mail[/bold cyan]" for address in here[:1]]
        return lines

    async def _make_demo(self, address: str, authority: Path | None) -> None:
        from chiron.client import ClientError
        from chiron.client import demo as community

        try:
            await community.make(address, ca=authority)
        except ClientError as error:
            progress(f"The demo could not be made: {error}")
        else:
            print_logins()
