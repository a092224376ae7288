"""From what asyncpg raises to what callers know: one table, for everything that happens before COMMIT."""

from __future__ import annotations

from typing import Any, NoReturn

import asyncpg

from chiron.errors import Unavailable
from chiron.server.ports import StatementError

NO_CONNECTION = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What asyncpg raises, besides `PostgresError`, when there is no connection. `TimeoutError` is our own deadline."""

COLLISIONS = frozenset({"40001", "40P01"})
"""serialization_failure, deadlock_detected: the same work may succeed at once."""
BUSY = frozenset({"53300", "53400", "57014"})
"""too_many_connections, configuration_limit_exceeded, query_canceled (by statement_timeout)."""
DOWN = ("08", "57P", "53", "58", "25006")
"""How the codes begin of lost connections, shutdown and crash, no disk or memory, failing files, a standby."""
OUR_MISTAKE = ("42", "P0")
"""Wrong SQL, or RAISE in a function of ours: the message is worth having, and quotes no row."""

RETRY_AFTER = 1.0
"""Seconds that a caller is told to wait: a restart of PostgreSQL takes about that long."""


class Collision(Exception):
    """The unit of work was rolled back because of another one, and may run again."""


class Lost(Unavailable):
    """The connection broke before COMMIT was sent: nothing was changed."""

    def __init__(self) -> None:
        super().__init__("unavailable", retry_after=RETRY_AFTER)


def translate(error: Exception, driver: asyncpg.Connection[Any]) -> NoReturn:
    """Raise `Collision`, `Unavailable` or `StatementError` for `error`, or `error` itself when it is a mistake of ours.

    The cause is cut off: its DETAIL may quote what people wrote, and would be in every traceback.
    """
    if isinstance(error, asyncpg.InvalidCachedStatementError | asyncpg.OutdatedSchemaCacheError):
        # The schema changed under this connection. asyncpg has forgotten its plans; the next try makes them anew.
        raise Collision from None
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or "XX000"
        if state in COLLISIONS:
            raise Collision from None
        if state in BUSY:
            raise Unavailable("busy", retry_after=RETRY_AFTER) from error
        if state.startswith(DOWN):
            raise Lost from error
        message = str(error.args[0]) if state.startswith(OUR_MISTAKE) else type(error).__name__
        raise StatementError(state, message, getattr(error, "constraint_name", None)) from None
    if isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError):
        # asyncpg could not encode an argument. Its message quotes the value.
        raise StatementError("22000", "an argument does not have the type of its place") from None
    if isinstance(error, OSError | TimeoutError) or (isinstance(error, NO_CONNECTION) and driver.is_closed()):
        raise Lost from error
    raise error
