from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable

import pytest

from chiron.errors import Refused
from chiron.server.identity.model import checked_name, checked_zone, normal_email

MARKS = "\u0300\u0316" * 100_000
"""Two classes of combining marks in turn: sorting them takes the square of their number."""


@pytest.mark.parametrize(("check", "text"), [(checked_name, f"A{MARKS}"), (normal_email, f"a{MARKS}@example.org")])
def test_what_is_far_too_long_is_refused_without_being_normalised(check: Callable[[str], str], text: str) -> None:
    began = time.process_time()
    with pytest.raises(Refused):
        check(text)
    assert time.process_time() - began < 1


def test_what_becomes_short_enough_when_composed_is_taken() -> None:
    eta = "\u1faf"
    name, email = eta * 80, f"{eta * 200}@example.org"
    assert checked_name(unicodedata.normalize("NFD", name)) == name
    assert normal_email(unicodedata.normalize("NFD", email)) == normal_email(email)


def test_zones_are_read_once() -> None:
    checked_zone("Europe/London")
    began = time.process_time()
    for _ in range(100):
        checked_zone("Europe/London")
        with pytest.raises(Refused):
            checked_zone("Europe/Atlantis")
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize("name", ["\u202eadA", "Ada\u2067", "\u200b", "\u2060\u0301", "A\u0007", "\ue000"])
def test_a_name_can_be_seen_and_turns_nothing_around(name: str) -> None:
    with pytest.raises(Refused):
        checked_name(name)


@pytest.mark.parametrize("name", ["Ada", "עדה", "李", "👩\u200d🔬", "7", "क्\u200dष"])
def test_names_of_all_scripts_are_taken(name: str) -> None:
    assert checked_name(name) == name


@pytest.mark.parametrize("email", ["a\x01b@example.org", "ada@exam\x7fple.org", "ada@example.o\nrg"])
def test_an_address_has_no_control_characters(email: str) -> None:
    with pytest.raises(Refused):
        normal_email(email)
