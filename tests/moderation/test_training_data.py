"""What the scorer's model is trained on: evasions, made sentences, and the rows of the public files."""

from __future__ import annotations

import csv
import gzip
import math
import random
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from training import contrasts, crafted, data, evade, ordinary, prose

SENTENCE = "You are a stupid idiot and everybody hates you @user http://x.example/abc"
TEXT = st.text(max_size=80)


@pytest.mark.parametrize("name", evade.KINDS)
def test_an_evasion_changes_the_text_and_is_repeated_by_its_seed(name: str) -> None:
    kind = evade.KINDS[name]
    changed = [kind(SENTENCE, random.Random(seed)) for seed in range(20)]
    assert sum(text != SENTENCE for text in changed) >= 15
    assert changed == [kind(SENTENCE, random.Random(seed)) for seed in range(20)]


@given(name=st.sampled_from(list(evade.KINDS)), text=TEXT, seed=st.integers(0, 1000))
def test_an_evasion_takes_any_text(name: str, text: str, seed: int) -> None:
    assert isinstance(evade.KINDS[name](text, random.Random(seed)), str)


@given(text=TEXT, seed=st.integers(0, 1000))
def test_zero_width_adds_invisible_characters_and_nothing_else(text: str, seed: int) -> None:
    changed = evade.zero_width(text, random.Random(seed))
    visible = str.maketrans("", "", evade.INVISIBLE)
    assert changed.translate(visible) == text.translate(visible)


@given(seed=st.integers(0, 1000))
def test_repeats_and_spacing_are_undone_by_taking_out_what_they_add(seed: int) -> None:
    spaced = evade.spacing("everybody hates idiots", random.Random(seed))
    assert "".join(c for c in spaced if c.isalpha()) == "everybodyhatesidiots"
    drawn = evade.repeats("idiots", random.Random(seed))
    assert [c for at, c in enumerate(drawn) if not at or drawn[at - 1] != c] == list("idiots")


@given(seed=st.integers(0, 1000))
def test_leet_keeps_at_least_as_many_letters_as_signs(seed: int) -> None:
    for word in evade.leet("everybody hates stupid idiots", random.Random(seed)).split():
        assert sum(c.isalpha() for c in word) >= sum(not c.isalpha() for c in word)


def test_a_full_width_word_folds_back_by_nfkc() -> None:
    changed = evade.fullwidth("everybody hates stupid idiots", random.Random(3))
    assert unicodedata.normalize("NFKC", changed) == "everybody hates stupid idiots"


def test_frames_names_and_groups_that_are_held_out_are_not_trained_on() -> None:
    for frames in (ordinary.ORDINARY, ordinary.MENTIONS, contrasts.CONTRASTS, crafted.INSULTS, crafted.OFFERS):
        kept, out = ordinary.parts(frames, heldout=False), ordinary.parts(frames, heldout=True)
        assert len(kept) + len(out) == len(frames)
        assert not set(kept) & set(out)
        assert len(out) >= len(frames) // 7
    group = ordinary.GROUPS[5]
    assert not any(group in text.lower() for text in ordinary.mentions(3000, 1))
    assert any(group in text.lower() for text in ordinary.mentions(3000, 1, heldout=True))


def test_made_sentences_have_no_open_slots_and_follow_their_seed() -> None:
    texts = [*ordinary.ordinary(500, 1), *ordinary.mentions(500, 1), *(text for text, _ in crafted.crafted(1))]
    texts += [*contrasts.contrasts(2000, 1), *contrasts.literal(2000, 1), *prose.tokens(1, 500)]
    texts += prose.figures(1, 2000)
    assert not any("{" in text or "}" in text for text in texts)
    assert ordinary.ordinary(50, 4) == ordinary.ordinary(50, 4) != ordinary.ordinary(50, 5)


def test_hostility_that_is_held_out_has_each_head() -> None:
    found = crafted.crafted(1, heldout=True)
    for head in range(5):
        assert sum(label[head] == 1 for _, label in found) >= 400


def test_nothing_made_stands_in_the_corpora_of_the_tests() -> None:
    """But single words."""

    def words(text: str) -> tuple[str, ...]:
        return tuple(re.findall(r"\w+", text.casefold()))

    corpora = Path(__file__).parent / "corpora"
    texts = {
        words(field)
        for name in ("mentoring", "mentions", "hostile")
        for row in (corpora / f"{name}.txt").read_text("utf-8").splitlines()
        for field in row.split("\t")
    }
    made = {words(row.text) for row in (*data.made(7), *data.heldout(7))} | set(map(words, prose.figures(7, 8000)))
    assert {text for text in made & texts if len(text) > 1} == set()


