from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiron.client.text import one_line, printable


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "Grüße, naïve café — “quoted” … €",
        "« non-breaking\u00a0spaces »",
        "日本語　全角スペース",
        "שלום עולם",
        "नमस्ते",
        "👩‍🔬 👨‍👩‍👧 🏳️‍🌈",
        "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
        "zero\u200cwidth",
    ],
)
def test_what_people_write_is_shown_as_it_is(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2Jcleared", "�[2Jcleared"),
        ("\x9b2J", "�2J"),
        ("over\rwritten", "over�written"),
        ("bell\a", "bell�"),
        ("\x1b]0;title\x07", "�]0;title�"),
        ("back\b\b\b\bgone", "back����gone"),
        ("a\tb", "a b"),
        ("\u202eesrever", "�esrever"),
        ("\u2066isolated\u2069", "�isolated�"),
        ("\u2028separated", "�separated"),
        ("\udcff", "�"),
    ],
)
def test_what_would_act_on_the_terminal_is_replaced(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_further_lines_are_indented_so_that_none_looks_like_a_message() -> None:
    assert printable("first\n12:00 Bob: I never said that", "  ") == "first\n  12:00 Bob: I never said that"


def test_a_name_is_one_line() -> None:
    assert one_line("Ada\n12:00 Bob: hello\x1b") == "Ada 12:00 Bob: hello�"


@given(st.text())
def test_nothing_shown_moves_the_cursor(text: str) -> None:
    assert all(
        character == "\n" or unicodedata.category(character) not in ("Cc", "Cs") for character in printable(text)
    )
    assert "\n" not in one_line(text)
