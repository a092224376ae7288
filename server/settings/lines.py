"""On which line of a TOML document something is said: `tomllib` does not tell."""

from __future__ import annotations

import io
import tomllib
from collections.abc import Iterator
from typing import Any

Path = tuple[str, ...]


def lines_of(text: str) -> dict[Path, int]:
    """Line (from 1) of every table header and key of a document that `tomllib` can read.

    A document is a sequence of statements that end with a line: the shortest run of lines that can be read by itself
    is one.
    """
    found: dict[Path, int] = {}
    table: Path = ()
    begin, statement = 1, ""
    for number, line in enumerate(io.StringIO(text), 1):  # at LF alone, as TOML has it
        statement += line
        try:
            said = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue  # a list or a text of several lines
        header = statement.lstrip().startswith("[")
        if header:
            table = _innermost(said)
            found.setdefault(table, begin)
        else:
            for path in _paths(said):
                found.setdefault((*table, *path), begin)
        begin, statement = number + 1, ""
    return found


def _paths(table: dict[str, Any]) -> Iterator[Path]:
    for key, value in table.items():
        yield (key,)
        if isinstance(value, dict):
            yield from ((key, *below) for below in _paths(value))


def _innermost(said: dict[str, Any]) -> Path:
    path: Path = ()
    while said:
        (key, value), *_ = said.items()
        path = (*path, key)
        # `[[name]]` is a list with one table.
        said = value[0] if isinstance(value, list) else value
    return path
