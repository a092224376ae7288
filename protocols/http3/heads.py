"""What of HTTP/3 the extension does: it reads requests that are plain, as most are, and writes all responses.

Neither refers to a dynamic table (RFC 9204 §4.5), so the QPACK coders need not know of them: nothing of them is blocked
or acknowledged. `framing` and `fields` read all other requests.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TypeAlias

from chiron._core import RequestHeads, ResponseHeads
from chiron.protocols.http3.errors import LocalProtocolError
from chiron.protocols.http3.limits import Limits

Head: TypeAlias = tuple[str, str, str, str, list[tuple[str, str]], str | None]
"""Method, scheme, authority, path, fields and priority."""

_RESPONSES = ResponseHeads()
_READERS = 8
"""As many different limits keep a reader; there are as many as listeners and tests have."""


def reader(limits: Limits) -> RequestHeads:
    """What reads the requests of all connections with the same limits: what it keeps is of use to all of them."""
    return _reader(limits.field_section_bytes, limits.header_fields, limits.target_bytes)


@lru_cache(_READERS)
def _reader(field_section_bytes: int, header_fields: int, target_bytes: int) -> RequestHeads:
    return RequestHeads(field_section_bytes=field_section_bytes, header_fields=header_fields, target_bytes=target_bytes)


def answer(status: int, headers: Iterable[tuple[str, str]], length: int | None, content: bytes) -> bytes:
    """The frames of a response's head, with Content-Length of `length` unless there is one, and of its content.

    Those headers that belong to a connection of HTTP/1 are left out. Raises LocalProtocolError for one that may not be
    sent.
    """
    try:
        return _RESPONSES.write(status, headers if isinstance(headers, list) else [*headers], length, content)
    except ValueError as error:
        raise LocalProtocolError(str(error)) from None
