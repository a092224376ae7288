"""Text as the lists, the model and the detectors read it: the specification, in plain Python.

`core_rs/src/score/normalise` does the same in the same order, to the character. Two strings come out, and each of their
characters knows the code points of the written text that it comes from:

* *folded*, for detectors: escapes decoded, NFKC, invisible characters and diacritics dropped, look-alikes folded to
  Latin, digits ASCII, case folded; links, mentions and white space as written.
* *plain*, for lists and the model: also links are `url`, mentions `auser`, leetspeak is read, letters that stood apart
  are joined, repeats cut to two, white space is one space between words and none at the ends.

Unicode is that of unicode.json, version 14: code points assigned later are opaque (copied, and nothing is said about
them), whatever Unicode the interpreter has. For assigned ones normal forms and case folding never change (UAX 15,
"Versioning"; Unicode's stability policies), so `unicodedata` may be used for them.
"""

from __future__ import annotations

import json
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal, NamedTuple

from . import classes
from .vocabulary import DOMAINS, NAMES, UNITS, WORDY

READ: Final = 16_384
"""Bytes of a text that are read."""
LOOK_BACK: Final = 256
"""Code points over which the end of a grapheme cluster is looked for; a longer cluster is cut."""

_TABLES: Final = json.loads((Path(__file__).parent / "unicode.json").read_text("utf-8"))
_FIRSTS: Final = [first for first, _, _ in _TABLES["classes"]]
_JOIN_FIRSTS: Final = [first for first, _ in _TABLES["joins"]]
FOLDS: Final[dict[str, str]] = {chr(int(code, 16)): target for code, target in _TABLES["folds"].items()}


@lru_cache(100_000)
def class_of(letter: str) -> int:
    """The class of a character (`classes`)."""
    code = ord(letter)
    index = bisect_right(_FIRSTS, code) - 1
    if index < 0:
        return classes.OPAQUE
    _, last, found = _TABLES["classes"][index]
    return int(found) if code <= last else classes.OPAQUE


@lru_cache(100_000)
def joins(letter: str) -> bool:
    """Whether a character may compose with, or be sorted among, what is before it."""
    index = bisect_right(_JOIN_FIRSTS, ord(letter)) - 1
    return index >= 0 and ord(letter) <= _TABLES["joins"][index][1] and class_of(letter) != classes.OPAQUE


_DIGITS: Final = {chr(zero + value): str(value) for zero in _TABLES["zeros"] for value in range(10)}

LETTERS: Final = frozenset([classes.LATIN, classes.GREEK_CYRILLIC, classes.LOOKALIKE, classes.OTHER])
WORD: Final = LETTERS | {classes.DIGIT, classes.MARK, classes.SPACING}
"""What words are made of."""


class Cell(NamedTuple):
    """A character and the code points of the written text (half-open) that it comes from."""

    letter: str
    start: int
    end: int


class Suspect(NamedTuple):
    """A part, in code points of the written text (half-open), that looks made to mislead a reader or a filter."""

    start: int
    end: int
    guise: Literal["invisible", "mixed_script"]


Kind = Literal["word", "spaced", "link", "mention", "symbol"]


class Word(NamedTuple):
    """A word or symbol of the plain text, in code points of it."""

    start: int
    end: int
    kind: Kind


@dataclass
class Normalised:
    folded: str
    folded_origins: list[tuple[int, int]]
    plain: str
    plain_origins: list[tuple[int, int]]
    words: list[Word]
    suspects: list[Suspect] = field(default_factory=list)
    cut: bool = False

    @property
    def suspicious(self) -> bool:
        """Whether an invisible suspect, or two of mixed script, were found."""
        mixed = sum(suspect.guise == "mixed_script" for suspect in self.suspects)
        return mixed >= 2 or len(self.suspects) > mixed

    def tokens(self) -> list[str]:
        """The words and symbols of the plain text: what the model reads."""
        return [self.plain[word.start : word.end] for word in self.words]


