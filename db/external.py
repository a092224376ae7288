"""The first contact with a PostgreSQL server, ours or an operator's: a clear sentence when it will not do."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import asyncpg

from chiron.errors import SetupError

OLDEST = 18
UNAVAILABLE = 69
"""EX_UNAVAILABLE of sysexits.h."""
CONFIG = 78
"""EX_CONFIG of sysexits.h."""


async def connect(dsn: str, *, timeout: float = 10.0) -> asyncpg.Connection[Any]:
    """Connect and look at the version. `timeout` is in seconds.

    Raises `SetupError`: exit status 69 when the server is not reachable, 78 when it is too old or refuses us.
    The sentence names host and database, never the password.
    """
    place = describe(dsn)
    try:
        connection = await asyncpg.connect(dsn, timeout=timeout)
    except (ValueError, asyncpg.ClientConfigurationError) as error:
        raise SetupError(f"The database address is not understood: {error}", exit_status=CONFIG) from error
    except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError) as error:
        raise SetupError(f"PostgreSQL at {place} refuses: {error}", exit_status=CONFIG) from error
    except TimeoutError as error:
        raise SetupError(
            f"PostgreSQL at {place} did not answer in {timeout:.0f} s.", exit_status=UNAVAILABLE
        ) from error
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise SetupError(f"PostgreSQL at {place} is not reachable: {error}", exit_status=UNAVAILABLE) from error
    version = connection.get_server_version()
    if version.major < OLDEST:
        await connection.close(timeout=timeout)
        raise SetupError(
            f"PostgreSQL at {place} is version {version.major}.{version.minor}; {OLDEST} or newer is needed.",
            exit_status=CONFIG,
        )
    return connection


def describe(dsn: str) -> str:
    """Host, port and database of an address, for people."""
    try:
        parts = urlsplit(dsn)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "that address"
    where = f"{host}:{port or 5432}" if host else "the given socket"
    return f"{where}, database {parts.path.lstrip('/') or 'of the user'}"
