"""The flags that say settings, and what they and everything else say together.

No flag has a default here: one that is not given must not hide what file or environment say.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional

import typer

if TYPE_CHECKING:
    from chiron.server.settings.load import Told

Config = Annotated[
    Optional[Path],  # noqa: UP045 - typer reads it so on Python 3.11
    typer.Option(
        "--config",
        metavar="FILE",
        help="Settings in TOML. Also CHIRON_CONFIG.",
        show_default="chiron.toml in the data folder, if it is there",
    ),
]
Assignments = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Any setting that `chiron config` lists, such as limits.person_burst=500. Repeatable. Others on this "
        "machine can see it, so passwords are refused.",
    ),
]
Port = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(min=0, max=65535, help="TCP port with TLS; 0 takes a free one.", show_default="8443"),
]
Host = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="Address of --port.", show_default="every address"),
]
Plain = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        metavar="HOST:PORT|off",
        help="A second listener without TLS: for a trusted proxy, and for development on a loopback address.",
        show_default="127.0.0.1:8080",
    ),
]
Quic = Annotated[
    Optional[bool],  # noqa: UP045
    typer.Option(
        "--quic/--no-quic",
        help="Whether to serve HTTP/3 and WebTransport, over UDP on the port of TLS.",
        show_default="on",
    ),
]
QuicEngine = Annotated[
    Optional[Literal["native", "aioquic"]],  # noqa: UP045
    typer.Option(help="Who is to speak QUIC; aioquic is the reference, to compare with.", show_default="native"),
]
PublicPort = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(
        min=1, max=65535, help="UDP port at which clients reach QUIC, where something maps it.", show_default="--port"
    ),
]
TlsCert = Annotated[Optional[Path], typer.Option(help="PEM certificate chain.", show_default="made")]  # noqa: UP045
TlsKey = Annotated[Optional[Path], typer.Option(help="PEM private key.", show_default="made")]  # noqa: UP045
Origins = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(help="Another origin whose pages may use this server, such as https://example.org. Repeatable."),
]
LogLevel = Annotated[
    Optional[Literal["debug", "info", "warning", "error"]],  # noqa: UP045
    typer.Option(help="How much to log.", show_default="warning on a terminal, else info, with each request"),
]


def told(
    *,
    data_dir: Path | None = None,
    database: str | None = None,
    port: int | None = None,
    host: str | None = None,
    quic: bool | None = None,
    quic_engine: str | None = None,
    public_port: int | None = None,
    plain: str | None = None,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    origin: list[str] | None = None,
    log_level: str | None = None,
    config: Path | None = None,
    assignments: list[str] | None = None,
) -> Told:
    """What `settings.load` reads, with this process's environment."""
    from chiron.server.settings.load import Told

    flags: dict[str, tuple[str, Any]] = {
        "data_dir": ("--data-dir", data_dir),
        "database": ("--database", database),
        "port": ("--port", port),
        "host": ("--host", host),
        "quic": ("--no-quic" if quic is False else "--quic", quic),
        "quic_engine": ("--quic-engine", quic_engine),
        "public_port": ("--public-port", public_port),
        "plain": ("--plain", plain),
        "tls.certificate": ("--tls-cert", tls_cert),
        "tls.key": ("--tls-key", tls_key),
        "origins": ("--origin", origin or None),
        "log_level": ("--log-level", log_level),
    }
    # Requests would fill the terminal of somebody who looks at the page.
    defaults = {"log_level": "warning"} if sys.stderr.isatty() else {}
    return Told(flags=flags, assignments=assignments or (), config=config, defaults=defaults)