def normalise(text: str) -> Normalised:
    """The whole pipeline."""
    read = cut(text)
    grown = False
    if read.isascii() and not _ASCII_SPECIAL.search(read):
        # What the steps below come to for plain ASCII.
        cells = [Cell(letter, at, at + 1) for at, letter in enumerate(read.lower().translate(_ASCII_SPACES))]
        suspects: list[Suspect] = []
    else:
        written = unescaped(decoded([Cell(letter, at, at + 1) for at, letter in enumerate(read)]))
        written = [cell._replace(letter=C1.get(cell.letter, cell.letter)) for cell in written]
        suspects = invisible(written)
        kept = [cell for cell in written if class_of(cell.letter) != classes.IGNORED]
        composed, grown = compatible(kept)
        cells, mixed = alike(composed)
        cells = case_folded(cells)
        suspects = sorted(suspects + mixed)
    plain, words = plained(cells)
    return Normalised(
        folded="".join(cell.letter for cell in cells),
        folded_origins=[(cell.start, cell.end) for cell in cells],
        plain="".join(cell.letter for cell in plain),
        plain_origins=[(cell.start, cell.end) for cell in plain],
        words=words,
        suspects=suspects,
        cut=grown or len(read) < len(text),
    )


_ASCII_SPACES: Final = dict.fromkeys((9, 11, 12, 13, 28, 29, 30, 31), " ")
# An escape, or a control character that is dropped.
_ASCII_SPECIAL: Final = re.compile(r"%[0-9A-Fa-f]{2}|&[#a-z]|[\x00-\x08\x0e-\x1b\x7f]")


# -- the part that is read


def cut(text: str) -> str:
    """The first `READ` bytes of the text, or less: never a part of an extended grapheme cluster (UAX 29), unless it is
    longer than `LOOK_BACK`."""
    data = text.encode("utf-8", "surrogatepass")
    if len(data) <= READ:
        return text
    end = len(data[:READ].decode("utf-8", "ignore"))
    for at in range(end, max(end - LOOK_BACK, 0), -1):
        if parts(text[at - 1], text[at]):
            return text[:at]
    return text[:end]


# Letters that a cluster may go on from (Prepend); other letters stand in Hangul syllables, told by their ranges.
_PREPENDED: Final = frozenset("\u0d4e\U000111c2\U000111c3\U0001193f\U00011941\U00011a3a\U00011d46") | frozenset(
    chr(code) for code in range(0x11A84, 0x11A8A)
)


def parts(before: str, after: str) -> bool:
    """Whether a cluster surely ends between two characters. Rules GB3 to GB13 of UAX 29, with less context: where they
    ask for what stood earlier (flags, emoji sequences, conjuncts), the answer is no."""
    first, second = class_of(before), class_of(after)
    if classes.OPAQUE in (first, second) or classes.IGNORED in (first, second):
        return False
    if (
        second in (classes.MARK, classes.SPACING)
        or "\U0001f3fb" <= after <= "\U0001f3ff"
        or after in "\uff9e\uff9f\u0e33\u0eb3"
    ):
        return False
    if first in (classes.MARK, classes.SPACING) and second == classes.OTHER:
        return False
    if before in _PREPENDED or (before, after) == ("\r", "\n"):
        return False
    if "\U0001f1e6" <= before <= "\U0001f1ff" and "\U0001f1e6" <= after <= "\U0001f1ff":
        return False
    if "\u1100" <= before <= "\u115f" or "\ua960" <= before <= "\ua97c":
        return False
    return not (_jamo(after) and (_jamo(before) or "\uac00" <= before <= "\ud7a3"))


def _jamo(letter: str) -> bool:
    return "\u1100" <= letter <= "\u11ff" or "\ua960" <= letter <= "\ua97c" or "\ud7b0" <= letter <= "\ud7ff"


# -- step 1: escapes


