"""What a server is told: by flags to the supervisor, and by the supervisor to its worker."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import msgspec
import platformdirs

from chiron.server.platform.keys import Keys

ISSUER = "chiron"
"""`iss` and `aud` of access tokens: one instance issues and accepts them."""


class Settings(msgspec.Struct, kw_only=True, frozen=True):
    """What `chiron serve` was asked for."""

    data_dir: Path
    port: int = 8443
    host: str = ""
    """Address of `port`; empty: every address."""
    plain: tuple[str, int] | None = None
    database: str | None = None
    tls: tuple[Path, Path] | None = None
    """PEM files of certificate chain and private key; None: made by the development authority."""
    origins: tuple[str, ...] = ()
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class Listener(msgspec.Struct, frozen=True):
    """A listening socket that the supervisor bound: the worker's descriptor of it, and what is spoken there."""

    descriptor: int
    secure: bool


class WorkerConfig(msgspec.Struct, kw_only=True, frozen=True):
    """What the supervisor tells a worker over its pipe; holds secrets, so it is never logged nor put in arguments."""

    database: str
    keys: Keys
    tls_chain: bytes
    tls_key: bytes
    listeners: list[Listener] = []
    origins: list[str] = []
    log_level: str = "info"

    def __repr__(self) -> str:
        return "WorkerConfig(…)"


def default_data_dir() -> Path:
    """The platform's user data folder; for root, a folder that the unprivileged database user can reach."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return Path("/var/lib/chiron")
    return platformdirs.user_data_path("chiron", appauthor=False)


def parse_address(text: str) -> tuple[str, int]:
    """`HOST:PORT` or `[IPv6]:PORT`; `:PORT` is of the loopback address. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    well_formed = port.isascii() and port.isdecimal() and (host == f"[{bare}]" if ":" in bare else host == bare)
    if not colon or not well_formed or int(port) > 65535:
        raise ValueError(f"{text!r} is not an address; write HOST:PORT, such as 127.0.0.1:8080")
    return bare or "127.0.0.1", int(port)
