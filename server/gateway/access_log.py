"""One line for each request. Never a token, a body or a query string: the route's template stands for the path."""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID

import structlog

from chiron.server.gateway.tracing import Context


class AccessLog:
    """Writes through structlog: whoever configures it (the command line, an embedder) decides how lines look."""

    def __init__(self, logger: Any = None) -> None:
        self._logger = logger if logger is not None else structlog.get_logger("chiron.access")
        self._asked: Any = None
        """What says whether lines are written, once that will not change."""

    def tells_requests(self) -> bool:
        """Whether the level lets a line for each request be written; a logger that does not say is told them."""
        if self._asked is not None:
            return bool(self._asked(logging.INFO))
        asked = getattr(self._logger, "is_enabled_for", None)
        if asked is None:
            return True
        if structlog.get_config()["cache_logger_on_first_use"]:
            self._asked = asked
        return bool(asked(logging.INFO))

    def request(
        self,
        *,
        method: str,
        route: str,
        status: int,
        seconds: float,
        size: int,
        address: str,
        person: UUID | None,
        context: Context,
    ) -> None:
        self._logger.info(
            "request",
            method=method,
            route=route,
            status=status,
            ms=round(seconds * 1000, 2),
            bytes=size,
            address=address,
            person=None if person is None else str(person),
            **context.fields(),
        )

    def refused(self, *, code: str, status: int, address: str, context: Context) -> None:
        """What was no request."""
        self._logger.info("refused", code=code, status=status, address=address, **context.fields())

    def failed(self, *, incident: str, method: str, route: str, error: BaseException, context: Context) -> None:
        """An exception that nobody expected, with its traceback, under the id that the client was told."""
        self._logger.error("failed", incident=incident, method=method, route=route, exc_info=error, **context.fields())