_PERCENT: Final = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_ENTITY: Final = re.compile(r"&(?:(amp|lt|gt|quot|nbsp)|#([0-9]{1,7})|#[xX]([0-9A-Fa-f]{1,6}));")
C1: Final = {chr(0x80 + at): letter for at, letter in enumerate("€ ‚ƒ„…†‡ˆ‰Š‹Œ Ž  ‘’“”•–—˜™š›œ žŸ") if letter != " "}
"""Control characters that stand for those of Windows-1252, as HTML's parser reads them."""
_NAMED: Final = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "nbsp": "\u00a0"}


def decoded(cells: list[Cell]) -> list[Cell]:
    """One round of percent-decoding (RFC 3986, 2.1): each longest run of `%XX` that is UTF-8 and holds more than
    control characters."""
    result: list[Cell] = []
    copied = 0
    for match in _PERCENT.finditer("".join(cell.letter for cell in cells)):
        try:
            text = bytes.fromhex(match[0].replace("%", "")).decode()
        except UnicodeDecodeError:
            continue
        if all(letter < " " or "\x7f" <= letter <= "\x9f" for letter in text):
            continue
        result += cells[copied : match.start()]
        at = match.start()
        for letter in text:
            width = 3 * len(letter.encode())
            result.append(Cell(letter, cells[at].start, cells[at + width - 1].end))
            at += width
        copied = match.end()
    return result + cells[copied:]


def unescaped(cells: list[Cell]) -> list[Cell]:
    """HTML's character references, once: amp, lt, gt, quot, nbsp and numbers of what is neither an ASCII control
    character nor a surrogate."""
    result: list[Cell] = []
    copied = 0
    for match in _ENTITY.finditer("".join(cell.letter for cell in cells)):
        if match[1]:
            letter = _NAMED[match[1]]
        else:
            code = int(match[2]) if match[2] else int(match[3], 16)
            if code < 0x20 or code == 0x7F or 0xD800 <= code <= 0xDFFF or code > 0x10FFFF:
                continue
            letter = chr(code)
        result += cells[copied : match.start()]
        result.append(Cell(letter, cells[match.start()].start, cells[match.end() - 1].end))
        copied = match.end()
    return result + cells[copied:]


# -- step 2: NFKC; invisible characters and diacritics dropped


# Joiners, spaces without width, marks of direction and selectors: other scripts need them.
_SCRIPTED: Final = frozenset(
    "\u200b\u200c\u200d\u200e\u200f\u061c\u2060\ufeff\u180b\u180c\u180d\u180e\u180f"
) | frozenset(chr(code) for code in range(0xFE00, 0xFE10))


def invisible(written: list[Cell]) -> list[Suspect]:
    """Words with two or more dropped characters inside that they have no use for.

    A soft hyphen never counts; joiners, spaces without width, marks of direction and variation selectors do not beside
    a letter or mark of another script than Latin, Greek and Cyrillic, nor a selector before the keycap (U+20E3)."""
    found: list[Suspect] = []
    before: str | None = None  # the last character that was kept, if it belongs to a word
    start = end = count = 0
    waiting: list[Cell] = []
    for cell in [*written, Cell(" ", 0, 0)]:
        kind = class_of(cell.letter)
        if kind == classes.IGNORED:
            waiting.append(cell)
            continue
        if before is not None and kind in WORD:
            lawful = _other(before) or _other(cell.letter) or cell.letter == "\u20e3"
            for dropped in waiting:
                if dropped.letter == "\u00ad" or (lawful and dropped.letter in _SCRIPTED):
                    continue
                start = start if count else dropped.start
                end = dropped.end
                count += 1
        elif kind not in WORD:
            if count >= 2:
                found.append(Suspect(start, end, "invisible"))
            count = 0
        before = cell.letter if kind in WORD else None
        waiting.clear()
    return found


def _other(letter: str) -> bool:
    """Whether a letter or mark is of a script other than Latin, Greek and Cyrillic."""
    kind = class_of(letter)
    if kind == classes.MARK:
        return not any(first <= letter <= last for first, last in _GENERIC)
    return kind in (classes.LOOKALIKE, classes.OTHER, classes.SPACING)


