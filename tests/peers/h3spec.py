"""`docs/h3spec.md`, made of the names of the tests that restate h3spec, and of what they say an engine does instead."""

from __future__ import annotations

import ast
import re
from pathlib import Path

CONFORMANCE = Path(__file__).parents[1] / "conformance"
PAGE = Path(__file__).parents[2] / "docs" / "h3spec.md"
ENGINES = ("native", "aioquic")

_NAME = re.compile(r"test_rfc(?P<rfc>\d+)_(?P<section>\d+(?:_\d+)*)_(?P<case>.+)")

HEAD = """# h3spec

[h3spec](https://github.com/kazu-yamamoto/h3spec) tells a server of HTTP/3 what no client may do, and looks whether it
minds. Its cases are tests here: those of QUIC run on both engines, those of HTTP/3 and QPACK on the one implementation
that stands on either. Each passes with every change, but for those that say what happens instead.

## QUIC (`pytest tests/conformance/test_h3spec_transport.py`)

| clause | what a client does wrong | native | aioquic |
|---|---|---|---|
"""

HTTP3 = """
## HTTP/3 and QPACK (`pytest tests/conformance/test_h3spec_http3.py`)

| clause | what a client does wrong, and what it is told |
|---|---|
"""

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


def deviations(module: ast.Module) -> dict[tuple[str, str], str]:
    """What the module's `DEVIATIONS` says."""
    for node in module.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "DEVIATIONS":
            assert node.value is not None
            said: dict[tuple[str, str], str] = ast.literal_eval(node.value)
            return said
    raise LookupError("no DEVIATIONS")


def page() -> str:
    transport, http3 = (
        ast.parse((CONFORMANCE / name).read_text()) for name in ("test_h3spec_transport.py", "test_h3spec_http3.py")
    )
    otherwise = deviations(transport)
    rows = [
        f"| {clause} | {case} | {' | '.join(otherwise.get((engine, test), 'refused') for engine in ENGINES)} |\n"
        for test, clause, case in cases(transport)
    ]
    return HEAD + "".join(rows) + HTTP3 + "".join(f"| {clause} | {case} |\n" for _, clause, case in cases(http3)) + FOOT


if __name__ == "__main__":
    print(page(), end="")
