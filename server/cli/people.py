"""`chiron demo` and `chiron chat`."""

from __future__ import annotations

import getpass
import os
from enum import StrEnum
from typing import Annotated, Optional

import typer

from chiron.server.cli.options import DEFAULT_SERVER, Authority, Server, api_of, progress, say, with_server


class Transport(StrEnum):
    """What `chiron.client.Link` takes."""

    auto = "auto"
    webtransport = "webtransport"
    websocket = "websocket"
    websocket_h3 = "websocket-h3"


def demo(server: Server = DEFAULT_SERVER, ca: Authority = None) -> None:
    """Make demo people and conversations on a running server; again changes nothing."""
    from chiron.client import demo as community

    api_of(server, ca)
    with_server(community.make(server, ca=ca, report=progress))
    print_logins()


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
    transport: Annotated[
        Transport,
        typer.Option(
            help="What to talk over; auto is WebTransport where server and network have it, else WebSocket. Those of "
            "HTTP/3 are tried where the server says that it takes them.",
        ),
    ] = Transport.auto,
) -> None:
    """Chat in the terminal. The password is asked for, or taken from CHIRON_PASSWORD."""
    from chiron.client import terminal

    api = api_of(server, ca)
    password = os.environ.get("CHIRON_PASSWORD") or getpass.getpass("Password: ")

    async def work() -> int:
        try:
            await terminal.sign_in(api, email, password, name=register, report=progress)
            return await terminal.chat(api, who, transport=transport.value, report=progress)
        finally:
            await api.close()

    raise typer.Exit(with_server(work()))


def print_logins() -> None:
    from chiron.client import demo as community

    people = "".join(f"    {email:<22} {name}\n" for email, name in community.PEOPLE.items())
    say(f"  Demo logins, password [bold]{community.PASSWORD}[/bold]:\n{people}")
