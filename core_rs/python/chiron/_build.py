"""In a checkout, refuse a compiled extension that is older than the Rust sources beside it."""

from __future__ import annotations

import hashlib
from pathlib import Path


def source_digest(crate: Path) -> str:
    """SHA-256 over the crate's sources; `core_rs/build.rs` computes the same and says what goes in."""
    files = [crate / "Cargo.toml", crate / "build.rs", *(crate / "src").rglob("*.rs")]
    digest = hashlib.sha256()
    for name, path in sorted((path.relative_to(crate).as_posix(), path) for path in files):
        content = path.read_bytes()
        digest.update(name.encode() + b"\0" + len(content).to_bytes(8, "little") + content)
    return digest.hexdigest()


def refuse_stale_extension() -> None:
    """Raise ImportError when the extension was built from other sources. Does nothing in an installed wheel."""
    crate = Path(__file__).resolve().parents[2]
    if not (crate / "build.rs").is_file():
        return
    try:
        from chiron import _core
    except ImportError as error:
        raise ImportError("chiron's Rust extension is not built; run `make setup`") from error
    if source_digest(crate) != _core.SOURCE_DIGEST:
        raise ImportError("chiron's Rust extension is older than its sources; run `make setup` to rebuild it")