def written(path: Path, rows: list[list[str]], delimiter: str = ",") -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The public files with a row or two of each."""
    written(tmp_path / "davidson_train.csv", [["text", "label"], ["fine, by me", "neither"], ["vile", "hate"]])
    written(tmp_path / "olid_olid-training-v1.0.tsv", [["id", "tweet", "subtask_a"], ["7", "oh well", "OFF"]], "\t")
    head = ["entry_id", "text", "type", "label_gold"]
    written(tmp_path / "hatemoji_hatemojibuild_train.csv", [head, ["3", "🔪 you", "threateninglanguage", "1"]])
    written(tmp_path / "hatemoji_hatemojibuild_validation.csv", [head, ["4", "🐀", "none", "0"]])
    votes = ["example_id", "user", "Annotator1_is_abuse.-1", "Annotator1_is_abuse.1", "Annotator2_is_abuse.-2"]
    written(tmp_path / "convabuse_convabuseemnlptrain.csv", [votes, ["1.0", "shut up", "1", "0", "1, 1"]])
    written(tmp_path / "convabuse_convabuseemnlpvalid.csv", [votes, ["2.0", "yes", "0", "1", ""]])
    (tmp_path / "sms_spam_train.tsv").write_text("ham\tsee u\nspam\tWIN now\n", encoding="utf-8")
    written(tmp_path / "profanity_en.csv", [["text", "category_1"], ["ass", "sexual anatomy / sexual acts"]])
    scored = [
        ("davidson_train.csv", "0", "train", "fine, by me", ""),
        ("davidson_train.csv", "1", "val", "vile", ""),
        ("olid_olid-training-v1.0.tsv", "7", "train", "oh well", ""),
        ("hatemoji_hatemojibuild_train.csv", "3", "train", "🔪 you", ""),
        ("hatemoji_hatemojibuild_validation.csv", "4", "val", "🐀", ""),
        ("convabuse_convabuseemnlptrain.csv", "1.0", "train", "shut up", ""),
        ("convabuse_convabuseemnlpvalid.csv", "2.0", "val", "yes", ""),
        ("sms_spam_train.tsv", "1", "train", "WIN now", ""),
        ("profanity_en.csv", "0", "train", "ass", ""),
        ("template:thr", "thr1", "train", "i will hurt them", "i will hurt them"),
        ("template:role", "role1", "train", "artists only want money", "artists only want money"),
        ("synthetic", "1", "train", "", "vile , they said"),
    ]
    with gzip.open(tmp_path / "teacher_scores.csv.gz", "wt", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "key", "split", "sha256_12", "abuse", "hate", "sexual", "threat", "spam", "text"])
        for name, key, split, text, shown in scored:
            table.writerow([name, key, split, data.digest(text) if text else "", 50, 1, 2, 3, 4, shown])
    return tmp_path


def test_rows_have_the_labels_that_their_sources_give(folder: Path) -> None:
    found = {row.text: row for row in data.scored(folder)}
    nan = math.nan
    expected = {
        "fine, by me": ("davidson", False, (0, 0, nan, nan, nan)),
        "vile": ("davidson", True, (1, 1, nan, nan, nan)),
        "oh well": ("olid", False, (1, nan, nan, nan, nan)),
        "🔪 you": ("hatemoji", False, (1, 1, nan, 1, nan)),
        "🐀": ("hatemoji", True, (nan, 0, nan, 0, nan)),
        "shut up": ("convabuse", False, (1, 0, 0, nan, nan)),
        "yes": ("convabuse", True, (0, 0, 0, nan, nan)),
        "WIN now": ("sms", False, (nan, nan, nan, nan, 1)),
        "ass": ("profanity", False, (1, nan, 1, nan, nan)),
        "i will hurt them": ("template:thr", False, (1, 1, 0, 1, 0)),
        "artists only want money": ("template:role", False, (nan, 0, 0, 0, 0)),
        "vile , they said": ("synthetic", False, (nan,) * 5),
    }
    assert {text: (row.source, row.val) for text, row in found.items()} == {
        text: entry[:2] for text, entry in expected.items()
    }
    for text, (_, _, label) in expected.items():
        assert found[text].label == pytest.approx(label, nan_ok=True), text
        assert found[text].teacher == (0.5, 0.01, 0.02, 0.03, 0.04)


def test_a_text_that_the_teacher_did_not_score_is_refused(folder: Path) -> None:
    written(folder / "davidson_train.csv", [["text", "label"], ["changed", "neither"], ["vile", "hate"]])
    with pytest.raises(data.DataError, match="row 0 of davidson_train"):
        list(data.scored(folder))
