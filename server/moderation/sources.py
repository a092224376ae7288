"""The files that a scorer is made of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"
"""What is shipped: `model.bin`, `terms.tsv`, `allow.txt`."""


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
        """Changes with what the operator's files hold; one that cannot be read counts as another. Empty without any."""
        if not self.own:
            return ""
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
    """What sources hold, as `_core.Scorer` takes it."""

    model: bytes
    terms: bytes
    allow: bytes

    @classmethod
    def read(cls, sources: Sources) -> Content:
        """Raises ValueError that names the file."""
        shipped = (WEIGHTS / "terms.tsv",) if sources.shipped_terms else ()
        return cls(
            read(sources.model or WEIGHTS / "model.bin"),
            _together((*shipped, *sources.terms)),
            _together((WEIGHTS / "allow.txt", *sources.allow)),
        )


def read(path: Path) -> bytes:
    """Raises ValueError that names the file."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error


def _together(paths: Iterable[Path]) -> bytes:
    return b"\n".join(map(read, paths))
