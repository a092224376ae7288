"""The labelled rows of `data/moderation`, with the teacher's scores, and the sentences made for this model.

`DATA.md` beside the files says where each comes from, how rows are keyed and what the labels of templates are. A
row is `val` if the teacher's table says so; nothing of it is trained on.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from training import contrasts, crafted, ordinary, prose

NONE: Final = math.nan
Five = tuple[float, float, float, float, float]
UNKNOWN: Final[Five] = (NONE, NONE, NONE, NONE, NONE)
HARMLESS: Final[Five] = (0.0, 0.0, 0.0, 0.0, 0.0)

# What DATA.md says of the template sentences, in the order abuse, hate, sexual, threat, spam.
TEMPLATES: Final[dict[str, Five]] = {
    **dict.fromkeys(("neut", "pos", "cntr", "thing", "kill", "prof"), HARMLESS),
    "der": (1.0, 1.0, 0.0, 0.0, 0.0),
    "thr": (1.0, 1.0, 0.0, 1.0, 0.0),
    "pers": (1.0, 0.0, 0.0, 0.0, 0.0),
    "tpers": (1.0, 0.0, 0.0, 1.0, 0.0),
    "role": (NONE, 0.0, 0.0, 0.0, 0.0),
}

ORDINARY_ROWS: Final = 24_000
MENTION_ROWS: Final = 24_000
HELDOUT_ROWS: Final = 4_000
CONTRAST_ROWS: Final = 24_000
SIGN_ROWS: Final = 1_500
LITERAL_ROWS: Final = 12_000
LONG_ROWS: Final = 3_000
TOKEN_ROWS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Row:
    """One text. `label` and `teacher` are of the five heads, NaN where nothing is known."""

    text: str
    source: str
    val: bool
    label: Five
    teacher: Five

    @property
    def synthetic(self) -> bool:
        return self.source == "synthetic"


class DataError(Exception):
    """The files are not those that the teacher scored."""


def digest(text: str) -> str:
    """The first 12 hex digits of SHA-256: how the teacher's table names a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _records(path: Path, dialect: type[csv.Dialect] = csv.excel) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, dialect=dialect))


class _Tabs(csv.excel_tab):
    """Tabs between fields; a quotation mark is a character like any other."""

    quoting = csv.QUOTE_NONE


def _davidson(folder: Path) -> dict[str, tuple[str, Five]]:
    labels: dict[str, Five] = {
        "neither": (0.0, 0.0, NONE, NONE, NONE),
        "offensive": (1.0, 0.0, NONE, NONE, NONE),
        "hate": (1.0, 1.0, NONE, NONE, NONE),
    }
    records = _records(folder / "davidson_train.csv")
    return {str(at): (record["text"], labels[record["label"]]) for at, record in enumerate(records)}


def _olid(folder: Path) -> dict[str, tuple[str, Five]]:
    records = _records(folder / "olid_olid-training-v1.0.tsv", _Tabs)
    return {
        record["id"]: (record["tweet"], (float(record["subtask_a"] == "OFF"), NONE, NONE, NONE, NONE))
        for record in records
    }


def _hatemoji(path: Path) -> dict[str, tuple[str, Five]]:
    """Hate as annotated. What is not hate may well be rude, so then nothing is known of abuse."""
    found: dict[str, tuple[str, Five]] = {}
    for record in _records(path):
        threat = float(record["type"] == "threateninglanguage")
        label: Five = (1.0, 1.0, NONE, threat, NONE) if record["label_gold"] == "1" else (NONE, 0.0, NONE, 0.0, NONE)
        found[record["entry_id"]] = (record["text"], label)
    return found


def _convabuse(path: Path) -> dict[str, tuple[str, Five]]:
    """The user's turn; abuse, sexual and hate by the majority of annotators. Keyed by text, since ids repeat."""
    votes: dict[str, list[int]] = {}
    for record in _records(path):

        def count(*ends: str, record: dict[str, str] = record) -> int:
            # A cell is a vote, or several by the same person ("0, 1").
            return sum(value.count("1") for name, value in record.items() if value and name.endswith(ends))

        row = votes.setdefault(record["user"], [0, 0, 0, 0])
        row[0] += count("is_abuse.-1", "is_abuse.-2", "is_abuse.-3")
        row[1] += count("is_abuse.0", "is_abuse.1")
        row[2] += count("_sex_harassment")
        row[3] += count("_racist", "_sexist", "_homophobic", "_transphobic", "_ableist")
    found: dict[str, tuple[str, Five]] = {}
    for text, (abuse, fine, sexual, hate) in votes.items():
        half = (abuse + fine) / 2
        found[text] = (text, (float(abuse > fine), float(hate > half), float(sexual > half), NONE, NONE))
    return {digest(text): value for text, value in found.items()}


def _spam(folder: Path) -> dict[str, tuple[str, Five]]:
    lines = (folder / "sms_spam_train.tsv").read_bytes().decode().split("\n")
    rows = [line.split("\t", 1) for line in lines if line]
    return {str(at): (text, (NONE, NONE, NONE, NONE, float(label == "spam"))) for at, (label, text) in enumerate(rows)}


