"""Make the Unicode tables of the normaliser, for Rust and for the Python reference, from one source.

    python -m training.tables CONFUSABLES SCRIPTS

`CONFUSABLES` is Unicode's security/confusables.txt (UTS 39), `SCRIPTS` its UCD Scripts.txt; both may be newer than 14,
only code points that Unicode 14 assigned are taken. Categories, names and case folding come from `unicodedata`, so
this runs on CPython 3.11 alone, which has Unicode 14. Also the words of
`reference.vocabulary` go to Rust. Writes training/reference/unicode.json and
core_rs/src/score/normalise/tables.rs; both are in the repository, so nobody needs to run this but to change a rule.
"""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from itertools import groupby
from pathlib import Path
from typing import Final

from .reference import classes
from .reference.vocabulary import DOMAINS, NAMES, UNITS, WORDY

VERSION: Final = "14.0.0"
ROOT: Final = Path(__file__).resolve().parent.parent

# Alphabets that have letters in the likeness of Latin ones and are rarely in the same text: a word wholly of such
# look-alikes may be folded. Scripts of everyday text (Arabic, Hebrew, Indic, Thai, Han, kana, hangul) are not among
# them: there only letters inside a Latin word are folded.
LOOKALIKE: Final = frozenset(
    """
    Armenian Canadian_Aboriginal Carian Cherokee Coptic Deseret Elbasan Glagolitic Gothic Lisu Lycian Lydian
    Medefaidrin Old_Italic Old_Permic Osage Runic Tifinagh Warang_Citi
    """.split()  # noqa: SIM905
)
# Never folded: their confusables are pieces of each other, not Latin letters.
NEVER: Final = frozenset(("Han", "Hiragana", "Katakana", "Hangul", "Bopomofo"))

# Default_Ignorable_Code_Point that are not of category Cf: joiner, fillers, inherent vowels, variation selectors.
FILLERS: Final = frozenset([0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0, 0x2065])
SELECTORS: Final = frozenset(
    [*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0000, 0xE1000), *range(0xFFF0, 0xFFF9)]
)
# Letters in squares and discs that NFKC leaves alone.
ENCLOSED: Final = frozenset([*range(0x1F150, 0x1F16A), *range(0x1F170, 0x1F18A)])
BLANK: Final = 0x2800
# Letters that are used for the likeness although UTS 39 pairs them otherwise, or with nothing.
LIKENESS: Final = {"м": "m", "β": "b", "ε": "e", "χ": "x", "ω": "w"}


def scripts(path: Path) -> dict[int, str]:
    """Script of each code point, from UCD Scripts.txt."""
    found: dict[int, str] = {}
    for line in path.read_text("utf-8").splitlines():
        if match := re.match(r"([0-9A-F]+)(?:\.\.([0-9A-F]+))?\s*;\s*(\w+)", line):
            first, last = int(match[1], 16), int(match[2] or match[1], 16)
            found.update(dict.fromkeys(range(first, last + 1), match[3]))
    return found


def class_of(code: int, script: dict[int, str]) -> int:
    """The class that the rules of the normaliser speak of."""
    category = unicodedata.category(chr(code))
    if category == "Cf" or code in FILLERS or code in SELECTORS:
        return classes.IGNORED
    if code in ENCLOSED:
        return classes.ENCLOSED
    if category in ("Cn", "Cs", "Co"):
        return classes.OPAQUE
    if category[0] == "Z" or code in (*range(0x09, 0x0E), *range(0x1C, 0x20), 0x85, BLANK):
        return classes.SPACE
    if category == "Cc":
        return classes.IGNORED
    if category in ("Mn", "Me"):
        return classes.MARK
    if category == "Mc":
        return classes.SPACING
    if category == "Nd":
        return classes.DIGIT
    if category[0] == "L" or category in ("Nl", "No"):
        name = script.get(code, "Unknown")
        if name == "Latin":
            return classes.LATIN
        if name in ("Greek", "Cyrillic"):
            return classes.GREEK_CYRILLIC
        return classes.LOOKALIKE if name in LOOKALIKE else classes.OTHER
    return classes.SYMBOL


