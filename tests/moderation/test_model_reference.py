"""The reference of the model: its file, its features, and the exact scores that every implementation must give."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from string import ascii_lowercase

import pytest
from hypothesis import given
from hypothesis import strategies as st
from training.reference.features import MAX_PIECES, embedding_row, linear_row, pieces
from training.reference.model import (
    SIZE,
    STEP,
    WINDOW,
    Model,
    calibrated,
    logits,
    random_model,
    root,
    rounded,
    scores,
    windows,
)

GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text())
WORDS = st.text(st.characters(exclude_categories=("Cs", "Zs", "Cc")), min_size=1, max_size=40)


@pytest.fixture(scope="module")
def noise() -> Model:
    return random_model(GOLDEN["noise"])


def test_golden_scores_are_those_of_the_reference(noise: Model) -> None:
    for case in GOLDEN["cases"]:
        assert logits(noise, case["words"]) == case["logits"], case["words"]
        assert scores(noise, case["words"]) == case["scores"], case["words"]


def test_a_file_gives_back_the_model_it_was_written_from(noise: Model) -> None:
    data = noise.to_bytes()
    assert len(data) == SIZE <= 3 << 20
    assert Model.from_bytes(data) == noise


@pytest.mark.parametrize("at", [0, 8, 200, SIZE // 2, SIZE - 1])
def test_a_file_with_a_changed_byte_is_refused(noise: Model, at: int) -> None:
    data = bytearray(noise.to_bytes())
    data[at] ^= 1
    with pytest.raises(ValueError, match=r"not a model|digest"):
        Model.from_bytes(bytes(data))
    with pytest.raises(ValueError, match="not a model"):
        Model.from_bytes(bytes(data[:-1]))


@given(WORDS)
def test_a_word_has_two_to_64_pieces_and_rows_within_the_tables(word: str) -> None:
    found = pieces(word)
    length = 2 + sum(
        1 for at, letter in enumerate(word) if not (letter in ascii_lowercase and word[at - 1 : at] == letter)
    )
    assert len(found) == min(1 + sum(max(length - n + 1, 0) for n in (3, 4, 5)), MAX_PIECES)
    assert all(0 <= embedding_row(state) < 1 << 16 and 0 <= linear_row(state) < 1 << 18 for state in found)


def test_a_drawn_out_word_has_the_runs_of_the_plain_one() -> None:
    assert pieces("stuupiidd")[1:] == pieces("stupid")[1:]
    assert pieces("stuupiidd")[0] != pieces("stupid")[0]


@given(st.integers(1, 5000))
def test_windows_cover_every_word_and_none_is_longer_than_256(words: int) -> None:
    found = windows(words)
    assert found[0][0] == 0
    assert found[-1][1] == words
    assert all(end - start <= WINDOW for start, end in found)
    assert all(left[0] < right[0] <= left[0] + STEP for left, right in pairwise(found))
    assert not windows(0)


@given(st.integers(1, 1 << 20))
def test_root_is_within_a_unit_of_the_real_one(n: int) -> None:
    assert abs(root(n) - 65536 / n**0.5) <= 1.01


def test_halves_are_rounded_up_on_both_sides_of_zero() -> None:
    assert [rounded(value, 1) for value in (-3, -2, -1, 0, 1, 3)] == [-1, -1, 0, 0, 1, 2]
    assert rounded(7, 0) == 7


def test_scores_rise_with_the_logit_and_stay_probabilities(noise: Model) -> None:
    found = [calibrated(noise, 0, logit << 12) for logit in range(-500, 500)]
    assert found == sorted(found)
    assert 0 <= found[0] < 100
    assert 65436 < found[-1] <= 65536


def test_a_text_without_words_scores_nothing(noise: Model) -> None:
    assert scores(noise, []) == [0] * 5
