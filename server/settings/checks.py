"""What the text of a setting must be. Each check raises ValueError, whose text says what would be right."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from chiron.server.platform.addresses import is_local
from chiron.server.ports import REASONS, VERDICTS

_HOST = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?")
_HIDDEN = "***"
_PASSWORDS = frozenset({"password", "sslpassword", "passfile"})
"""Parameters of a PostgreSQL address (libpq, §32.1.2) that hold, or lead to, a password."""


@dataclass(frozen=True, slots=True)
class Trait:
    """What a setting's type does not say. It stands in the type's `Annotated`, beside `msgspec.Meta` for ranges."""

    reload: bool = False
    """Whether a running server follows a change; else it takes a restart."""
    secret: bool = False
    """Whether the value may hold a password, as an address does: it is masked where it is shown."""
    check: Callable[[Any], None] | None = None
    """Raises ValueError saying what would be right. For a list it is asked about each item."""
    default: str = ""
    """How pages name a default that is not the same on every machine."""


RELOADED = Trait(reload=True)


def parse_address(text: str) -> tuple[str, int]:
    """`HOST:PORT` or `[IPv6]:PORT`; `:PORT` is of the loopback address. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    well_formed = port.isascii() and port.isdecimal() and (host == f"[{bare}]" if ":" in bare else host == bare)
    if not colon or not well_formed or int(port) > 65535:
        raise ValueError(f"{text!r} is not an address; write HOST:PORT, such as 127.0.0.1:8080")
    return bare or "127.0.0.1", int(port)


def parse_action(text: str) -> tuple[str, str]:
    """(reason, verdict) of `REASON=VERDICT`. Raises ValueError."""
    reason, _, verdict = text.partition("=")
    if reason not in REASONS or verdict not in VERDICTS:
        raise ValueError(
            f"{text!r} is not REASON=VERDICT; reasons are {', '.join(REASONS)}; verdicts are {', '.join(VERDICTS)}"
        )
    return reason, verdict


def action(text: str) -> None:
    parse_action(text)


def address(text: str) -> None:
    host, _ = parse_address(text)
    _require_host(host, text)


def host(text: str) -> None:
    if text:
        _require_host(text, text)


def loopback_address(text: str) -> None:
    host, _ = parse_address(text)
    if not is_local(host):
        raise ValueError(f"{text!r} is not an address of this machine alone; write 127.0.0.1:PORT or [::1]:PORT")


def network(text: str) -> None:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        # With bits of a host set the network that is meant can be named.
        try:
            meant = f"did you mean {ipaddress.ip_network(text, strict=False)}?"
        except ValueError:
            meant = "write CIDR, such as 10.0.0.0/8 or 2001:db8::/32"
        raise ValueError(f"{text!r} is not a network; {meant}") from None


def origin(text: str) -> None:
    """RFC 6454 §6.2, of a page that a browser loads."""
    parts = _split(text)
    if parts is None or parts.scheme not in ("http", "https") or text != f"{parts.scheme}://{parts.netloc}":
        raise ValueError(f"{text!r} is not an origin; write https://HOST or https://HOST:PORT, without anything behind")
    if parts.username is not None or not _is_host(parts.hostname):
        raise ValueError(f"{text!r} is not an origin; write https://HOST or https://HOST:PORT")
    if parts.port == {"http": 80, "https": 443}[parts.scheme]:
        raise ValueError(f"{text!r} is not how browsers write it; leave the port out")
    if parts.netloc != parts.netloc.lower():
        raise ValueError(f"{text!r} is not how browsers write it; write {text.lower()}")


def smtp(text: str) -> None:
    from chiron.server.platform.mail import parse_smtp

    parse_smtp(text)


def postgresql(text: str) -> None:
    parts = _split(text, port=False)
    if parts is None or parts.scheme not in ("postgresql", "postgres"):
        raise ValueError("it is not the address of a database; write postgresql://USER:PASSWORD@HOST:PORT/NAME")


def sender(text: str) -> None:
    from chiron.server.platform.mail import Sender

    Sender(text)


def hide_password(text: str) -> str:
    """The text with passwords of an address masked; what is no address is masked whole."""
    return _replace_passwords(text, _HIDDEN)


def without_password(text: str) -> str:
    """The address without its passwords, for a program that asks for them; what is no address is masked whole."""
    return _replace_passwords(text, None)


def _replace_passwords(text: str, by: str | None) -> str:
    parts = _split(text, port=False)
    if parts is None or not parts.scheme:
        return _HIDDEN
    netloc = parts.netloc
    user, at, host = netloc.rpartition("@")
    if at and ":" in user:
        netloc = f"{user.partition(':')[0]}{'' if by is None else f':{by}'}@{host}"
    query = parts.query
    pairs = parse_qsl(query, keep_blank_values=True)
    if any(name in _PASSWORDS for name, _ in pairs):
        shown = [(name, by if name in _PASSWORDS else value) for name, value in pairs]
        query = urlencode([(name, value) for name, value in shown if value is not None], safe="*/")
    return parts._replace(netloc=netloc, query=query).geturl()


def holds_password(text: str) -> bool:
    return hide_password(text) != _split_and_join(text)


def _split_and_join(text: str) -> str | None:
    parts = _split(text, port=False)
    return parts.geturl() if parts is not None else None


def _split(text: str, *, port: bool = True) -> SplitResult | None:
    """The parts of an address; None when it has none, or with `port` when its port is no number up to 65535."""
    # `urlsplit` takes line ends and tabs out silently.
    if any(ord(character) <= 0x20 or ord(character) == 0x7F for character in text):
        return None
    try:
        parts = urlsplit(text)
        if port:
            _ = parts.port
    except ValueError:
        return None
    return parts


def _require_host(host: str, text: str) -> None:
    if not _is_host(host):
        raise ValueError(f"{text!r} names no host; write a name such as localhost or an address such as 127.0.0.1")


def _is_host(text: str | None) -> bool:
    if not text:
        return False
    try:
        ipaddress.ip_address(text)
    except ValueError:
        # RFC 1123 §2.1; what ends in a number was meant to be an address.
        return bool(_HOST.fullmatch(text)) and len(text) <= 253 and not text.rstrip(".").rpartition(".")[2].isdigit()
    return True
