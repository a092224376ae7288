"""Requests that are plain, as most are, read by the extension; `framing` and `fields` read all others.

They refer to no dynamic table (RFC 9204 §4.5), so the QPACK decoder need not know of them: nothing of them is blocked
or acknowledged.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

from chiron._core import RequestHeads
from chiron.protocols.http3.limits import Limits

Head: TypeAlias = tuple[str, str, str, str, list[tuple[str, str]], str | None]
"""Method, scheme, authority, path, fields and priority."""

_READERS = 8
"""As many different limits keep a reader; there are as many as listeners and tests have."""


def reader(limits: Limits) -> RequestHeads:
    """What reads the requests of all connections with the same limits: what it keeps is of use to all of them."""
    return _reader(limits.field_section_bytes, limits.header_fields, limits.target_bytes)


@lru_cache(_READERS)
def _reader(field_section_bytes: int, header_fields: int, target_bytes: int) -> RequestHeads:
    return RequestHeads(field_section_bytes=field_section_bytes, header_fields=header_fields, target_bytes=target_bytes)
