"""Words to rows of the hashed tables.

A word's *pieces* are the word itself and every run of 3, 4 and 5 characters (code points) of `<word>`, in which a
letter a to z that follows itself is left out (`good` as `<god>`), so that a drawn-out word has the runs of the plain
one. Runs are ordered by where they start and then by length; a word has at most 64 pieces, and long ones lose the runs
at their end. Two adjacent words make a *pair*.

Each is hashed by FNV-1a (32 bit, over UTF-8, after one byte that names the kind, so that the word `<a>` and the run
`<a>` differ), then finished twice, once for each table, by MurmurHash3's `fmix32`, of which the top bits are the row.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

EMBEDDING_BITS: Final = 16
LINEAR_BITS: Final = 18
MAX_PIECES: Final = 64

RUN: Final = 0x03
WORD: Final = 0x01
PAIR: Final = 0x02

_EMBEDDING_SEED: Final = 0x9E3779B9
_LINEAR_SEED: Final = 0x85EBCA6B
_MASK: Final = 0xFFFFFFFF


def fnv1a(data: bytes, state: int) -> int:
    """FNV-1a over `data`, going on from `state`."""
    for byte in data:
        state = ((state ^ byte) * 0x01000193) & _MASK
    return state


def start(kind: int) -> int:
    """The state of FNV-1a after the byte of `kind`."""
    return fnv1a(bytes([kind]), 0x811C9DC5)


def fmix32(value: int) -> int:
    """The final avalanche of MurmurHash3."""
    value ^= value >> 16
    value = (value * 0x85EBCA6B) & _MASK
    value ^= value >> 13
    value = (value * 0xC2B2AE35) & _MASK
    return value ^ (value >> 16)


def embedding_row(state: int) -> int:
    """Which of the 2^16 rows of the embedding belongs to a hash."""
    return fmix32(state ^ _EMBEDDING_SEED) >> (32 - EMBEDDING_BITS)


def linear_row(state: int) -> int:
    """Which of the 2^18 rows of the linear part belongs to a hash."""
    return fmix32(state ^ _LINEAR_SEED) >> (32 - LINEAR_BITS)


_RUN_START: Final = start(RUN)
_WORD_START: Final = start(WORD)
_PAIR_START: Final = start(PAIR)
_DOUBLE: Final = re.compile(r"([a-z])\1+")


def pieces(word: str) -> list[int]:
    """The hashes of a word's pieces, the word first; 2 to 64 of them."""
    found = [fnv1a(word.encode(), _WORD_START)]
    plain = _DOUBLE.sub(r"\1", word)
    characters = [character.encode() for character in f"<{plain}>"]
    for first in range(len(characters) - 2):
        state = fnv1a(characters[first] + characters[first + 1], _RUN_START)
        for character in characters[first + 2 : first + 5]:
            state = fnv1a(character, state)
            found.append(state)
            if len(found) == MAX_PIECES:
                return found
    return found


def pair(left: str, right: str) -> int:
    """The hash of two adjacent words."""
    return fnv1a(f"{left} {right}".encode(), _PAIR_START)


def pairs(words: Sequence[str]) -> list[int]:
    """The hashes of all pairs of a text, the pair of words i and i + 1 at index i."""
    return [pair(left, right) for left, right in pairwise(words)]
