"""Other people's words on a terminal: shown as they are, but for what would move the cursor or turn the text around."""

from __future__ import annotations

import unicodedata

REPLACEMENT = "�"
JOINERS = "\u00ad\u061c\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
"""Format characters that stay: emoji and several scripts need them, and they act on their neighbours alone."""
TAGS = range(0xE0020, 0xE0080)
"""Unicode's tags: the flags of Scotland and Wales are spelled with them."""


def printable(text: str, indent: str = "") -> str:
    """`text` without control characters (ECMA-48), line separators, surrogates and marks of bidirectional embedding.

    Lines after the first begin with `indent`, so that nobody's message can look like somebody else's.
    """
    return f"\n{indent}".join("".join(map(_shown, line)) for line in text.split("\n"))


def one_line(text: str) -> str:
    """The same for what is a single line, such as a name."""
    return printable(" ".join(text.split("\n")))


def _shown(character: str) -> str:
    match unicodedata.category(character):
        case "Cc" | "Cs" | "Zl" | "Zp":
            return " " if character == "\t" else REPLACEMENT
        case "Cf" if character not in JOINERS and ord(character) not in TAGS:
            return REPLACEMENT
    return character
