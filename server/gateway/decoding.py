"""Bodies, queries and command parameters into their `msgspec` types; what does not fit is named."""

from __future__ import annotations

import re
from typing import Any, NoReturn
from urllib.parse import parse_qsl

import msgspec

from chiron.errors import Refused
from chiron.server.ports import Request

_JSON = "application/json"
_PATH = re.compile(r"^(?P<reason>.*?)(?: - at `\$(?P<path>[^`]*)`)?$", re.DOTALL)
_NAMED = re.compile(r"^Object (?P<what>missing required|contains unknown) field `(?P<name>[^`]*)`")


def decode_body(request: Request, type: type) -> Any:
    """Raises Refused: unsupported, bad_request or invalid."""
    media = (request.header("content-type") or "").partition(";")[0].strip().lower()
    coding = (request.header("content-encoding") or "identity").strip().lower()
    if media != _JSON or coding != "identity":  # RFC 9110 §15.5.16 is about both
        raise Refused("unsupported", expected=_JSON if media != _JSON else f"{_JSON} without a content coding")
    return decode_json(request.body, type)


def decode_json(data: bytes, type: type, *, whole: str = "body") -> Any:
    """Raises Refused: bad_request where it is no JSON, invalid (field, reason) where it is not of the type.

    `whole` is the field where nothing smaller is at fault.
    """
    try:
        value: Any = msgspec.json.decode(data, type=type)
        if b"\\u0000" in data:
            # Only what is used: what is unknown was skipped, may be large, and is read by nobody.
            _refuse_nul(msgspec.to_builtins(value, builtin_types=(msgspec.Raw,)), "", whole)
    except msgspec.ValidationError as error:
        _refuse(error, whole)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Refused("bad_request", reason=f"the {whole} is not JSON") from None
    except RecursionError:
        raise Refused("bad_request", reason=f"the {whole} is nested too deeply") from None
    return value


def decode_query(target: str, type: type) -> Any:
    """Raises Refused: bad_request, invalid (field, reason). Each name may be there once; unknown names are ignored, as
    unknown members of a body are, so that a newer client may ask an older server."""
    query = target.partition("?")[2]
    values: dict[str, str] = {}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=100, errors="strict")
    except ValueError:
        raise Refused("bad_request", reason="the query cannot be read") from None
    for name, value in pairs:
        if name in values:
            raise Refused("invalid", field=name[:100], reason="Given twice")
        if "\0" in value:
            raise Refused("invalid", field=name[:100], reason="Contains NUL")
        values[name] = value
    try:
        return msgspec.convert(values, type, strict=False)
    except msgspec.ValidationError as error:
        _refuse(error, "query")


def _refuse(error: msgspec.ValidationError, whole: str) -> NoReturn:
    """msgspec says ``Expected `str`, got `int` - at `$.people[0].name` ``; the field is `people[0].name`."""
    match = _PATH.match(str(error))
    assert match is not None
    path, reason = (match["path"] or "").removeprefix("."), match["reason"]
    named = _NAMED.match(reason)
    if named is not None:
        path = f"{path}.{named['name']}" if path else named["name"]
        reason = "Missing" if named["what"].startswith("missing") else "Unknown"
    raise Refused("invalid", field=path or whole, reason=reason) from None


def _refuse_nul(value: Any, path: str, whole: str) -> None:
    """PostgreSQL's text cannot hold U+0000: better refused here, by name, than there."""
    if isinstance(value, str) and "\0" in value:
        raise Refused("invalid", field=path or whole, reason="Contains NUL")
    if isinstance(value, dict):
        for name, inner in value.items():
            _refuse_nul(name, path, whole)
            _refuse_nul(inner, f"{path}.{name}" if path else name, whole)
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            _refuse_nul(inner, f"{path}[{place}]", whole)
