"""From method and path to a route: a tree of path segments with typed places."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias
from urllib.parse import unquote_to_bytes
from uuid import UUID

import msgspec

from chiron.errors import Refused
from chiron.server.ports import Route

_PLACE = re.compile(r"\{([a-z_]+):([a-z]+)\}")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def _uuid(text: str) -> UUID | None:
    return UUID(text) if _UUID.fullmatch(text) else None


def _int(text: str) -> int | None:
    """Canonical decimal within the 53 bits that every client can hold."""
    if not text.isascii() or not text.isdecimal() or (text[0] == "0" and text != "0") or len(text) > 16:
        return None
    value = int(text)
    return value if value < 1 << 53 else None


def _str(text: str) -> str | None:
    return text or None


_TYPES: dict[str, Callable[[str], Any]] = {"uuid": _uuid, "int": _int, "str": _str}


@dataclass(slots=True)
class _Node:
    fixed: dict[str, _Node] = field(default_factory=dict)
    places: dict[tuple[str, str], _Node] = field(default_factory=dict)
    """By (name, type)."""
    routes: dict[str, Route] = field(default_factory=dict)
    """By method."""


class Match(msgspec.Struct, frozen=True):
    route: Route
    params: Mapping[str, Any]
    plain: bool
    """It reads only, and nothing is to be checked or decoded once it is known who asks."""

    @classmethod
    def of(cls, route: Route, params: Mapping[str, Any]) -> Match:
        rule = route.rule
        guarded = rule.verified or rule.check is not None or route.body is not None or route.query is not None
        return cls(route, params, route.method == "GET" and not guarded)


Found: TypeAlias = tuple[dict[str, Route], dict[str, Any]]


class Router:
    """Fixed segments win over typed places; HEAD is answered by the GET route (RFC 9110 §9.3.2)."""

    def __init__(self, routes: Iterable[Route]) -> None:
        """Raises ValueError for a path that cannot be read or is there twice."""
        self._root = _Node()
        self.literal: dict[tuple[str, str], Match] = {}
        """By method and path: routes without places, which need no search."""
        for route in routes:
            self._add(route)

    def match(self, method: str, path: str) -> Match:
        """`path` is the request target up to `?`, as sent. Raises Refused: not_found, or method with `allowed`."""
        wanted = "GET" if method == "HEAD" else method
        literal = self.literal.get((wanted, path))
        if literal is not None:
            return literal
        found = self._find(path)
        for routes, params in found:
            route = routes.get(wanted)
            if route is not None:
                return Match.of(route, params)
        raise Refused("method", method=method[:20], allowed=", ".join(_allowed(found)))

    def options(self, path: str) -> tuple[str, list[str]]:
        """The template of a path (of the most literal one that fits) and its methods. Raises Refused not_found."""
        found = self._find(path)
        return next(iter(found[0][0].values())).path, _allowed(found)

    def _find(self, path: str) -> list[Found]:
        found = list(_walk(self._root, _segments(path), {}))
        if not found:
            raise Refused("not_found", what="address")
        return found

    def _add(self, route: Route) -> None:
        if not route.path.startswith("/"):
            raise ValueError(f"the path {route.path!r} does not begin with a slash")
        node = self._root
        names: set[str] = set()
        for segment in route.path[1:].split("/"):
            place = _PLACE.fullmatch(segment)
            if place is None:
                if "{" in segment or "}" in segment:
                    raise ValueError(f"the path {route.path!r} has a place that cannot be read: {segment!r}")
                node = node.fixed.setdefault(segment, _Node())
                continue
            name, kind = place.groups()
            if kind not in _TYPES or name in names:
                raise ValueError(f"the path {route.path!r} has a bad place: {segment!r}")
            names.add(name)
            node = node.places.setdefault((name, kind), _Node())
        if node.routes.setdefault(route.method, route) is not route:
            raise ValueError(f"{route.method} {route.path} is there twice")
        if not names:
            self.literal[route.method, route.path] = Match.of(route, MappingProxyType({}))


def _walk(node: _Node, segments: list[str], params: dict[str, Any]) -> Iterable[Found]:
    """Every set of routes whose path fits, the most literal first."""
    if not segments:
        if node.routes:
            yield node.routes, params
        return
    first, rest = segments[0], segments[1:]
    fixed = node.fixed.get(first)
    if fixed is not None:
        yield from _walk(fixed, rest, params)
    for (name, kind), child in node.places.items():
        value = _TYPES[kind](first)
        if value is not None:
            yield from _walk(child, rest, {**params, name: value})


def _allowed(found: Iterable[Found]) -> list[str]:
    """For `Allow` (RFC 9110 §10.2.1)."""
    methods = {name for routes, _ in found for name in routes} | {"OPTIONS"}
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)


def _segments(path: str) -> list[str]:
    """Percent-decode each segment after cutting (RFC 3986 §2.4), so that `%2F` is never a separator."""
    decoded: list[str] = []
    for segment in path.removeprefix("/").split("/"):
        if "%" not in segment:
            decoded.append(segment)
            continue
        if _ESCAPE.search(segment):
            raise Refused("bad_request", reason="the address has a broken escape")
        try:
            text = unquote_to_bytes(segment).decode("utf-8")
        except UnicodeDecodeError:
            raise Refused("bad_request", reason="the address is not UTF-8") from None
        if "\0" in text:
            raise Refused("bad_request", reason="the address contains NUL")
        decoded.append(text)
    return decoded
