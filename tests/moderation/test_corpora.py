"""The corpora are what they are meant to be, and what ships keeps its promises on them.

`mentoring.txt` has ordinary messages, one a line; `mentions.txt` a group, a tab and a kind or neutral sentence that
mentions it, with a tab and `counter` behind those that answer hostility; `hostile.txt` a head, a tab and a message that
ought to be noticed. Nothing here is ever trained on.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from chiron.server.moderation.policy import DIRECT, GROUP, Policy
from chiron.server.moderation.scoring import Scoring
from chiron.server.moderation.sources import Sources
from chiron.server.ports import HEADS

Verdicts = Callable[[str, str], str]
"""Of a kind of conversation and a text."""

CORPORA = Path(__file__).parent / "corpora"
NAMES = ("mentoring", "mentions", "hostile")


def lines(name: str) -> list[str]:
    return (CORPORA / f"{name}.txt").read_text("utf-8").removesuffix("\n").split("\n")


MENTORING = lines("mentoring")
MENTIONS = [row.split("\t") for row in lines("mentions")]
KIND = [(row[0], row[1]) for row in MENTIONS if len(row) == 2]
COUNTER = [(row[0], row[1]) for row in MENTIONS if row[2:] == ["counter"]]
HOSTILE = [(row[0], row[1]) for row in (row.split("\t") for row in lines("hostile"))]
TEXTS = {
    "mentoring": MENTORING,
    "mentions": [text for _, text in KIND + COUNTER],
    "hostile": [text for _, text in HOSTILE],
}


def script(*ranges: tuple[int, int]) -> Callable[[str], bool]:
    return lambda text: any(first <= ord(character) <= last for character in text for first, last in ranges)


def words(text: str) -> set[str]:
    """Marks are parts of words, which `\\w` does not know."""
    return set("".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in text.casefold()).split())


def told_by(marks: str, letters: str = "(?!)") -> Callable[[str], bool]:
    """By words that are of one language only among those here, or letters; some messages have neither."""
    known = frozenset(marks.split())
    return lambda text: bool(words(text) & known or re.search(letters, text))


ARABIC, URDU_ONLY, PERSIAN_OR_URDU = script((0x600, 0x6FF)), re.compile("[ٹڈڑںھہے]"), re.compile("[پچژگکی]")
HAN, KANA = script((0x4E00, 0x9FFF)), script((0x3040, 0x30FF))

LANGUAGES: dict[str, tuple[int, Callable[[str], bool]]] = {
    "Persian": (150, lambda text: bool(PERSIAN_OR_URDU.search(text)) and not URDU_ONLY.search(text)),
    "Hindi": (150, script((0x900, 0x97F))),
    "romanised Hindi": (
        50,
        told_by("hai hain nahi kar karo ka ki ke ko haan aap tha theek ji bhai yaar kya hoon gaya phir pehle raha pe"),
    ),
    "Spanish": (30, told_by("el los qué cómo pero más las del hoy mañana buenos tengo vale estoy soy", "[ñ¿¡]")),
    "French": (30, told_by("je tu est une les des ça pas avec pour mon ton dans vous merci bonjour notre du", "[èùœ]")),
    "German": (35, told_by("ich und der nicht ist ein eine für wir dir auf zum mir dein bis alle klar kein moin", "ß")),
    "Portuguese": (30, told_by("não você obrigada meu minha em são ao os pra uma sou fica boa oi ele", "[ãõ]")),
    "Turkish": (40, told_by("bir bu bana için çok olur annem", "[ığşİ]")),
    "Arabic": (
        40,
        lambda text: ARABIC(text) and not PERSIAN_OR_URDU.search(text) and not URDU_ONLY.search(text),
    ),
    "Russian": (40, script((0x400, 0x4FF))),
    "Chinese": (40, lambda text: HAN(text) and not KANA(text)),
    "Japanese": (40, KANA),
    "Bengali": (15, script((0x980, 0x9FF))),
    "Tamil": (12, script((0xB80, 0xBFF))),
    "Urdu": (12, lambda text: bool(URDU_ONLY.search(text))),
}


@pytest.mark.parametrize("name", NAMES)
def test_lines_are_composed_trimmed_and_told_once(name: str) -> None:
    for row in lines(name):
        assert row == unicodedata.normalize("NFC", row), row
        assert row, "empty line"
        assert row == row.strip(), row
        assert not re.search(r"[\x00-\x08\x0a-\x1f\x7f\ufeff\ufffd]", row), row
    told = Counter(text.casefold() for text in TEXTS[name])
    assert [text for text, times in told.items() if times > 1] == []


@pytest.mark.parametrize("name", NAMES)
def test_no_message_says_what_another_says(name: str) -> None:
    """No two of at least five different words share 60 % of them."""
    bags = [bag for bag in map(words, TEXTS[name]) if len(bag) >= 5]
    times = Counter(word for bag in bags for word in bag)
    # Two bags that share as much have one of their rarest words in common (prefix filtering: Bayardo et al. 2007).
    with_word: dict[str, list[set[str]]] = defaultdict(list)
    near = []
    for bag in bags:
        rarest = sorted(bag, key=lambda word: (times[word], word))[: len(bag) - math.ceil(0.6 * len(bag)) + 1]
        others = {id(other): other for word in rarest for other in with_word[word]}
        near += [(bag, other) for other in others.values() if len(bag & other) >= 0.6 * len(bag | other)]
        for word in rarest:
            with_word[word].append(bag)
    assert near == []


def test_sizes() -> None:
    assert len(MENTORING) >= 2_100
    assert len(KIND) >= 600
    assert len(COUNTER) >= 75
    assert len(KIND) + len(COUNTER) == len(MENTIONS)
    assert len(HOSTILE) >= 250
    assert sum(500 <= len(text) <= 1_500 for text in MENTORING) >= 20
    assert sum(" " not in text for text in MENTORING) >= 50
    assert max(map(len, MENTORING)) <= 1_500


def test_heads_and_groups_are_spread() -> None:
    assert set(dict(HOSTILE)) == set(HEADS)
    assert min(Counter(head for head, _ in HOSTILE).values()) >= 40
    assert len({group for group, _ in KIND}) >= 60
    assert all(re.fullmatch("[a-z_]+", row[0]) for row in MENTIONS)


@pytest.mark.parametrize("language", LANGUAGES)
def test_mentoring_is_in_many_languages(language: str) -> None:
    least, speaks = LANGUAGES[language]
    assert sum(map(speaks, MENTORING)) >= least


def test_persian_uses_its_joiners() -> None:
    """U+200C between letters, as in می‌خواهم; never at the edge of a word, and no mark of another direction."""
    persian = list(filter(LANGUAGES["Persian"][1], MENTORING))
    assert sum("\u200c" in text for text in persian) >= 80
    for text in MENTORING:
        assert not re.search("\u200c(?!\\w)|(?<!\\w)\u200c", text), text
        assert not re.search("[\u200e\u200f\u202a-\u202e\u2066-\u2069]", text), text


def test_words_of_lists_occur_in_good_sense() -> None:
    """What a careless list would stop is there to be passed."""
    text = "\n".join(MENTORING).casefold()
    places = "scunthorpe penistone cockermouth middlesex essex fugging intercourse"
    names = "dick fanny gay cummings wang phuc dikshit assad hancock weiner"
    subjects = "zombie orphan slave bitch cock rape genocide holocaust nazi nude penis vagina erection fatal: aborted"
    phrases = ("kill -9", "git blame", "breast cancer", "suicide prevention", "hate-speech", "shoot me a message")
    assert [word for word in (*f"{places} {names} {subjects}".split(), *phrases) if word not in text] == []


LEAST_RECALL = {"abuse": 0.55, "hate": 0.69, "sexual": 0.52, "threat": 0.66, "spam": 0.9}
"""A little less than the weights that ship reach: what is flagged is sure, and much of what is vile is not."""


@pytest.fixture(scope="module")
def scoring() -> Scoring:
    """What ships."""
    return Scoring(Sources())


@pytest.fixture(scope="module")
def verdicts(scoring: Scoring) -> Verdicts:
    """By the default policies."""
    policies = {
        kind: Policy.of("enforce", default, (), scoring.scorer.thresholds)
        for kind, default in (("direct", DIRECT), ("group", GROUP))
    }
    return lambda kind, text: policies[kind].judge(scoring.score(text)).verdict


@pytest.mark.parametrize("name", NAMES)
def test_nothing_looks_disguised(scoring: Scoring, name: str) -> None:
    """Joiners of Persian and Indic scripts and of emoji, Greek letters in formulas, units and hexadecimal digits."""
    assert [text for text in TEXTS[name] if scoring.score(text).suspicious] == []


@pytest.mark.parametrize("kind", ["direct", "group"])
def test_ordinary_messages_are_allowed(verdicts: Verdicts, kind: str) -> None:
    """All but 0.5 %, in every language together."""
    stopped = [(verdict, text) for text in MENTORING if (verdict := verdicts(kind, text)) != "allow"]
    assert len(stopped) <= 0.005 * len(MENTORING), stopped


@pytest.mark.parametrize("kind", ["direct", "group"])
def test_mentioning_a_group_is_seldom_flagged_and_never_worse(verdicts: Verdicts, kind: str) -> None:
    found = [(verdict, group, text) for group, text in KIND if (verdict := verdicts(kind, text)) != "allow"]
    assert [row for row in found if row[0] != "flag"] == []
    assert len(found) <= 0.1 * len(KIND), found


def test_speaking_against_hostility_is_never_blocked(verdicts: Verdicts) -> None:
    """What is quoted may be taken for what is said, in a quarter of the sentences; a person decides then."""
    found = [(verdict, group, text) for group, text in COUNTER if (verdict := verdicts("group", text)) != "allow"]
    assert [row for row in found if row[0] == "block"] == []
    assert len(found) <= 0.25 * len(COUNTER), found


def test_hostility_is_noticed(verdicts: Verdicts, record_property: Callable[[str, object], None]) -> None:
    """By head: the share that is not simply allowed in a group."""
    of = Counter(head for head, _ in HOSTILE)
    noticed = Counter(head for head, text in HOSTILE if verdicts("group", text) != "allow")
    recall = {head: round(noticed[head] / of[head], 3) for head in HEADS}
    record_property("recall", recall)
    assert {head: share for head, share in recall.items() if share < LEAST_RECALL[head]} == {}, recall