# Blocks of combining marks of no script of their own, or Cyrillic.
_GENERIC: Final = (
    ("\u0300", "\u036f"),
    ("\u0483", "\u0489"),
    ("\u1ab0", "\u1aff"),
    ("\u1dc0", "\u1dff"),
    ("\u20d0", "\u20ff"),
    ("\ufe20", "\ufe2f"),
)
_FOLDING: Final = frozenset([classes.LATIN, classes.GREEK_CYRILLIC, classes.DIGIT])


def compatible(cells: list[Cell]) -> tuple[list[Cell], bool]:
    """NFKC, without the marks on Latin, Greek and Cyrillic letters and on digits; decimal digits are ASCII.

    Done for each segment (a character and those after it that may compose with it or be sorted: `joins`), which is all
    that its result's characters are known to come from; no more when `READ` characters have come out (U+FDFA is 18).
    Whether some were left."""
    result: list[Cell] = []
    base = classes.SPACE
    at = 0
    while at < len(cells) and len(result) < READ:
        end = at + 1
        while end < len(cells) and joins(cells[end].letter):
            end += 1
        if class_of(cells[at].letter) == classes.OPAQUE:
            result.append(cells[at])
            base = classes.OPAQUE
            at += 1
            continue
        kept = []
        for letter in unicodedata.normalize("NFKD", "".join(cell.letter for cell in cells[at:end])):
            kind = class_of(letter)
            if kind == classes.MARK and base in _FOLDING:
                continue
            kept.append(letter)
            if kind not in (classes.MARK, classes.SPACING):
                base = kind
        start, stop = cells[at].start, cells[end - 1].end
        composed = unicodedata.normalize("NFC", "".join(kept))
        result += [Cell(_DIGITS.get(letter, letter), start, stop) for letter in composed]
        at = end
    return result, at < len(cells)


# -- step 3: look-alikes


def alike(cells: list[Cell]) -> tuple[list[Cell], list[Suspect]]:
    """Letters that look like ASCII ones are folded (UTS 39): those of Latin script always; those of other scripts in a
    word that has Latin letters; and in words wholly of look-alikes, when the text is otherwise Latin: at least three
    Latin letters, and twice as many as letters in words of other scripts that cannot be folded."""
    result = list(cells)
    suspects: list[Suspect] = []
    whole: list[tuple[int, int]] = []
    latin = foreign = 0
    for start, end in _runs(cells):
        kinds = [class_of(cell.letter) for cell in cells[start:end]]
        letters = sum(kind in LETTERS for kind in kinds)
        if classes.LATIN in kinds:
            turned = 0
            ascii_only = True
            for at, kind in zip(range(start, end), kinds, strict=True):
                target = FOLDS.get(cells[at].letter)
                if target is not None:
                    result[at] = cells[at]._replace(letter=target)
                    turned += kind in LETTERS and kind != classes.LATIN
                elif kind in LETTERS and not cells[at].letter.isascii():
                    ascii_only = False
            if turned and ascii_only and letters >= 3:
                suspects.append(Suspect(cells[start].start, cells[end - 1].end, "mixed_script"))
            latin += letters
        elif all(
            kind not in LETTERS | {classes.ENCLOSED, classes.MARK, classes.SPACING}
            or (kind not in (classes.OTHER, classes.MARK, classes.SPACING) and cells[at].letter in FOLDS)
            for at, kind in zip(range(start, end), kinds, strict=True)
        ):
            if letters or kinds.count(classes.ENCLOSED) >= 2:
                whole.append((start, end))
        else:
            foreign += letters
    if latin >= 3 and latin >= 2 * foreign:
        for start, end in whole:
            for at in range(start, end):
                result[at] = cells[at]._replace(letter=FOLDS.get(cells[at].letter, cells[at].letter))
    return result, suspects


