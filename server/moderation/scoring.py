"""The scorer of a process, and the files that it is made of: they may change while it is used."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import structlog

from chiron._core import Explanation, Score, Scorer

WEIGHTS = Path(__file__).parent / "weights"
"""What is shipped: `model.bin`, `terms.tsv`, `allow.txt`."""

T = TypeVar("T")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sources:
    """Where model and lists are read from. `terms` and `allow` come on top of those that are shipped."""

    model: Path | None = None
    """None: the one that is shipped."""
    terms: tuple[Path, ...] = ()
    allow: tuple[Path, ...] = ()
    shipped_terms: bool = True

    @property
    def own(self) -> tuple[Path, ...]:
        """Files of the operator's."""
        return (*(() if self.model is None else (self.model,)), *self.terms, *self.allow)

    def fingerprint(self) -> str:
        """Changes with what the operator's files hold; one that cannot be read counts as another."""
        digest = hashlib.sha256()
        for path in self.own:
            try:
                content = path.read_bytes()
            except OSError as error:
                content = repr(error.errno).encode()
            digest.update(hashlib.sha256(content).digest())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Content:
    """What sources hold."""

    model: bytes
    terms: bytes
    allow: bytes

    @classmethod
    def read(cls, sources: Sources) -> Content:
        """Raises ValueError that names the file."""
        lists = {
            "terms.tsv": (*((WEIGHTS / "terms.tsv",) if sources.shipped_terms else ()), *sources.terms),
            "allow.txt": (WEIGHTS / "allow.txt", *sources.allow),
        }
        terms, allow = (b"\n".join(_read(path) for path in paths) for paths in lists.values())
        return cls(_read(sources.model or WEIGHTS / "model.bin"), terms, allow)


class Scoring:
    """One `scorer` for everybody in the process, also for the hub. Whatever cannot be used is refused, and what was
    used before goes on."""

    def __init__(self, sources: Sources) -> None:
        """Raises ValueError that names the file, and says what is wrong."""
        self._content = Content.read(sources)
        self.scorer = _made(sources, self._content)
        self.calls = 0
        """Texts that were scored or explained here: those of links are scored where they are read."""
        self.seconds = 0.0
        """Spent on them."""

    def score(self, text: str) -> Score:
        return self._timed(self.scorer.score, text)

    def explain(self, text: str) -> Explanation:
        return self._timed(self.scorer.explain, text)

    def prepare(self, sources: Sources) -> Callable[[], None]:
        """Read again; what is returned swaps it in, and cannot fail. Raises ValueError, with everything as it was."""
        content = Content.read(sources)
        if content == self._content:
            return _nothing
        _made(sources, content)

        def swap() -> None:
            self.scorer.load(content.model, content.terms, content.allow)
            self._content = content
            log.info("scoring.reloaded", model=self.scorer.model)

        return swap

    def _timed(self, work: Callable[[str], T], text: str) -> T:
        began = time.perf_counter()
        try:
            return work(text)
        finally:
            self.calls += 1
            self.seconds += time.perf_counter() - began


def _made(sources: Sources, content: Content) -> Scorer:
    """Raises ValueError that names the file at fault where it is the operator's."""
    try:
        return Scorer(content.model, content.terms, content.allow)
    except ValueError as error:
        for path in sources.own:
            alone = Content(content.model, b"", b"")
            if path in sources.terms:
                alone = Content(_read(WEIGHTS / "model.bin"), _read(path), b"")
            elif path in sources.allow:
                alone = Content(_read(WEIGHTS / "model.bin"), b"", _read(path))
            try:
                Scorer(alone.model, alone.terms, alone.allow)
            except ValueError as reason:
                raise ValueError(f"{path}: {reason}") from error
        raise


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error


def _nothing() -> None:
    pass
