"""The scorer of a process. What it is made of may change while it is used, by everybody who holds it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import structlog

from chiron._core import Explanation, Score, Scorer
from chiron.server.moderation.sources import WEIGHTS, Content, Sources, read

T = TypeVar("T")

log = structlog.get_logger(__name__)


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
        made = _made(sources, content)

        def swap() -> None:
            self.scorer.follow(made)
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
    """Raises ValueError that names the file at fault, where it is the operator's."""
    try:
        return Scorer(content.model, content.terms, content.allow)
    except ValueError as error:
        for path in sources.own:
            _try_alone(path, sources, error)
        raise


def _try_alone(path: Path, sources: Sources, error: ValueError) -> None:
    """The lines that errors name are of a list alone."""
    model = WEIGHTS / "model.bin" if path in (*sources.terms, *sources.allow) else path
    terms = read(path) if path in sources.terms else b""
    allow = read(path) if path in sources.allow else b""
    try:
        Scorer(read(model), terms, allow)
    except ValueError as reason:
        raise ValueError(f"{path}: {reason}") from error


def _nothing() -> None:
    pass
