"""For whom a proxy of ours asks: `Forwarded` (RFC 7239), or else `X-Forwarded-For` and `X-Forwarded-Proto`.

Every proxy adds to the right of what it was sent, so only what stands right of the first stranger was written by one of
ours: the walk goes from the right, past trusted addresses, and ends at the first that is not. What is left of it
anybody may have made up; it is not even read.

Where a request has both kinds of fields they must agree: a proxy of ours writes one kind, and hands on the other as a
stranger wrote it.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import structlog

from chiron.server.platform import addresses
from chiron.server.ports import Scheme

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PAIR = re.compile(rf'[ \t]*(?:({_WORD})=(?:({_WORD})|"((?:[^"\\]|\\.)*)"))?[ \t]*([;,]|\Z)')
"""RFC 7239 §4; white space around `;` too, since many write it. At the end of a pair is `;`, of an element `,`."""
_NODE = re.compile(
    r"(?:\[(?P<six>[^\]]*)\]|(?P<four>[0-9.]+)|(?P<hidden>unknown|_[A-Za-z0-9._-]+))(?::(?:[0-9]{1,5}|_[A-Za-z0-9._-]+))?"
)
"""RFC 7239 §6."""
_SCHEMES: dict[str, Scheme] = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
"""Some proxies name a WebSocket's."""


@dataclass(frozen=True, slots=True)
class _Hop:
    """What one proxy says of whoever asked it."""

    address: str | None
    """None: it does not say (`unknown`, or a name of its own making)."""
    scheme: Scheme | None


class Proxies:
    """`ports.Proxies` by networks."""

    def __init__(self, networks: Iterable[str]) -> None:
        """CIDR or single addresses. Raises ValueError."""
        self._networks = [ipaddress.ip_network(network) for network in networks]
        self._contain = functools.lru_cache(4096)(self._look)
        self._log = structlog.get_logger("chiron.gateway")

    def trusts(self, address: str) -> bool:
        return bool(self._networks) and self._contain(address)

    def may_announce(self, address: str) -> bool:
        return not self._networks or self._contain(address)

    def client(self, peer: str, scheme: Scheme, headers: Sequence[tuple[str, str]]) -> tuple[str, Scheme]:
        forwarded = [value for name, value in headers if name == "forwarded"]
        for_ = [value for name, value in headers if name == "x-forwarded-for"]
        proto = [value for name, value in headers if name == "x-forwarded-proto"]
        if not (forwarded or for_ or proto):
            return peer, scheme
        kinds = []
        if forwarded:
            kinds.append(_forwarded(forwarded))
        if for_ or not forwarded:
            kinds.append(_x_forwarded(for_, proto))
        try:
            found = [self._walk(peer, scheme, hops) for hops in kinds]
            if found[0] != found[-1]:
                raise ValueError("Forwarded and X-Forwarded-For disagree")
        except ValueError as error:
            self._log.warning("what a proxy forwarded is not believed", peer=peer, reason=str(error))
            return peer, scheme
        return found[0]

    def _walk(self, peer: str, scheme: Scheme, hops: Iterator[_Hop]) -> tuple[str, Scheme]:
        """From the nearest hop outwards. Raises ValueError for what is malformed on the way."""
        address = peer
        for hop in hops:
            scheme = hop.scheme or scheme
            if hop.address is None:
                break  # the nearest of ours that is known stands for them
            address = hop.address
            if not self._contain(address):
                break
        return address, scheme

    def _look(self, address: str) -> bool:
        try:
            parsed = addresses.parse(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)


def _forwarded(fields: Sequence[str]) -> Iterator[_Hop]:
    for field in reversed(fields):
        for element in reversed(_elements(field)):
            scheme = _scheme(element["proto"]) if "proto" in element else None
            yield _Hop(_node(element["for"]) if "for" in element else None, scheme)


def _elements(field: str) -> list[dict[str, str]]:
    """The elements of one field line, by lower-case parameter. Raises ValueError."""
    elements: list[dict[str, str]] = [{}]
    place = 0
    while place < len(field):
        match = _PAIR.match(field, place)
        if match is None:
            raise ValueError("Forwarded is malformed")
        name, token, quoted, end = match.groups()
        if name is not None:
            if name.lower() in elements[-1]:
                raise ValueError(f"Forwarded says {name.lower()} twice")  # RFC 7239 §4
            elements[-1][name.lower()] = token if token is not None else re.sub(r"\\(.)", r"\1", quoted)
        if end == ",":
            elements.append({})
        place = match.end()
    return [element for element in elements if element]  # RFC 9110 §5.6.1: lists may have empty elements


def _x_forwarded(for_: Sequence[str], proto: Sequence[str]) -> Iterator[_Hop]:
    """There is no standard: one scheme speaks of the client, and as many as addresses speak of one each."""
    nodes, schemes = _list(for_), _list(proto)
    if not nodes and schemes:
        yield _Hop(None, _scheme(schemes[-1]))
    for index in range(len(nodes) - 1, -1, -1):
        scheme = None
        if schemes:
            scheme = _scheme(schemes[index if len(schemes) == len(nodes) else -1])
        yield _Hop(_node(nodes[index]), scheme)


def _list(fields: Sequence[str]) -> list[str]:
    return [item for item in (part.strip(" \t") for field in fields for part in field.split(",")) if item]


def _node(text: str) -> str | None:
    """The address in its canonical form; None for one that is hidden. Raises ValueError."""
    match = _NODE.fullmatch(text)
    # X-Forwarded-For has IPv6 addresses without brackets, too.
    address = text if match is None else match["six"] or match["four"]
    if address is None:
        return None
    if "%" in address:
        raise ValueError("a forwarded address has a zone")
    try:
        return str(addresses.parse(address))
    except ValueError:
        raise ValueError("a forwarded address is malformed") from None


def _scheme(text: str) -> Scheme:
    try:
        return _SCHEMES[text.lower()]
    except KeyError:
        raise ValueError("a forwarded scheme is neither http nor https") from None