def _runs(cells: list[Cell]) -> Iterator[tuple[int, int]]:
    """Longest runs of what words are made of, and of letters in squares."""
    start = None
    for at, cell in enumerate(cells):
        kind = class_of(cell.letter)
        if kind in WORD or kind == classes.ENCLOSED:
            start = at if start is None else start
        elif start is not None:
            yield start, at
            start = None
    if start is not None:
        yield start, len(cells)


# -- step 4: case


def case_folded(cells: list[Cell]) -> list[Cell]:
    """Full case folding, but of marks (U+0345); white space becomes a space, but for the line feed."""
    result = []
    for cell in cells:
        kind = class_of(cell.letter)
        if kind == classes.SPACE:
            result.append(cell if cell.letter == "\n" else cell._replace(letter=" "))
        elif kind in (classes.OPAQUE, classes.MARK):
            result.append(cell)
        else:
            result += [cell._replace(letter=letter) for letter in cell.letter.casefold()]
    return result


# -- step 5: links, mentions, words with leetspeak, symbols; within each chunk (what is between white space)


@dataclass(frozen=True)
class Atom:
    """A word or symbol of a chunk: its letters, and for each the positions in the chunk that it comes from."""

    text: str
    origins: tuple[tuple[int, int], ...]
    kind: Kind


_STOP: Final = frozenset('"<>“”«»`')
_TRAILING: Final = frozenset(".,;:!?'’)]}*_~")
_LEET: Final = {"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s", "!": "i"}
_VOWELS: Final = frozenset("aeiouy0134@")
_APOSTROPHES: Final = frozenset("'’ʼ")
LEET_LENGTH: Final = 24
"""Letters and signs of a token beyond which it is a key or a hash, not a word."""


def _is_word(letter: str) -> bool:
    return class_of(letter) in WORD


def _is_letter(letter: str) -> bool:
    return class_of(letter) in LETTERS


def _ascii_letter(letter: str) -> bool:
    return "a" <= letter <= "z"


def _ascii_digit(letter: str) -> bool:
    return "0" <= letter <= "9"


@lru_cache(1_000_000)
def atoms(chunk: str) -> tuple[Atom, ...]:
    """The words and symbols of a chunk."""
    found: list[Atom] = []
    at = 0
    hostless = 0  # up to here no host begins
    while at < len(chunk):
        begins = at == 0 or not _is_word(chunk[at - 1])
        end = 0
        if chunk.startswith(("http://", "https://"), at) or (begins and chunk.startswith("www.", at)):
            end = link_end(chunk, at)
            if end - at <= len("www."):
                end = 0
        elif begins and at >= hostless:
            end, hostless = host_end(chunk, at)
        if end:
            found.append(Atom("url", ((at, end),) * 3, "link"))
        elif begins and (end := mention_end(chunk, at)):
            found.append(Atom("auser", ((at, end),) * 5, "mention"))
        elif _is_word(chunk[at]) or (chunk[at] in "$@" and begins and leet_begins(chunk, at)):
            end = word_end(chunk, at)
            found.append(word(chunk, at, end))
        else:
            end = at + 1
            found.append(Atom(chunk[at], ((at, end),), "symbol"))
        at = end
    return tuple(found)


def link_end(chunk: str, at: int) -> int:
    """Where a link ends: at a quotation mark or bracket that no link holds, less the punctuation before it."""
    end = at
    while end < len(chunk) and chunk[end] not in _STOP:
        end += 1
    while end > at and chunk[end - 1] in _TRAILING:
        end -= 1
    return end


def host_end(chunk: str, at: int) -> tuple[int, int]:
    """Where the link or mail address that begins with a host or local part ends, or 0; and how far no other begins."""
    host, domain = _labels(chunk, at)
    if host < len(chunk) and chunk[host] == "@" and host > at:
        end, domain = _labels(chunk, host + 1)
        if domain and len(domain) >= 2 and all(map(_ascii_letter, domain)):
            return end, end
        return 0, host
    if domain in DOMAINS and not (host < len(chunk) and _is_word(chunk[host])):
        return (link_end(chunk, at) if host < len(chunk) and chunk[host] in "/?#:" else host), host
    if domain in WORDY and chunk.startswith("/", host) and host + 1 < len(chunk) and _is_word(chunk[host + 1]):
        return link_end(chunk, at), host
    return 0, host


