"""`docs/h3spec.md`, made of the names of the tests that restate h3spec, of where they run, and of what is otherwise."""

from __future__ import annotations

import ast
import re
from pathlib import Path

CONFORMANCE = Path(__file__).parents[1] / "conformance"
PAGE = Path(__file__).parents[2] / "docs" / "h3spec.md"

PLACES = ("native", "aioquic", "server")
"""Where each test runs: on an engine in memory, and against a server of another process."""
DEVIATIONS: dict[tuple[str, str], str] = {}
"""(place, test): what happens there instead of what the clause demands."""

_NAME = re.compile(r"test_rfc(?P<rfc>\d+)_(?P<section>\d+(?:_\d+)*)_(?P<case>.+)")

HEAD = """# h3spec

[h3spec](https://github.com/kazu-yamamoto/h3spec) tells a server of HTTP/3 what no client may do, and looks whether it
minds. Its cases are tests here, and each runs three times: in memory on the *native* engine of QUIC, in memory on that
of *aioquic*, and against a *server* that runs, which is `chiron serve` in a process of its own, over UDP. Each passes
with every change, but for those that say what happens instead.
"""

PARTS = (
    ("QUIC", "test_h3spec_transport.py", "what a client does wrong"),
    ("HTTP/3 and QPACK", "test_h3spec_http3.py", "what a client does wrong, and what it is told"),
)
"""What they are about, where they are, and what their names say."""

FOOT = """
The page is made of the tests by `make docs`.
"""


def cases(module: ast.Module) -> list[tuple[str, str, str]]:
    """(test, clause, case) of every test that names a clause."""
    found = []
    for node in module.body:
        if isinstance(node, ast.FunctionDef) and (match := _NAME.fullmatch(node.name)):
            clause = f"RFC {match['rfc']} §{match['section'].replace('_', '.')}"
            found.append((node.name, clause, match["case"].replace("_", " ")))
    return found


def table(name: str, says: str) -> str:
    """A row for every test of a file, and in it a cell for each place."""
    rows = [f"| clause | {says} | {' | '.join(PLACES)} |\n", "|---" * (2 + len(PLACES)) + "|\n"]
    for test, clause, case in cases(ast.parse((CONFORMANCE / name).read_text())):
        cells = [DEVIATIONS.get((place, test), "refused") for place in PLACES]
        rows.append(f"| {clause} | {case} | {' | '.join(cells)} |\n")
    return "".join(rows)


def page() -> str:
    parts = [f"\n## {about} (`pytest tests/conformance/{name}`)\n\n" + table(name, says) for about, name, says in PARTS]
    return HEAD + "".join(parts) + FOOT


if __name__ == "__main__":
    print(page(), end="")
