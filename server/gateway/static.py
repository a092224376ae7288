"""The built page: read once into memory, so that what is not in the build cannot be reached."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from chiron.server.gateway.negotiation import IDENTITY, coding
from chiron.server.ports import Request, Response

_TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "json": "application/json",
    "map": "application/json",
    "webmanifest": "application/manifest+json",
    "svg": "image/svg+xml",
    "png": "image/png",
    "ico": "image/x-icon",
    "webp": "image/webp",
    "woff2": "font/woff2",
    "txt": "text/plain; charset=utf-8",
}
_COMPRESSIBLE = frozenset({"html", "js", "css", "json", "map", "webmanifest", "svg", "ico", "txt"})
_HASHED = re.compile(r"-[A-Za-z0-9_-]{8,}\.[a-z0-9]+(?:\.map)?$")
"""Vite puts the hash of the content into the name: such a file never changes."""


def page_policy(connections: Iterable[str] = ()) -> str:
    """Content-Security-Policy (level 3) of pages: nothing from elsewhere, nothing inline. `connections`: origins that
    they may connect to besides their own."""
    return "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "font-src 'self'",
            " ".join(["connect-src 'self'", *connections]),
            "manifest-src 'self'",
            "worker-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        ]
    )


_MISSING = b"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Chiron</title></head><body>
<h1>The page is not built</h1>
<p>The server is running, but this installation has no browser client. In a checkout, build it with
<code>make web</code> and start the server again.</p>
</body></html>
"""


@dataclass(frozen=True, slots=True)
class File:
    """Content that is the same for everybody, compressed once."""

    codings: dict[str, tuple[bytes, str]]
    """Content and entity tag by content coding; `identity` is always there (RFC 9110 §8.8.3.3: a tag for each)."""
    type: str
    immutable: bool

    @property
    def compressed(self) -> list[str]:
        return [name for name in self.codings if name != IDENTITY]

    @classmethod
    def of(cls, name: str, body: bytes) -> File:
        """The ending of the name tells type and whether to compress, a hash in it that it never changes."""
        ending = name.rpartition(".")[2].lower()
        tag = hashlib.sha256(body).hexdigest()[:32]
        codings = {IDENTITY: (body, f'"{tag}"')}
        if ending in _COMPRESSIBLE:
            small = gzip.compress(body, 9, mtime=0)
            if len(small) < len(body):
                codings["gzip"] = (small, f'"{tag}-gzip"')
        return cls(
            codings=codings,
            type=_TYPES.get(ending, "application/octet-stream"),
            immutable=_HASHED.search(name) is not None,
        )

    def respond(self, request: Request, policy: str = page_policy()) -> Response:
        """To a GET or HEAD, conditional (RFC 9110 §13.1.2) and in the coding that the client prefers."""
        caching = "public, max-age=31536000, immutable" if self.immutable else "no-cache"
        chosen = coding(request, self.compressed)
        body, etag = self.codings[chosen]
        headers = [*_headers(self.type, caching, policy), ("etag", etag)]
        if self.compressed:
            headers.append(("vary", "accept-encoding"))
        if _matches(request.header("if-none-match"), etag):
            return Response(304, b"", headers)
        if chosen != IDENTITY:
            headers.append(("content-encoding", chosen))
        return Response(200, body, headers)


class Pages:
    """`index.html` at `/`, every other file under its own path, compressed once when it is read.

    There is no Last-Modified: a wheel's files have the time of their installation, which differs between the machines
    of one service, while the entity tag is the content's own.
    """

    def __init__(
        self, root: Traversable | None = None, *, connections: Callable[[Request], Iterable[str]] = lambda _: ()
    ) -> None:
        """`root`: the folder of the build; by default the one in the package. `connections`: origins that a page may
        connect to besides its own, by the request for it.
        """
        self._connections = connections
        root = root if root is not None else files("chiron") / "_web"
        self._files = (
            {f"/{path}": File.of(path, file.read_bytes()) for path, file in _walk(root)} if root.is_dir() else {}
        )
        self.built = "/index.html" in self._files

    def respond(self, request: Request) -> Response | None:
        """The file that a GET or HEAD asks for; None when there is none of that name."""
        path = request.target.partition("?")[0]
        if path in ("/", "/index.html"):
            return self.page(request, "/index.html")
        file = self._files.get(path)
        return None if file is None else self._answer(file, request)

    def has(self, path: str) -> bool:
        """Whether there is a file of that name."""
        return path == "/" or path in self._files

    def page(self, request: Request, name: str) -> Response:
        """A page by the name of its file, or how to build it."""
        file = self._files.get(name)
        if file is None:
            return Response(503, _MISSING, _headers(_TYPES["html"], "no-store", page_policy()))
        return self._answer(file, request)

    def _answer(self, file: File, request: Request) -> Response:
        return file.respond(request, page_policy(self._connections(request)))


def _headers(type: str, caching: str, policy: str) -> list[tuple[str, str]]:
    return [("content-type", type), ("cache-control", caching), ("content-security-policy", policy)]


def _matches(condition: str | None, etag: str) -> bool:
    """RFC 9110 §13.1.2: a list of tags, compared weakly."""
    if condition is None:
        return False
    return any(tag.strip().removeprefix("W/") in (etag, "*") for tag in condition.split(","))


def _walk(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        else:
            yield prefix + entry.name, entry