def _labels(chunk: str, at: int) -> tuple[int, str]:
    """Where labels joined by single dots end, and the last of them if there are two or more."""
    end = at
    dots = 0
    last = at
    while True:
        begin = end
        while end < len(chunk) and (_is_word(chunk[end]) or (chunk[end] in "-_" and end > begin)):
            end += 1
        if end == begin:
            # No label after a dot: the dot is punctuation.
            return (end - 1, chunk[last : end - 1] if dots > 1 else "") if dots else (end, "")
        if not dots or end > begin:
            last = begin
        if end < len(chunk) and chunk[end] == ".":
            dots += 1
            end += 1
            continue
        return end, chunk[last:end] if dots else ""


def mention_end(chunk: str, at: int) -> int:
    """Where the mention that begins here ends, or 0: `@` (or several) and a name; but `@ss` and `@$` are leetspeak."""
    name = at
    while name < len(chunk) and chunk[name] == "@":
        name += 1
    if name == at or (name == at + 1 and leet_begins(chunk, at)):
        return 0
    end = name
    while end < len(chunk) and (_is_word(chunk[end]) or chunk[end] == "_"):
        end += 1
    return end if end > name else 0


def leet_begins(chunk: str, at: int) -> bool:
    """Whether `$` or `@` is the first letter of a word."""
    following = chunk[at + 1 : at + 3]
    if chunk[at] == "@":
        return following[:1] == "$" or (len(following) == 2 and following[0] in "s5" and following[1] in "s5$")
    return following[:1].isascii() and (
        (following != "" and _ascii_letter(following[0]))
        or (len(following) == 2 and following[0] in "$013457" and _ascii_letter(following[1]))
    )


def word_end(chunk: str, at: int) -> int:
    """Where a word ends: letters, marks and digits; apostrophes and `*` between them; signs of leetspeak."""
    end = at + 1
    while end < len(chunk):
        letter, before = chunk[end], chunk[end - 1]
        after = chunk[end + 1] if end + 1 < len(chunk) else " "
        if _is_word(letter) or (letter in _APOSTROPHES and _is_word(before) and _is_word(after)):
            end += 1
        elif letter == "*" and _is_letter(before):
            stars = end
            while stars < len(chunk) and chunk[stars] == "*":
                stars += 1
            if stars == len(chunk) or not _is_letter(chunk[stars]):
                break
            end = stars
        elif (letter in "@$" and _signed(before) and not _ascii_digit(after)) or (
            letter == "!" and _signed(before) and _signed(after) and _inner(chunk, at, end)
        ):
            end += 1
        else:
            break
    return end


def _signed(letter: str) -> bool:
    return _ascii_letter(letter) or _ascii_digit(letter) or letter in "@$"


def _inner(chunk: str, at: int, sign: int) -> bool:
    """Whether `!` stands for a letter, and does not end a sentence: one side has no vowel, or both are short."""
    end = sign + 1
    while end < len(chunk) and end - sign <= LEET_LENGTH and _signed(chunk[end]):
        end += 1
    sides = chunk[max(at, sign - LEET_LENGTH) : sign].rpartition("!")[2], chunk[sign + 1 : end]
    return any(_VOWELS.isdisjoint(side) for side in sides) or all(len(side) <= 2 for side in sides)


