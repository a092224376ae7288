"""Field sections: what a request, a response and trailers may hold (RFC 9114 §4.2 and §4.3, RFC 9110 §5)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import msgspec

from chiron.protocols.http3.errors import LocalProtocolError, Malformed, Unacceptable
from chiron.protocols.http3.limits import Limits

Raw = Sequence[tuple[bytes, bytes]]
Field = tuple[str, str]

CONNECTION_SPECIFIC = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"}
)  # RFC 9110 §7.6.1, RFC 9114 §4.2

_NAME = re.compile(rb":?[!#$%&'*+\-.^_`|~0-9a-z]+")  # RFC 9110 §5.1, in lower case: RFC 9114 §4.2
_VALUE = re.compile(rb"(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?")  # RFC 9110 §5.5
_VALUE_BYTES = bytes([0x09, *range(0x20, 0x7F), *range(0x80, 0x100)])
_TOKEN_FORM = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_SCHEME_FORM = re.compile(r"[A-Za-z][A-Za-z0-9+\-.]*")  # RFC 3986 §3.1
# RFC 3986 §3.2.2 host and port, without userinfo: a name or IPv4 address, or an IP literal in brackets.
_AUTHORITY_FORM = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]+)(?::[0-9]*)?")
_PATH_FORM = re.compile(r"/[!\"$-~]*|\*")  # visible ASCII without `#`: a fragment is never sent (RFC 9110 §7.1)
_LENGTH_FORM = re.compile(r"[0-9]{1,18}")
_STATUS_FORM = re.compile(r"[1-9][0-9]{2}")

_FIELD_OVERHEAD = 32  # RFC 9114 §4.2.2


# What a field needs besides a check of its characters: 0 for nothing, up to PSEUDO those with a colon. Plain integers,
# for members of an enumeration cost a call each time they are named.
_METHOD = 1
_SCHEME = 2
_AUTHORITY = 3
_PATH = 4
_PROTOCOL = 5
_STATUS = 6
_PSEUDO = 7
_CONTENT_LENGTH = 8
_HOST = 9
_COOKIE = 10
_PRIORITY = 11
_EXPECT = 12
_CONNECTION = 13

_KINDS: dict[str, int] = {
    ":method": _METHOD,
    ":scheme": _SCHEME,
    ":authority": _AUTHORITY,
    ":path": _PATH,
    ":protocol": _PROTOCOL,
    ":status": _STATUS,
    "content-length": _CONTENT_LENGTH,
    "host": _HOST,
    "cookie": _COOKIE,
    "priority": _PRIORITY,
    "expect": _EXPECT,
    **dict.fromkeys(CONNECTION_SPECIFIC, _CONNECTION),
}
_RULES: dict[int, re.Pattern[str]] = {
    _METHOD: _TOKEN_FORM,
    _SCHEME: _SCHEME_FORM,
    _AUTHORITY: _AUTHORITY_FORM,
    _PATH: _PATH_FORM,
    _PROTOCOL: _TOKEN_FORM,
    _STATUS: _STATUS_FORM,
}
_REQUEST = frozenset({_METHOD, _SCHEME, _AUTHORITY, _PATH, _PROTOCOL})
_RESPONSE = frozenset({_STATUS})

# Fields repeat from request to request, so what was checked once is kept: a lookup costs a fraction of a check. Clients
# choose the keys, so the tables are bounded, long values stay out, and so does what is secret.
_Checked: TypeAlias = tuple[Field, int, int]
"""A field, its kind, and its size as RFC 9114 §4.2.2 counts it."""
_CHECKED: dict[tuple[bytes, bytes], _Checked] = {}
_CHECKED_FIELDS = 4_096
_CHECKED_BYTES = 192
_NAMES: dict[bytes, tuple[str, int]] = {}
_WIRE: dict[str, bytes] = {}
"""Names as they are sent; empty for those that are not."""
_NAMES_KEPT = 1_024
_NAME_BYTES = 64
SECRET = frozenset({"authorization", "cookie", "proxy-authorization", "set-cookie"})


class Request(msgspec.Struct, frozen=True, gc=False):
    method: str
    scheme: str
    authority: str
    path: str
    protocol: str | None
    headers: list[Field]
    """See `RequestReceived`."""
    length: int | None
    """Of Content-Length."""
    priority: str | None
    expects: bool
    """The client waits for 100 (Continue) before it sends the body (RFC 9110 §10.1.1)."""


class Response(msgspec.Struct, frozen=True, gc=False):
    status: int
    headers: list[Field]
    length: int | None


def request(raw: Raw, limits: Limits) -> Request:
    """Check the head of a request. Raises Malformed, or Unacceptable with 400, 414 or 431."""
    pseudo, headers, special = _split(raw, _REQUEST, limits)
    length: int | None = None
    priority = host = None
    cookies = expects = False
    for kind, (name, value) in special:
        if kind == _CONTENT_LENGTH:
            length = _length(value, length)
        elif kind == _HOST:
            if host is not None:
                raise Malformed("two Host fields")
            host = value
        elif kind == _PRIORITY:
            priority = value if priority is None else f"{priority}, {value}"
        elif kind == _COOKIE:
            cookies = True
        elif kind == _EXPECT:
            expects = value.lower() == "100-continue"
        elif kind == _CONNECTION and (name != "te" or value.lower() != "trailers"):
            raise Malformed(f"{name} is specific to a connection")
    method, protocol = pseudo.get(_METHOD), pseudo.get(_PROTOCOL)
    scheme, path, authority = pseudo.get(_SCHEME), pseudo.get(_PATH), pseudo.get(_AUTHORITY)
    if host is not None and host != authority:
        if authority is not None or not _AUTHORITY_FORM.fullmatch(host):
            raise Malformed(":authority and Host differ")  # RFC 9114 §4.3.1
        authority = host
    if method is None or authority is None:
        raise Malformed("no :method, or nobody whom it is for")
    if method == "CONNECT" and protocol is None:  # RFC 9114 §4.4
        if scheme is not None or path is not None:
            raise Malformed("CONNECT with :scheme or :path")
        raise Unacceptable(400)  # this is no proxy
    if protocol is not None and method != "CONNECT":  # RFC 8441 §4
        raise Malformed(":protocol without CONNECT")
    if scheme is None or path is None or (path == "*" and method != "OPTIONS"):
        raise Malformed("no :scheme, or no :path")
    if len(path) > limits.target_bytes:
        raise Unacceptable(414)
    if cookies:
        headers = _joined(headers)
    if host is None:
        headers.insert(0, ("host", authority))
    return Request(method, scheme, authority, path, protocol, headers, length, priority, expects)


def response(raw: Raw, limits: Limits) -> Response:
    """Check the head of a response (RFC 9114 §4.3.2). Raises Malformed, or Unacceptable for one that is too large."""
    pseudo, headers, special = _split(raw, _RESPONSE, limits)
    length: int | None = None
    for kind, (name, value) in special:
        if kind == _CONNECTION:
            raise Malformed(f"{name} is specific to a connection")
        if kind == _CONTENT_LENGTH:
            length = _length(value, length)
    status = pseudo.get(_STATUS)
    if status is None or status == "101":  # RFC 9114 §4.5
        raise Malformed("no :status")
    return Response(int(status), headers, length)


def trailers(raw: Raw, limits: Limits) -> list[Field]:
    """Check trailers, which have no pseudo-header fields. Raises Malformed, or Unacceptable with 431."""
    _, headers, special = _split(raw, frozenset(), limits)
    if any(kind == _CONNECTION for kind, _ in special):
        raise Malformed("trailers specific to a connection")
    return headers


def encoded(headers: Iterable[Field]) -> list[tuple[bytes, bytes]]:
    """Fields for the wire; those that belong to a connection of HTTP/1 are left out. Raises LocalProtocolError."""
    wire = []
    for name, value in headers:
        key = _WIRE.get(name)
        if key is None:
            key = _wire(name)
        if key:
            wire.append((key, _wire_value(name, value)))
    return wire


def _split(
    raw: Raw, allowed: frozenset[int], limits: Limits
) -> tuple[dict[int, str], list[Field], list[tuple[int, Field]]]:
    """Pseudo-header fields by kind, the others in order, and again those of them that need more."""
    if len(raw) > limits.header_fields + len(allowed):  # so nothing of what expands is looked at
        raise Unacceptable(431)
    pseudo: dict[int, str] = {}
    headers: list[Field] = []
    special: list[tuple[int, Field]] = []
    size = 0
    checked = _CHECKED
    for pair in raw:
        field, kind, bytes_ = checked.get(pair) or _check(pair)
        size += bytes_
        if not kind:
            headers.append(field)
        elif kind > _PSEUDO:
            headers.append(field)
            special.append((kind, field))
        elif headers or kind in pseudo or kind not in allowed:
            raise Malformed("a pseudo-header field that is repeated, or not of this place")
        else:
            pseudo[kind] = field[1]
    if size > limits.field_section_bytes or len(headers) > limits.header_fields:
        raise Unacceptable(431)
    return pseudo, headers, special


def _check(pair: tuple[bytes, bytes]) -> _Checked:
    """Decode a field that is not in the table, and check its characters. Raises Malformed."""
    name, value = pair
    text, kind = _NAMES.get(name) or _check_name(name)
    # As `_VALUE` has it, but many times as fast where a value is long.
    if value.translate(None, _VALUE_BYTES) or value.strip(b" \t") != value:
        raise Malformed("a field value with characters that it must not have")
    field = (text, value.decode("latin-1"))
    rule = _RULES.get(kind)
    if rule is not None and not rule.fullmatch(field[1]):
        raise Malformed("a pseudo-header field that is not what it should be")
    checked = (field, kind, len(name) + len(value) + _FIELD_OVERHEAD)
    if checked[2] <= _CHECKED_BYTES and text not in SECRET:
        if len(_CHECKED) >= _CHECKED_FIELDS:
            _CHECKED.clear()
        _CHECKED[pair] = checked
    return checked


def _check_name(name: bytes) -> tuple[str, int]:
    if not _NAME.fullmatch(name):
        raise Malformed("a field name that is none")
    text = name.decode("latin-1")
    kind = _KINDS.get(text, 0)
    if text[0] == ":" and not kind:
        raise Malformed("an unknown pseudo-header field")
    if len(_NAMES) < _NAMES_KEPT and len(name) <= _NAME_BYTES:
        _NAMES[name] = (text, kind)
    return text, kind


def _wire(name: str) -> bytes:
    lower = name.lower()
    if not _NAME.fullmatch(lower.encode("latin-1")) or lower[0] == ":":
        raise LocalProtocolError(f"{name!r} is no name of a field")
    key = b"" if lower in CONNECTION_SPECIFIC else lower.encode("latin-1")
    if len(_WIRE) < _NAMES_KEPT:
        _WIRE[name] = key
    return key


def _wire_value(name: str, value: str) -> bytes:
    raw = value.encode("latin-1")
    if not value.isprintable() and not _VALUE.fullmatch(raw):
        raise LocalProtocolError(f"a value of {name} has characters that it must not have")
    return raw


def _length(value: str, known: int | None) -> int:
    """Content-Length (RFC 9110 §8.6): digits, and the same in every field and list member."""
    for part in value.split(","):
        digits = part.strip(" \t")
        if not _LENGTH_FORM.fullmatch(digits) or (known is not None and int(digits) != known):
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
