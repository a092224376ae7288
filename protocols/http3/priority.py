"""Extensible priorities (RFC 9218): what a client says of how urgent a response is."""

from __future__ import annotations

import re
from typing import NamedTuple

# A member of a structured dictionary (RFC 8941 §3.2) with an integer or boolean value; parameters are passed over.
_MEMBER = re.compile(r"([a-z*][a-z0-9_\-.*]*)(?:=(-?\d{1,15}|\?[01]))?(?:;[^,]*)?")


class Priority(NamedTuple):
    urgency: int = 3
    """0 (first) to 7 (background), RFC 9218 §4.1."""
    incremental: bool = False
    """A part of the response is of use by itself, so several may share the connection (RFC 9218 §4.2)."""


DEFAULT = Priority()


def parse(value: str) -> Priority:
    """A Priority field value; what is unknown, out of range or no dictionary is ignored (RFC 9218 §4)."""
    urgency, incremental = DEFAULT
    for member in value.split(","):
        match = _MEMBER.fullmatch(member.strip(" \t"))
        if match is None:
            return DEFAULT
        name, item = match.groups()
        if name == "u" and item is not None and item.isdigit() and int(item) <= 7:
            urgency = int(item)
        elif name == "i" and item in (None, "?0", "?1"):
            incremental = item != "?0"
    return Priority(urgency, incremental)
