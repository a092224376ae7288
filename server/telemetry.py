"""Logging of the command line: structlog, JSON lines on standard error, or readable lines when that is a terminal.

Only the command line calls this: an embedder's logging is the embedder's.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

SECRETS = frozenset(
    {"password", "token", "access_token", "refresh_token", "authorization", "secret", "seed", "key", "cookie", "dsn"}
)

STANDARD_ERROR = 2


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Nothing under a secret's name reaches a log, whoever passed it."""
    for name in event.keys() & SECRETS:
        event[name] = "[redacted]"
    return event


class Lines:
    """Writes each line to standard error in one piece, or not at all: a full disk or a closed terminal loses the log,
    never a request."""

    def msg(self, line: str) -> None:
        with contextlib.suppress(OSError):
            os.write(STANDARD_ERROR, f"{line}\n".encode(errors="backslashreplace"))

    debug = info = warning = error = critical = exception = msg


class Forward(logging.Handler):
    """What libraries log by the standard library becomes lines like all others."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger(record.name).log(record.levelno, record.getMessage(), exc_info=record.exc_info)


class Threshold:
    """Leaves out what is below a level. Loggers keep what they were made with, so the level that may change is here."""

    def __init__(self) -> None:
        self.level = logging.INFO

    def __call__(self, _logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if structlog.processors.NAME_TO_LEVEL[method] < self.level:
            raise structlog.DropEvent
        return event


_threshold = Threshold()


class _Logger(structlog.make_filtering_bound_logger(logging.DEBUG)):  # type: ignore[misc]  # made by a function
    """Says by the threshold whether a line would be written, which saves making it."""

    def is_enabled_for(self, level: int) -> bool:
        return level >= _threshold.level


def set_log_level(level: str) -> None:
    """From now on, for every logger."""
    number = logging.getLevelNamesMapping()[level.upper()]
    _threshold.level = number
    logging.getLogger().setLevel(max(number, logging.WARNING))


def set_up_logging(level: str) -> None:
    terminal = sys.stderr.isatty()
    rendering: list[Any] = (
        # Never the renderer's own tracebacks, which show the values of local variables.
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if terminal
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[
            _threshold,
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            redact,
            *rendering,
        ],
        wrapper_class=_Logger,
        logger_factory=lambda *_: Lines(),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[Forward()], force=True)
    set_log_level(level)
