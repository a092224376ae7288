"""`Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07): how a client names a request that it may repeat."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from chiron.errors import Refused
from chiron.server.ports import Once, Principal, Request, Route

FIELD = "Idempotency-Key"
KEY_CHARACTERS = 255
REPLAYED = ("idempotency-replayed", "true")

# RFC 9651 §3.3.3: a String. Parameters, which an Item may have, mean nothing here and are refused.
_STRING = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_ESCAPE = re.compile(r"\\(.)")
# What many clients send instead: a UUID or the like, without quotes.
_BARE = re.compile(r"[!#-+\--:<-\[\]-~]+")
_PLACE = re.compile(r"\{([a-z_]+):[a-z]+\}")


def once(request: Request, route: Route, principal: Principal | None, params: Mapping[str, Any]) -> Once | None:
    """How to know the request again; None where nothing is to be kept.

    Raises Refused invalid (Idempotency-Key) for what is no key, and where a key would promise what is not done.
    """
    if request.method in ("GET", "HEAD"):
        return None
    given = [value for name, value in request.headers if name == "idempotency-key"]
    if not given:
        return None
    if route.once == "refused":
        raise Refused("invalid", field=FIELD, reason="This request cannot be kept from being done twice")
    if len(given) > 1:
        raise Refused("invalid", field=FIELD, reason="Given twice")
    key = parse_key(given[0])
    if route.once == "needless":
        return None
    assert principal is not None, "the gateway takes no route that keeps what anybody did"
    filled = _PLACE.sub(lambda place: quote(str(params[place[1]]), safe=""), route.path)
    query = request.target.partition("?")[2]
    body_hash = hashlib.sha256(query.encode() + b"\0" + request.body).digest()
    return Once(principal.person, f"{route.method} {filled}", key, body_hash)


def parse_key(value: str) -> str:
    """`"key"` or `key`: the same key, of 1 to 255 printable ASCII characters. Raises Refused invalid."""
    value = value.strip(" \t")
    string = _STRING.fullmatch(value)
    if string is not None:
        key = _ESCAPE.sub(r"\1", string[1])
    elif _BARE.fullmatch(value):
        key = value
    else:
        raise Refused("invalid", field=FIELD, reason="It is a string in double quotes, of printable ASCII characters")
    if not 1 <= len(key) <= KEY_CHARACTERS:
        raise Refused("invalid", field=FIELD, reason=f"It has between 1 and {KEY_CHARACTERS} characters")
    return key
