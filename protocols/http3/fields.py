"""Field sections: what a request, a response and trailers may hold (RFC 9114 §4.2 and §4.3, RFC 9110 §5)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from chiron.protocols.http3.errors import Malformed, Unacceptable
from chiron.protocols.http3.limits import Limits

Raw = Sequence[tuple[bytes, bytes]]
Field = tuple[str, str]

CONNECTION_SPECIFIC = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"}
)  # RFC 9110 §7.6.1, RFC 9114 §4.2

_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")  # RFC 9110 §5.1, in lower case: RFC 9114 §4.2
_VALUE = re.compile(rb"(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?")  # RFC 9110 §5.5
_METHOD = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+\-.]*")  # RFC 3986 §3.1
# RFC 3986 §3.2.2 host and port, without userinfo: a name or IPv4 address, or an IP literal in brackets.
_AUTHORITY = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]+)(?::[0-9]*)?")
_PATH = re.compile(r"/[!\"$-~]*")  # visible ASCII without `#`: a fragment is never sent (RFC 9110 §7.1)
_LENGTH = re.compile(r"[0-9]{1,18}")
_STATUS = re.compile(r"[1-9][0-9]{2}")

_FIELD_OVERHEAD = 32  # RFC 9114 §4.2.2

# Fields repeat from request to request, so what was checked once is kept: a lookup costs a sixth of a check. Clients
# choose the keys, so the table is bounded, long values stay out, and so does what is secret.
_CHECKED: dict[tuple[bytes, bytes], Field] = {}
_CHECKED_FIELDS = 4_096
_CHECKED_BYTES = 160
_SECRET = frozenset({"authorization", "cookie", "proxy-authorization", "set-cookie"})


class Request(NamedTuple):
    method: str
    scheme: str
    authority: str
    path: str
    protocol: str | None
    headers: list[Field]
    length: int | None
    """Of Content-Length."""
    priority: str | None
    expects: bool
    """The client waits for 100 (Continue) before it sends the body (RFC 9110 §10.1.1)."""


class Response(NamedTuple):
    status: int
    headers: list[Field]
    length: int | None


def request(raw: Raw, limits: Limits) -> Request:
    """Check the head of a request. Raises Malformed, or Unacceptable with 414 or 431."""
    pseudo, headers = _split(raw, _REQUEST_PSEUDO, limits)
    length: int | None = None
    priority = host = None
    cookies = expects = False
    for name, value in headers:
        special = _SPECIAL.get(name)
        if special is None:
            continue
        if special == "connection":
            if name != "te" or value.lower() != "trailers":
                raise Malformed(f"{name} is specific to a connection")
        elif special == "length":
            length = _length(value, length)
        elif special == "host":
            if host is not None:
                raise Malformed("two Host fields")
            host = value
        elif special == "cookie":
            cookies = True
        elif special == "priority":
            priority = value if priority is None else f"{priority}, {value}"
        else:
            expects = value.lower() == "100-continue"
    method, protocol = pseudo.get("method"), pseudo.get("protocol")
    scheme, path, authority = pseudo.get("scheme"), pseudo.get("path"), pseudo.get("authority")
    if method is None or not _METHOD.fullmatch(method):
        raise Malformed("no valid :method")
    if host is not None:
        if authority is None:
            authority = host
        elif authority != host:
            raise Malformed(":authority and Host differ")  # RFC 9114 §4.3.1
    if authority is None or not _AUTHORITY.fullmatch(authority):
        raise Malformed("no valid :authority")
    if method == "CONNECT" and protocol is None:  # RFC 9114 §4.4
        if scheme is not None or path is not None:
            raise Malformed("CONNECT with :scheme or :path")
        raise Unacceptable(400)  # this is no proxy
    if protocol is not None and (method != "CONNECT" or not _METHOD.fullmatch(protocol)):  # RFC 8441 §4
        raise Malformed(":protocol without CONNECT")
    if scheme is None or not _SCHEME.fullmatch(scheme):
        raise Malformed("no valid :scheme")
    if path is None:
        raise Malformed("no :path")
    if len(path) > limits.target_bytes:
        raise Unacceptable(414)
    if not _PATH.fullmatch(path) and not (path == "*" and method == "OPTIONS"):
        raise Malformed("no valid :path")
    return Request(
        method, scheme, authority, path, protocol, _joined(headers) if cookies else headers, length, priority, expects
    )


def response(raw: Raw, limits: Limits) -> Response:
    """Check the head of a response (RFC 9114 §4.3.2). Raises Malformed, or Unacceptable for one that is too large."""
    pseudo, headers = _split(raw, _RESPONSE_PSEUDO, limits)
    length: int | None = None
    for name, value in headers:
        special = _SPECIAL.get(name)
        if special == "connection":
            raise Malformed(f"{name} is specific to a connection")
        if special == "length":
            length = _length(value, length)
    status = pseudo.get("status")
    if status is None or not _STATUS.fullmatch(status) or status == "101":  # RFC 9114 §4.5
        raise Malformed("no valid :status")
    return Response(int(status), headers, length)


def trailers(raw: Raw, limits: Limits) -> list[Field]:
    """Check trailers, which have no pseudo-header fields. Raises Malformed, or Unacceptable with 431."""
    _, headers = _split(raw, frozenset(), limits)
    if any(name in CONNECTION_SPECIFIC for name, _ in headers):
        raise Malformed("trailers specific to a connection")
    return headers


def encoded(headers: Iterable[Field]) -> list[tuple[bytes, bytes]]:
    """Fields for the wire; those that belong to a connection of HTTP/1 are left out."""
    return [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in headers
        if name not in CONNECTION_SPECIFIC
    ]


def _split(raw: Raw, allowed: frozenset[str], limits: Limits) -> tuple[dict[str, str], list[Field]]:
    """Pseudo-header fields without their colon, and the others. Each is decoded and checked."""
    pseudo: dict[str, str] = {}
    headers: list[Field] = []
    size = 0
    checked = _CHECKED
    for pair in raw:
        size += len(pair[0]) + len(pair[1]) + _FIELD_OVERHEAD
        field = checked.get(pair)
        if field is None:
            field = _check(pair)
        name = field[0]
        if name[0] != ":":
            headers.append(field)
            continue
        name = name[1:]
        if headers:
            raise Malformed("a pseudo-header field behind the others")
        if name not in allowed or name in pseudo:
            raise Malformed("a pseudo-header field that is unknown or repeated")
        pseudo[name] = field[1]
    if size > limits.field_section_bytes or len(headers) > limits.header_fields:
        raise Unacceptable(431)
    return pseudo, headers


def _check(pair: tuple[bytes, bytes]) -> Field:
    name, value = pair
    if not _NAME.fullmatch(name, 1 if name.startswith(b":") else 0):
        raise Malformed("a field name that is none")
    if not _VALUE.fullmatch(value):
        raise Malformed("a field value with characters that it must not have")
    field = (name.decode("latin-1"), value.decode("latin-1"))
    if len(name) + len(value) <= _CHECKED_BYTES and field[0] not in _SECRET:
        if len(_CHECKED) >= _CHECKED_FIELDS:
            _CHECKED.clear()
        _CHECKED[pair] = field
    return field


def _length(value: str, known: int | None) -> int:
    """Content-Length (RFC 9110 §8.6): digits, and the same in every field and list member."""
    for part in value.split(","):
        digits = part.strip(" \t")
        if not _LENGTH.fullmatch(digits) or (known is not None and int(digits) != known):
            raise Malformed("Content-Length")
        known = int(digits)
    assert known is not None
    return known


def _joined(headers: list[Field]) -> list[Field]:
    """Crumbs of cookies as one field, where the first was (RFC 9114 §4.2.1)."""
    crumbs = "; ".join(value for name, value in headers if name == "cookie")
    joined: list[Field] = []
    placed = False
    for field in headers:
        if field[0] != "cookie":
            joined.append(field)
        elif not placed:
            joined.append(("cookie", crumbs))
            placed = True
    return joined


_REQUEST_PSEUDO = frozenset({"method", "scheme", "authority", "path", "protocol"})
_RESPONSE_PSEUDO = frozenset({"status"})
_SPECIAL = {
    **dict.fromkeys(CONNECTION_SPECIFIC, "connection"),
    "content-length": "length",
    "cookie": "cookie",
    "expect": "expect",
    "host": "host",
    "priority": "priority",
}