def named(code: int) -> str | None:
    """The Latin letter that a letter is a variant of by its name: … LETTER O WITH STROKE, … SMALL CAPITAL B."""
    name = unicodedata.name(chr(code), "")
    if match := re.fullmatch(
        r"LATIN (?:SMALL|CAPITAL) LETTER (?:DOTLESS |TURNED |REVERSED |SCRIPT |LONG )?([A-Z])(?: WITH .+)?", name
    ):
        return match[1].lower()
    if match := re.fullmatch(r"LATIN LETTER SMALL CAPITAL (?:TURNED |REVERSED |INVERTED )?([A-Z])", name):
        return match[1].lower()
    if match := re.fullmatch(r"NEGATIVE (?:CIRCLED|SQUARED) LATIN CAPITAL LETTER ([A-Z])", name):
        return match[1].lower()
    return "k" if code == 0x138 else None  # KRA


def folds(path: Path, kind: list[int], script: dict[int, str]) -> dict[int, str]:
    """Letters that look like one ASCII letter or digit, and it, in lower case."""
    table: dict[int, str] = {}
    letters = (classes.LATIN, classes.GREEK_CYRILLIC, classes.LOOKALIKE, classes.OTHER, classes.ENCLOSED)
    for line in path.read_text("utf-8-sig").splitlines():
        match = re.match(r"([0-9A-F]+) ;\t([0-9A-F]+) ;\tMA", line)
        if match is None:
            continue
        source, target = int(match[1], 16), chr(int(match[2], 16))
        if source < 0x80 or kind[source] not in letters or script.get(source) in NEVER:
            continue
        if not (target.isascii() and target.isalnum()):
            target = named(ord(target)) or ""
        # The table joins I, l and 1: of those a capital is an I.
        if target == "l" and unicodedata.category(chr(source)) in ("Lu", "Lt"):
            target = "i"
        if target:
            table[source] = target.lower()
    for code in range(0x80, 0x110000):
        if kind[code] in (classes.LATIN, classes.ENCLOSED) and (letter := named(code)):
            table[code] = letter
    table.update((ord(letter), target) for letter, target in LIKENESS.items())
    # A capital without an entry is taken for its small letter. What NFKC takes apart never comes here.
    for code in range(0x80, 0x110000):
        if kind[code] in letters and code not in table:
            small = chr(code).casefold()
            if len(small) == 1 and ord(small) in table and ord(small) != code:
                table[code] = table[ord(small)]
    return {code: table[code] for code in sorted(table) if unicodedata.normalize("NFKD", chr(code)) == chr(code)}


def joining() -> list[int]:
    """Code points that may compose with what is before them, or whose decomposition begins with a non-starter: no
    segment of NFKC begins there (as NFC_Quick_Check and NFKC_Quick_Check tell, UAX 15)."""
    seconds: set[str] = set()
    for code in range(0x110000):
        parts = unicodedata.decomposition(chr(code)).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            seconds.add(chr(int(parts[1], 16)))
    found = []
    for code in range(0x110000):
        if unicodedata.category(chr(code)) == "Cs":
            continue
        first = unicodedata.normalize("NFKD", chr(code))[0]
        if (
            unicodedata.combining(first)
            or first in seconds
            or 0x1161 <= ord(first) <= 0x1175
            or 0x11A8 <= ord(first) <= 0x11C2
        ):
            found.append(code)
    return found


def ranges(codes: list[int]) -> list[tuple[int, int]]:
    """Sorted code points as inclusive ranges."""
    result = []
    for _, group in groupby(enumerate(codes), lambda pair: pair[1] - pair[0]):
        run = [code for _, code in group]
        result.append((run[0], run[-1]))
    return result


