"""Which passwords are taken: length, and not what is guessed first."""

from __future__ import annotations

import time

import pytest

from chiron.errors import Refused
from chiron.server.identity.password_rules import PasswordRules, _commonest, site_names

EMAIL = "grace.hopper@example.org"
RULES = PasswordRules(site_names("https://mentors.example.org"))


@pytest.mark.parametrize(
    "password",
    [
        "qwertyuiop",
        "Password123",
        "1q2w3e4r5t",
        "ILOVEYOU123",
        "onedirection",  # from the newer of the two lists
        "ｐａｓｓｗｏｒｄ１２３",  # the same, full-width
        "grace.hopper",
        "xGrace.Hopper1",
        "mentors-2026",
        "my.chiron.pw",
        "a" * 9,
        "a" * 129,
    ],
)
def test_what_is_guessed_first_is_not_taken(password: str) -> None:
    with pytest.raises(Refused) as refused:
        RULES.check(password, EMAIL)
    assert (refused.value.code, refused.value.params["field"]) == ("invalid", "password")


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "zq6Vd!m0aX",
        "grace.hopper and a compiler",  # long enough to hold more than what everybody knows
        "пароль для меня",
        "🐎🔋🧷🐎🔋🧷🐎🔋🧷🐎",
        "          ",  # blanks count: no rules of composition
        "a" * 128,
    ],
)
def test_there_are_no_other_rules(password: str) -> None:
    assert RULES.check(password, EMAIL) == password


def test_a_short_name_is_part_of_many_words() -> None:
    assert RULES.check("Adamantium9", "ada@example.org") == "Adamantium9"


def test_the_list_is_long_enough_and_quick() -> None:
    assert len(_commonest()) > 30_000
    assert all(10 <= len(password) <= 128 for password in _commonest())
    began = time.process_time()
    for number in range(1000):
        RULES.check(f"not so common {number}", EMAIL)
    assert time.process_time() - began < 1
