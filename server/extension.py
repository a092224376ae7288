"""What an embedder adds to a server: routes, commands, and something that hears what is said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from chiron.server.chat.service import Chat
from chiron.server.identity.service import Identity
from chiron.server.ports import Clock, Command, Database, Ids, Record, Route


@dataclass(frozen=True, slots=True)
class Services:
    """What an extension builds on; made when the server starts, and gone when it stops.

    `database` is for tables of the extension's own, in a schema of their own. What takes an offset in a conversation
    goes through `chat`.
    """

    database: Database
    chat: Chat
    identity: Identity
    clock: Clock
    ids: Ids


@dataclass(frozen=True, slots=True)
class Extension:
    """`heard` is called with (conversation, record) for everything that this process has committed to a log, in order
    of offset, on the loop: it must return at once, and begin a task for what takes longer. What it raises is logged,
    and harms nobody."""

    routes: Sequence[Route] = ()
    commands: Sequence[Command] = ()
    heard: Callable[[UUID, Record], None] | None = None


Extend = Callable[[Services], Extension]
"""Makes an extension once the services exist."""
