"""What import-linter cannot see, since the extension is no Python source: who uses it."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
MAY = {
    "server/cli/token.py": {"Verifier"},
    "server/app.py": {"Hub", "Limiter", "Signer", "Tls", "Verifier"},
    "server/edge": {"Broken", "Data", "Ended", "Hub", "Message", "PeerClosed", "Quic", "Secured", "Tls", "Wheel"},
    "server/gateway": {"Admission", "Claims", "Limiter", "Verifier"},
    "server/realtime": {
        *{"Attach", "Command", "Connect", "Detach", "Frame", "Hub", "Malformed", "Pong", "Publish", "Refresh"},
        *{"Sync", "Watermark"},
    },
    "protocols/http3/heads.py": {"RequestHeads", "ResponseHeads"},
    "server/moderation": {"Explanation", "Score", "Scorer"},
}
"""The edge uses TLS, QUIC and WebSocket, realtime the hub and the wire, the gateway tokens (as the command that
looks into one) and limits, moderation the scorer, HTTP/3 heads; nobody else anything."""


def test_each_layer_uses_its_part_of_the_extension() -> None:
    strangers = []
    for folder in ("server", "protocols", "db", "client"):
        for path in sorted((PACKAGE / folder).rglob("*.py")):
            name = path.relative_to(PACKAGE).as_posix()
            allowed = next((names for place, names in MAY.items() if name.startswith(place)), set())
            strangers += [f"{name} uses {used}" for used in sorted(_used(path) - allowed)]
    assert strangers == []


def _used(path: Path) -> set[str]:
    used: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.ImportFrom(module="chiron._core", names=names):
                used |= {alias.name for alias in names}
            case ast.ImportFrom(module="chiron", names=names) if any(alias.name == "_core" for alias in names):
                used.add("all of it")
            case ast.Import(names=names) if any(alias.name == "chiron._core" for alias in names):
                used.add("all of it")
    return used
