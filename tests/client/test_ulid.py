from __future__ import annotations

import time

from chiron.client import ulid


def value(text: str) -> int:
    number = 0
    for character in text:
        number = number << 5 | ulid.ALPHABET.index(character)
    return number


def test_a_ulid_is_26_characters_of_crockfords_base32_and_128_bits() -> None:
    for _ in range(100):
        made = ulid.new()
        assert len(made) == 26
        assert set(made) <= set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")
        assert value(made) < 1 << 128


def test_its_first_48_bits_are_the_milliseconds_of_its_making() -> None:
    before = int(time.time() * 1000)
    milliseconds = value(ulid.new()) >> 80
    assert before <= milliseconds <= int(time.time() * 1000)


def test_no_two_are_alike() -> None:
    assert len({ulid.new() for _ in range(10_000)}) == 10_000


def test_later_ones_sort_behind() -> None:
    first = ulid.new()
    while int(time.time() * 1000) <= value(first) >> 80:
        pass
    assert ulid.new() > first