def word(chunk: str, start: int, end: int) -> Atom:
    """The word between two positions: repeats cut, leetspeak read, letters joined that `*` or `'` parts."""
    letters: list[Cell] = []
    for at in range(start, end):
        letter = "'" if chunk[at] in _APOSTROPHES else chunk[at]
        letters.append(Cell(letter, at, at + 1))
    letters = repeats_cut(letters)
    kind: Kind = "word"
    between = {cell.letter for cell in letters[1::2]}
    if len(letters) >= 5 and len(letters) % 2 and (between in ({"*"}, {"'"})):
        singles = letters[::2]
        if all(_is_letter(cell.letter) for cell in singles):
            letters = [cell._replace(end=after.start) for cell, after in pairwise(singles)] + singles[-1:]
            kind = "spaced"
    text = "".join(leet(part) for part in _BETWEEN.split("".join(cell.letter for cell in letters)))
    letters = repeats_cut([cell._replace(letter=letter) for cell, letter in zip(letters, text, strict=True)])
    return Atom("".join(cell.letter for cell in letters), tuple((cell.start, cell.end) for cell in letters), kind)


_BETWEEN: Final = re.compile(r"(['*]+)")


def repeats_cut(cells: list[Cell]) -> list[Cell]:
    """At most two of a character in a row, digits excepted; the second stands for all that follow."""
    result: list[Cell] = []
    for cell in cells:
        letter = cell.letter
        if len(result) >= 2 and result[-1].letter == letter == result[-2].letter and not _ascii_digit(letter):
            result[-1] = result[-1]._replace(end=cell.end)
        else:
            result.append(cell)
    return result


def leet(token: str) -> str:
    """A token of ASCII letters and signs of leetspeak as it is meant; letter for letter.

    Left alone: tokens without a letter; longer ones than `LEET_LENGTH`; with 2, 6, 8 or 9 between letters (`b2b`,
    `k8s`, keys and hashes); a number and its unit or one letter (`10am`, `3d`); digits after a word but for `55` or a
    single one, not 1, that ends a word of two letters or more which is no name that is numbered (`python3`, `mp3`);
    `us$` and `$x`."""
    if len(token) > LEET_LENGTH or not all(map(_sign, token)) or not any(map(_ascii_letter, token)):
        return token
    first = next(at for at, letter in enumerate(token) if not _ascii_digit(letter))
    last = max(at for at, letter in enumerate(token) if not _ascii_digit(letter)) + 1
    core, tail = token[first:last], token[last:]
    letters = sum(map(_ascii_letter, core))
    if any(letter in "2689" for letter in core) or (first and (len(core) == 1 or core in UNITS)):
        return token
    if letters <= 2 and (len(core) == letters + 1) and (core[-1] == "$" or (len(core) == 2 and core[0] == "$")):
        return token
    start = 0 if first <= 3 and all(letter in _LEET for letter in token[:first]) else first
    end = last
    if tail == "55" or (tail in ("0", "3", "4", "5", "7") and letters >= 2 and core not in NAMES):
        end = len(token)
    return token[:start] + "".join(_LEET.get(letter, letter) for letter in token[start:end]) + token[end:]


def _sign(letter: str) -> bool:
    return _signed(letter) or letter == "!"


# -- step 6: letters that stand apart; white space


_OPENING: Final = frozenset("\"'“‘’([{*`")
_TEXTED: Final = frozenset("aiuryno")


@dataclass
class _Placed:
    """An atom in the text."""

    cells: list[Cell]
    kind: Kind
    gap: tuple[int, int] | None
    """The white space before it, as positions among the folded characters."""


