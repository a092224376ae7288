"""Logging of the command line: structlog, JSON lines on standard error, or readable lines when that is a terminal.

Only the command line calls this: an embedder's logging is the embedder's.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

SECRETS = frozenset(
    {"password", "token", "access_token", "refresh_token", "authorization", "secret", "seed", "key", "cookie", "dsn"}
)


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Nothing under a secret's name reaches a log, whoever passed it."""
    for name in event.keys() & SECRETS:
        event[name] = "[redacted]"
    return event


def set_up_logging(level: str) -> None:
    terminal = sys.stderr.isatty()
    renderer: Any = structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            redact,
            *([] if terminal else [structlog.processors.format_exc_info]),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
