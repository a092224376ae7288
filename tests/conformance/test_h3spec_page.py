"""The page about h3spec says what its tests say."""

from __future__ import annotations

import h3spec


def test_the_page_is_made_of_the_tests() -> None:
    assert h3spec.PAGE.read_text() == h3spec.page(), "run: make docs"
