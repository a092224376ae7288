"""How people write round a filter: one function for each kind, used to train (copies) and to measure (recall)."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Final

_WORD = re.compile(r"[^\W\d_]{3,}")
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"

# Look-alikes of UTS 39 in Cyrillic, Greek, Armenian, Cherokee and other letters.
HOMOGLYPHS: Final = {
    "a": "аɑα", "b": "ЬƄ", "c": "сϲ", "d": "ԁ", "e": "еҽ", "g": "ɡց", "h": "һ", "i": "іӏ", "j": "јϳ",
    "k": "κк", "l": "ӏⅼ", "m": "ⅿ", "n": "ող", "o": "оοօ", "p": "рρ", "q": "ԛ", "r": "г", "s": "ѕ", "u": "սυ",
    "v": "ѵν", "w": "ԝ", "x": "хχ", "y": "уγ", "z": "ᴢ",
}  # fmt: skip
LEET: Final = {"a": "4@", "e": "3", "i": "1!", "o": "0", "s": "5$", "t": "7"}
INVISIBLE: Final = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u202c\u180e"
MARKS: Final = "\u0300\u0301\u0302\u0303\u0308\u030a\u0327\u0332\u0336\u0338"

Kind = Callable[[str, random.Random], str]


def _words(text: str, source: random.Random, share: float, change: Callable[[str], str]) -> str:
    """`text` with a share of its words of three letters and more changed; links and mentions are left alone."""
    kept = [(match.start(), match.end()) for match in re.finditer(r"\S*(?:://|www\.)\S*|@\w+|&\S+;", text)]

    def replace(match: re.Match[str]) -> str:
        inside = any(start <= match.start() < end for start, end in kept)
        return match[0] if inside or source.random() >= share else change(match[0])

    return _WORD.sub(replace, text)


def homoglyph(text: str, source: random.Random) -> str:
    """Some letters of each word by look-alikes of other scripts."""

    def change(word: str) -> str:
        able = [at for at, letter in enumerate(word) if letter in HOMOGLYPHS]
        chosen = {at for at in able if source.random() < 0.4} or set(able[:1])
        return "".join(source.choice(HOMOGLYPHS[c]) if at in chosen else c for at, c in enumerate(word))

    return _words(text, source, 0.8, change)


def zero_width(text: str, source: random.Random) -> str:
    """Invisible characters between letters."""

    def change(word: str) -> str:
        at = source.randrange(1, len(word))
        pieces = [
            c + (source.choice(INVISIBLE) if i + 1 == at or source.random() < 0.3 else "") for i, c in enumerate(word)
        ]
        return "".join(pieces)

    return _words(text, source, 0.8, change)


def leet(text: str, source: random.Random) -> str:
    """Digits and signs for letters, never more of them than letters."""

    def change(word: str) -> str:
        able = [at for at, letter in enumerate(word) if letter.lower() in LEET]
        source.shuffle(able)
        chosen = set(able[: max(1, min(len(word) // 2, source.randint(1, 3)))])
        return "".join(source.choice(LEET[c.lower()]) if at in chosen else c for at, c in enumerate(word))

    return _words(text, source, 0.7, change)


def repeats(text: str, source: random.Random) -> str:
    """One letter of a word drawn out."""

    def change(word: str) -> str:
        at = source.randrange(len(word))
        return word[:at] + word[at] * source.randint(3, 6) + word[at + 1 :]

    return _words(text, source, 0.7, change)


def spacing(text: str, source: random.Random) -> str:
    """Some words with something between their letters, not two in a row."""
    words = text.split(" ")
    before = False
    for at, word in enumerate(words):
        plain = word.isalpha() and word.isascii() and len(word) >= 4
        before = plain and not before and source.random() < 0.6
        if before:
            words[at] = source.choice((" ", " ", ".", "-", "_", "*")).join(word)
    return " ".join(words)


def spaced_text(text: str, source: random.Random) -> str:
    """Every letter apart, and words further apart."""
    return "   ".join(" ".join(word) if word.isalpha() and len(word) < 20 else word for word in text.split(" "))


def diacritics(text: str, source: random.Random) -> str:
    """Combining marks on letters."""
    return _words(
        text,
        source,
        0.8,
        lambda word: "".join(c + (source.choice(MARKS) if source.random() < 0.5 else "") for c in word),
    )


def fullwidth(text: str, source: random.Random) -> str:
    """Full-width or mathematical letters, which NFKC folds."""
    first = source.choice((0xFF41, 0x1D41A, 0x1D586, 0x1D4D0 + 26, 0x1D68A))
    return _words(
        text, source, 0.8, lambda word: "".join(chr(first + ord(c) - 97) if c in _LETTERS else c for c in word.lower())
    )


def masked(text: str, source: random.Random) -> str:
    """A vowel of a word by an asterisk or another sign."""

    def change(word: str) -> str:
        able = [at for at, letter in enumerate(word[1:-1], 1) if letter.lower() in "aeiou"]
        if not able:
            return word
        at = source.choice(able)
        return word[:at] + source.choice("***#") + word[at + 1 :]

    return _words(text, source, 0.5, change)


def typing(text: str, source: random.Random) -> str:
    """Two neighbouring letters swapped, or one left out, inside longer words."""

    def change(word: str) -> str:
        if len(word) < 5:
            return word
        at = source.randrange(1, len(word) - 2)
        return word[:at] + (word[at + 1] + word[at] if source.random() < 0.5 else "") + word[at + 2 :]

    return _words(text, source, 0.4, change)


def encoded(text: str, source: random.Random) -> str:
    """Percent-encoded letters, or HTML entities."""
    form = source.choice(("%{:02X}", "&#{};", "&#x{:x};"))
    return _words(
        text,
        source,
        0.5,
        lambda word: "".join(form.format(ord(c)) if c.isascii() and source.random() < 0.5 else c for c in word),
    )


def casing(text: str, source: random.Random) -> str:
    """Random capitals."""
    return "".join(c.upper() if source.random() < 0.5 else c for c in text)


KINDS: Final[dict[str, Kind]] = {
    kind.__name__: kind
    for kind in (
        homoglyph,
        zero_width,
        leet,
        repeats,
        spacing,
        spaced_text,
        diacritics,
        fullwidth,
        masked,
        typing,
        encoded,
        casing,
    )
}
