"""`chiron reload` and `chiron rotate`: commands to a server that runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from chiron.errors import SetupError
from chiron.server.cli.options import DataDir
from chiron.server.cli.settings import Config, told

if TYPE_CHECKING:
    from chiron.server.admin import Answer, Request
    from chiron.server.settings.load import Told

WHAT = {
    "signing": "Access tokens are signed with a new key. The old one is accepted until its last token has expired.",
    "sealing": "Secrets are sealed with a new key. The old ones still open what they sealed.",
    "tickets": "TLS session tickets are sealed with a new key. The last one still opens.",
}


def reload(data_dir: DataDir = None, config: Config = None) -> None:
    """Have the running server read settings file, certificates and lists of terms again. Connections stay open.

    Flags and environment are those that it was started with. 78 when something is wrong: then nothing changes.
    """
    from chiron.server.admin import Reloaded, ReloadRequest

    answer = _ask(told(data_dir=data_dir, config=config), ReloadRequest())
    assert isinstance(answer, Reloaded)
    if answer.applied:
        print(f"Applied: {', '.join(answer.applied)}.")
    if answer.certificate:
        print("New TLS handshakes use another certificate.")
    if answer.scoring:
        print("Messages are scored by other files.")
    if answer.restart:
        print(f"Restart to apply: {', '.join(answer.restart)}.")
    if not (answer.applied or answer.certificate or answer.scoring or answer.restart):
        print("Nothing has changed.")


def rotate(
    key: Annotated[
        Literal["signing", "sealing", "tickets"],
        typer.Argument(help="What the key is for: access tokens, secrets in the database, or TLS session tickets."),
    ] = "signing",
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Have the running server make a new key at once. Nobody is signed out and connections stay open.

    The keys of access tokens and of TLS tickets also change by themselves, after 90 days and every day.
    """
    from chiron.server.admin import Rotated, RotateRequest

    answer = _ask(told(data_dir=data_dir, config=config), RotateRequest([key]))
    assert isinstance(answer, Rotated)
    for purpose in answer.purposes:
        print(WHAT[purpose])


def _ask(said: Told, request: Request) -> Answer:
    from chiron.server.admin import Refusal, ask
    from chiron.server.settings.load import data_dir

    answer = ask(data_dir(said), request)
    if isinstance(answer, Refusal):
        raise SetupError(answer.message, exit_status=answer.exit_status)
    return answer