def escaped(text: str) -> str:
    """A Rust string literal's inside."""
    return "".join(f"\\u{{{ord(letter):x}}}" for letter in text)


def main(arguments: list[str]) -> None:
    if unicodedata.unidata_version != VERSION:
        raise SystemExit(
            f"unicodedata is of Unicode {unicodedata.unidata_version}, the tables of {VERSION}: run CPython 3.11"
        )
    confusables, script = Path(arguments[0]), scripts(Path(arguments[1]))
    kind = [class_of(code, script) for code in range(0x110000)]
    spans = []
    for value, group in groupby(range(0x110000), kind.__getitem__):
        run = list(group)
        if value != classes.OPAQUE:
            spans.append((run[0], run[-1], value))
    fold = folds(confusables, kind, script)
    case = {
        code: chr(code).casefold()
        for code in range(0x80, 0x110000)
        if kind[code] not in (classes.OPAQUE, classes.MARK) and chr(code).casefold() != chr(code)
    }
    zeros = [
        code for code in range(0x80, 0x110000) if kind[code] == classes.DIGIT and unicodedata.digit(chr(code)) == 0
    ]
    version = re.search(r"# Version: (\S+)", confusables.read_text("utf-8-sig"))
    assert version
    joins = ranges(joining())
    (ROOT / "training/reference/unicode.json").write_text(
        json.dumps(
            {
                "unicode": VERSION,
                "confusables": version[1],
                "classes": [list(span) for span in spans],
                "joins": [list(span) for span in joins],
                "zeros": zeros,
                "folds": {f"{code:x}": target for code, target in fold.items()},
            },
            separators=(",", ":"),
        ).replace("],[", "],\n[")
        + "\n"
    )
    lines = [
        "//! Made by `python -m training.tables` from Unicode 14 and UTS 39's confusables "
        f"{version[1]} (© Unicode, Inc., Unicode-3.0); not to be edited.",
        "",
        "/// Runs of code points of one class: first, last (inclusive), class. What lies between is `class::OPAQUE`.",
        f"pub(super) static CLASSES: [(u32, u32, u8); {len(spans)}] = [",
        *(f"(0x{a:x}, 0x{b:x}, {c})," for a, b, c in spans),
        "];",
        "",
        "/// Code points at which no segment of NFKC begins, as inclusive ranges.",
        f"pub(super) static JOINS: [(u32, u32); {len(joins)}] = [",
        *(f"(0x{a:x}, 0x{b:x})," for a, b in joins),
        "];",
        "",
        "/// The zero of each run of ten decimal digits beyond ASCII.",
        f"pub(super) static ZEROS: [u32; {len(zeros)}] = [",
        *(f"0x{code:x}," for code in zeros),
        "];",
        "",
        "/// Letters that look like one ASCII letter or digit.",
        f"pub(super) static FOLDS: [(u32, u8); {len(fold)}] = [",
        *(f"(0x{code:x}, b'{target}')," for code, target in fold.items()),
        "];",
        "",
        "/// Full case folding (CaseFolding.txt, statuses C and F) beyond ASCII.",
        f"pub(super) static CASES: [(u32, &str); {len(case)}] = [",
        *(f'(0x{code:x}, "{escaped(target)}"),' for code, target in case.items()),
        "];",
        "",
    ]
    lists = (("DOMAINS", DOMAINS), ("WORDY", WORDY), ("UNITS", UNITS), ("NAMES", NAMES))
    for title, listed in lists:
        lines += [
            f"/// `vocabulary.{title}`, sorted.",
            f"pub(super) static {title}: [&str; {len(listed)}] = [",
            *(f'"{entry}",' for entry in sorted(listed)),
            "];",
            "",
        ]
    (ROOT / "core_rs/src/score/normalise/tables.rs").write_text("\n".join(lines))
    print(f"{len(spans)} runs of classes, {len(joins)} of joins, {len(fold)} folds, {len(case)} cases")


if __name__ == "__main__":
    main(sys.argv[1:])
