"""Classes of code points that the rules of the normaliser speak of: numbers in unicode.json and in Rust's tables."""

from __future__ import annotations

from typing import Final

OPAQUE: Final = 0
"""Not assigned in Unicode 14, or for private use: copied, a symbol."""
LATIN: Final = 1
GREEK_CYRILLIC: Final = 2
LOOKALIKE: Final = 3
"""Letters of other alphabets that hold look-alikes of Latin letters."""
OTHER: Final = 4
"""Letters and numbers of all other scripts, and of none."""
DIGIT: Final = 5
MARK: Final = 6
"""Mn and Me."""
SPACING: Final = 7
"""Mc."""
SPACE: Final = 8
IGNORED: Final = 9
"""Format and control characters, variation selectors, fillers: dropped."""
SYMBOL: Final = 10
ENCLOSED: Final = 11
"""Latin letters in squares and discs: symbols, but letters inside a word."""
