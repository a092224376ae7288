"""`chiron config`."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from chiron.server.cli.options import Database, DataDir
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


def config(
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
    log_level: LogLevel = None,
    check: Annotated[bool, typer.Option("--check", help="Only say whether the settings are right.")] = False,
    example: Annotated[
        bool, typer.Option("--example", help="Print a TOML file with every setting explained, at its default.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, by name of the setting.")] = False,
) -> None:
    """Show the settings that `chiron serve` would run with, told the same, and where each is from."""
    from chiron.server.settings import document
    from chiron.server.settings.fields import all_settings
    from chiron.server.settings.load import load

    if sum((check, example, as_json)) > 1:
        raise typer.BadParameter("Give one of --check, --example and --json.")
    if example:
        print(document.example(), end="")
        return
    loaded = load(
        told(
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
    )
    if check:
        print("valid")
        return
    shown = {setting: setting.masked(setting.of(loaded.settings)) for setting in all_settings()}
    if as_json:
        described = {
            setting.name: {
                "value": value,
                "source": str(loaded.sources[setting.name]),
                "origin": loaded.sources[setting.name].origin,
                "reload": setting.kind.trait.reload,
            }
            for setting, value in shown.items()
        }
        print(json.dumps(described, indent=2, default=str, ensure_ascii=False))
        return
    table = Table("setting", "value", "from", box=None, header_style="bold", pad_edge=False)
    for setting, value in shown.items():
        source = loaded.sources[setting.name]
        style = "dim" if source.origin == "default" else ""
        # Whole, however long: they are read by grep too.
        cells = (setting.name, document.toml(value), str(source))
        table.add_row(*(Text(cell, style=style, no_wrap=True, overflow="ignore") for cell in cells))
    width = sum(max((len(str(cell)) for cell in column.cells), default=0) + 2 for column in table.columns)
    Console(width=max(width, Console().width), soft_wrap=True, highlight=False).print(table)