def plained(cells: list[Cell]) -> tuple[list[Cell], list[Word]]:
    """The plain text of folded characters, and its words."""
    placed: list[_Placed] = []
    at = 0
    while at < len(cells):
        space = at
        while at < len(cells) and cells[at].letter in " \n":
            at += 1
        gap = (space, at) if at > space else None
        start = at
        while at < len(cells) and cells[at].letter not in " \n":
            at += 1
        if at == start:
            break
        for atom in atoms("".join(cell.letter for cell in cells[start:at])):
            made = [
                Cell(letter, cells[start + first].start, cells[start + last - 1].end)
                for letter, (first, last) in zip(atom.text, atom.origins, strict=True)
            ]
            before = placed[-1] if placed and gap is None else None
            if atom.kind == "symbol" and before is not None and before.kind == "symbol":
                # Repeats of a symbol: two atoms at most.
                again = placed[-2] if len(placed) > 1 and before.gap is None else None
                if (
                    again is not None
                    and again.kind == "symbol"
                    and (again.cells[0].letter == before.cells[0].letter == atom.text)
                ):
                    before.cells[0] = before.cells[0]._replace(end=made[0].end)
                    continue
            placed.append(_Placed(made, atom.kind, gap))
            gap = None
    joined = apart_joined(placed, cells)
    result: list[Cell] = []
    words: list[Word] = []
    for index, atom_ in enumerate(joined):
        if index:
            if atom_.gap is not None:
                first, last = atom_.gap
                result.append(Cell(" ", cells[first].start, cells[last - 1].end))
            elif atom_.kind != "symbol" and joined[index - 1].kind != "symbol":
                # A link or mention grown to a word.
                result.append(Cell(" ", atom_.cells[0].start, atom_.cells[0].start))
        words.append(Word(len(result), len(result) + len(atom_.cells), atom_.kind))
        result += atom_.cells
    return result, words


def apart_joined(placed: list[_Placed], cells: list[Cell]) -> list[_Placed]:
    """Three or more single letters with the same between them are joined: one white space, or a symbol (or two of it).

    With white space, nothing but an opening mark may stand directly before the first, and three are not joined when
    each is a word of text messages (`r u a`); with a symbol, not the same symbol after a word may stand there."""
    result: list[_Placed] = []
    at = 0
    while at < len(placed):
        end, step = _apart(placed, at, cells)
        if end == at:
            result.append(placed[at])
            at += 1
            continue
        letters = placed[at : end + 1 : step]
        joined: list[Cell] = []
        for index, single in enumerate(letters):
            cell = single.cells[0]
            if index + 1 < len(letters):
                cell = cell._replace(end=max(cell.end, letters[index + 1].cells[0].start))
            joined.append(cell)
        result.append(_Placed(repeats_cut(joined), "spaced", placed[at].gap))
        at = end + 1
    return result


def _single(atom: _Placed) -> bool:
    return atom.kind == "word" and len(atom.cells) == 1 and _is_letter(atom.cells[0].letter)


def _apart(placed: list[_Placed], at: int, cells: list[Cell]) -> tuple[int, int]:
    """The last atom of the letters that stand apart from here on, or `at`; and the atoms from letter to letter."""
    if not _single(placed[at]) or at + 2 >= len(placed):
        return at, 1
    following = placed[at + 1]
    if following.gap is not None:
        before = placed[at - 1] if at and placed[at].gap is None else None
        if before is not None and not (before.kind == "symbol" and before.cells[0].letter in _OPENING):
            return at, 1
        end = at
        while end + 1 < len(placed) and _single(placed[end + 1]):
            gap = placed[end + 1].gap
            if gap is None or gap[1] - gap[0] != 1:
                break
            end += 1
        if end - at == 2 and all(atom.cells[0].letter in _TEXTED for atom in placed[at : end + 1]):
            return at, 1
        return (end, 1) if end - at >= 2 else (at, 1)
    if following.kind != "symbol":
        return at, 1
    symbol = following.cells[0].letter
    width = 2 if placed[at + 2].kind == "symbol" else 1
    if at >= 2 and placed[at].gap is None and placed[at - 1].gap is None and placed[at - 2].kind != "symbol":
        before = placed[at - 1]
        if before.kind == "symbol" and before.cells[0].letter == symbol:
            return at, 1
    end = at
    while end + width + 1 < len(placed):
        between = placed[end + 1 : end + width + 1]
        single = placed[end + width + 1]
        if any(atom.gap is not None or atom.kind != "symbol" or atom.cells[0].letter != symbol for atom in between):
            break
        if single.gap is not None or not _single(single):
            break
        end += width + 1
    return (end, width + 1) if end - at >= 2 * (width + 1) else (at, 1)