def _profanity(folder: Path) -> dict[str, tuple[str, Five]]:
    found: dict[str, tuple[str, Five]] = {}
    for at, record in enumerate(_records(folder / "profanity_en.csv")):
        sexual = 1.0 if record["category_1"].startswith("sexual anatomy") else NONE
        hate = 1.0 if record["category_1"].startswith("racial") else NONE
        found[str(at)] = (record["text"], (1.0, hate, sexual, NONE, NONE))
    return found


def scored(folder: Path) -> Iterator[Row]:
    """Every row of the teacher's table with its text and label. DataError if a text is not the one that was scored."""
    labelled = {
        "davidson_train.csv": _davidson(folder),
        "olid_olid-training-v1.0.tsv": _olid(folder),
        "hatemoji_hatemojibuild_train.csv": _hatemoji(folder / "hatemoji_hatemojibuild_train.csv"),
        "hatemoji_hatemojibuild_validation.csv": _hatemoji(folder / "hatemoji_hatemojibuild_validation.csv"),
        "convabuse_convabuseemnlptrain.csv": _convabuse(folder / "convabuse_convabuseemnlptrain.csv"),
        "convabuse_convabuseemnlpvalid.csv": _convabuse(folder / "convabuse_convabuseemnlpvalid.csv"),
        "sms_spam_train.tsv": _spam(folder),
        "profanity_en.csv": _profanity(folder),
    }
    with gzip.open(folder / "teacher_scores.csv.gz", "rt", encoding="utf-8", newline="") as file:
        for record in csv.DictReader(file):
            source = record["file"]
            teacher: Five = (
                int(record["abuse"]) / 100,
                int(record["hate"]) / 100,
                int(record["sexual"]) / 100,
                int(record["threat"]) / 100,
                int(record["spam"]) / 100,
            )
            if source in labelled:
                key = record["sha256_12"] if source.startswith("convabuse") else record["key"]
                text, label = labelled[source][key]
                if digest(text) != record["sha256_12"]:
                    raise DataError(f"row {record['key']} of {source} is not the text that the teacher scored")
            else:
                text = record["text"]
                label = TEMPLATES[source.removeprefix("template:")] if source != "synthetic" else UNKNOWN
            name = source.split("_")[0] if source in labelled else source
            yield Row(text, name, record["split"] == "val", label, teacher)


def made(seed: int) -> Iterator[Row]:
    """Ordinary messages and kind mentions, which score nothing, and crafted threats, advances and offers."""
    for text in ordinary.ordinary(ORDINARY_ROWS, seed):
        yield Row(text, "ordinary", False, HARMLESS, UNKNOWN)
    for text in ordinary.mentions(MENTION_ROWS, seed):
        yield Row(text, "mention", False, HARMLESS, UNKNOWN)
    for text in contrasts.contrasts(CONTRAST_ROWS, seed):
        yield Row(text, "contrast", False, HARMLESS, UNKNOWN)
    for text in (
        *prose.documentation(),
        *prose.sayings(seed),
        *prose.signs(seed, SIGN_ROWS),
        *prose.tokens(seed, TOKEN_ROWS),
    ):
        yield Row(text, "ordinary", False, HARMLESS, UNKNOWN)
    for text, label in crafted.crafted(seed):
        yield Row(text, "crafted", False, label, UNKNOWN)
    for text in (
        *contrasts.literal(LITERAL_ROWS, seed),
        *prose.lone_words(),
        *prose.long(seed, LONG_ROWS),
        *(" ".join(texts) for texts in zip(*[iter(ordinary.ordinary(LONG_ROWS * 5, seed + 1))] * 5, strict=True)),
    ):
        yield Row(text, "ordinary", False, HARMLESS, UNKNOWN)


def heldout(seed: int) -> Iterator[Row]:
    """Ordinary messages, kind mentions and hostility from frames, names and groups that training never sees."""
    for text in ordinary.ordinary(HELDOUT_ROWS, seed, heldout=True):
        yield Row(text, "ordinary", True, HARMLESS, UNKNOWN)
    for text in contrasts.contrasts(HELDOUT_ROWS // 2, seed, heldout=True):
        yield Row(text, "contrast", True, HARMLESS, UNKNOWN)
    for text in (
        *prose.documentation(heldout=True),
        *prose.sayings(seed, heldout=True),
        *prose.tokens(seed, HELDOUT_ROWS // 4, heldout=True),
        *prose.long(seed, HELDOUT_ROWS // 8, heldout=True),
    ):
        yield Row(text, "ordinary", True, HARMLESS, UNKNOWN)
    for text in ordinary.mentions(HELDOUT_ROWS, seed, heldout=True):
        yield Row(text, "mention", True, HARMLESS, UNKNOWN)
    for text, label in crafted.crafted(seed, heldout=True):
        yield Row(text, "crafted", True, label, UNKNOWN)


def rows(folder: Path, seed: int, share: float = 1.0) -> list[Row]:
    """All rows: the teacher's, those that were made, and those held out; or a random share of them (for a trial).

    ConvAbuse repeats texts (`yes`), and a text of validation may stand in training too: there it is left out.
    """
    found = [*scored(folder), *made(seed), *heldout(seed)]
    if share < 1:
        source = random.Random(seed)  # noqa: S311 - repeatable, not secret
        found = [row for row in found if row.val or source.random() < share]
    known = {row.text for row in found if row.val}
    return [row for row in found if row.val or row.text not in known]
