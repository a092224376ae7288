"""Which content coding a client wants (RFC 9110 §12.5.3)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from chiron.server.ports import Request

IDENTITY = "identity"

_MEMBER = re.compile(
    r"[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:[ \t]*;[ \t]*[qQ]=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?))?[ \t]*", re.ASCII
)


def coding(request: Request, offered: Sequence[str]) -> str:
    """The one of `offered`, our favourite first, that the client likes best; else `identity`.

    Without the field nothing was asked for, so nothing is coded. `identity` is sent even where it was refused and
    nothing else is left: better than 406, which no client handles.
    """
    values = [value for name, value in request.headers if name == "accept-encoding"]
    if not values:
        return IDENTITY
    weights = parse_accept_encoding(",".join(values))
    others = weights.get("*", 0.0)
    best, weight = IDENTITY, weights.get(IDENTITY, 0.0)
    for name in offered:
        own = weights.get(name, others)
        if own > weight or (own == weight > 0 and best == IDENTITY):
            best, weight = name, own
    return best


def parse_accept_encoding(value: str) -> dict[str, float]:
    """Weights by coding, in lower case; `x-gzip` is `gzip` (RFC 9110 §8.4.1.3). Members that cannot be read do not
    count; of those that are there twice, the first does."""
    weights: dict[str, float] = {}
    for member in value.split(","):
        match = _MEMBER.fullmatch(member)
        if match is not None:
            name = match[1].lower()
            weights.setdefault("gzip" if name == "x-gzip" else name, float(match[2] or 1))
    return weights
