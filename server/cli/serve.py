"""`chiron serve`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chiron.server.cli.options import Database, DataDir, progress, say
from chiron.server.cli.people import print_logins
from chiron.server.cli.settings import (
    Assignments,
    Config,
    Host,
    LogLevel,
    Origins,
    Plain,
    Port,
    PublicPort,
    Quic,
    QuicEngine,
    TlsCert,
    TlsKey,
    told,
)

if TYPE_CHECKING:
    from chiron.server.config import Settings
    from chiron.server.foundation import Serving


def serve(
    data_dir: DataDir = None,
    config: Config = None,
    assignments: Assignments = None,
    database: Database = None,
    port: Port = None,
    host: Host = None,
    quic: Quic = None,
    quic_engine: QuicEngine = None,
    public_port: PublicPort = None,
    plain: Plain = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    origin: Origins = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Make demo people and conversations, and print their logins.")
    ] = False,
    log_level: LogLevel = None,
) -> None:
    """Run the server until Ctrl-C."""
    from chiron.server.settings.load import load
    from chiron.server.supervisor import Supervisor
    from chiron.server.telemetry import set_up_logging

    said = told(
        data_dir=data_dir,
        database=database,
        port=port,
        host=host,
        quic=quic,
        quic_engine=quic_engine,
        public_port=public_port,
        plain=plain,
        tls_cert=tls_cert,
        tls_key=tls_key,
        origin=origin,
        log_level=log_level,
        config=config,
        assignments=assignments,
    )
    loaded = load(said)
    set_up_logging(loaded.settings.log_level)
    if (summary := loaded.summary()) is not None:
        progress(f"Settings: {summary}")
    supervisor = Supervisor(
        loaded.settings, read_again=lambda: load(said).settings, report=progress, serving=_Banner(loaded.settings, demo)
    )
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
        if serving.quic:
            lines.append(f"  and HTTP/3 at      {serving.secure}, over UDP")
        if serving.authority:
            lines.append(f"  its authority      {serving.authority}")
        lines += self._mail(serving)
        say("\n".join([*lines, "  Ctrl-C stops it.\n"]))
        if self._demo:
            self._task = asyncio.get_running_loop().create_task(self._make_demo(address, serving.authority))

    def _mail(self, serving: Serving) -> list[str]:
        """Where mail goes, and where it can be read."""
        from chiron.server.gateway import mail_page
        from chiron.server.platform.addresses import is_local_authority
        from chiron.server.platform.mail import parse_smtp

        if self._settings.mail.smtp is not None:
            return [f"  mail goes to       {parse_smtp(self._settings.mail.smtp).host}"]
        lines = [f"  mail is kept in    {self._settings.data_dir / 'mail'}"]
        if mail_page.is_shown(self._settings):
            addresses = [serving.plain, serving.secure]
            here = [each for each in addresses if each and is_local_authority(each.partition("//")[2])]
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
