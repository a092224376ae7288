"""What clients that were written by others do with a whole server (tests/peers/foreign.py)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import foreign
import pytest
from foreign import CASES, Case, Place


@pytest.fixture(scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    async with foreign.place(tmp_path_factory.mktemp("foreign")) as place:
        yield place


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_client(place: Place, case: Case) -> None:
    if not foreign.is_here(case):
        pytest.skip(f"{case.needs} is not installed")
    await case.run(place)


def test_the_page_in_docs_lists_what_is_tested() -> None:
    page = Path(__file__).parents[2] / "docs" / "foreign-clients.md"
    assert page.read_text() == foreign.page(), "run: make docs"
