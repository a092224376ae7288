"""Every figure of the model, on rows marked `val` and on the held-out sentences, with the integers that ship."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from training import data, measure
from training.corpus import Texts, Vocabulary, normalised
from training.data import Row
from training.evade import KINDS
from training.progress import say
from training.quantise import Longs, probabilities, run
from training.reference import normalise
from training.reference.model import HEADS, LEVELS, ONE, Model, scores

Flags: TypeAlias = NDArray[np.bool_]
Doubles: TypeAlias = NDArray[Any]

# Least figures that are asked of the model; of recall under evasion, the share of the clean recall.
TARGETS: Final = {"davidson_auc": 0.985, "olid_auc": 0.84, "spam_auc": 0.99, "convabuse_macro_f1": 0.90}
EVASION_TARGETS: Final = {"homoglyph": 0.95, "zero_width": 0.95, "leet": 0.95, "repeats": 0.95, "spacing": 0.85}

# How a group is found in a text, to report by group mentioned.
GROUPS: Final = {
    "women": r"wom[ae]n|girls?|mothers?",
    "men": r"m[ae]n|boys?|fathers?",
    "Muslims": r"muslims?|islam(?:ic)?",
    "Jews": r"jew(?:s|ish)?",
    "Christians": r"christians?|catholics?",
    "Hindus, Sikhs, Buddhists": r"hindus?|sikhs?|buddhists?",
    "atheists": r"atheists?",
    "gay and lesbian people": r"gays?|lesbians?|bisexuals?|queer|lgbt\w*",
    "trans and nonbinary people": r"trans|transgender|nonbinary",
    "Black people and Africans": r"black|africans?|nigerians?|somalis?|ethiopians?",
    "white people": r"white",
    "Asians": r"asians?|chinese|japanese|koreans?|vietnamese|filipinos?|thais?",
    "Indians and Pakistanis": r"indians?|pakistanis?|tamils?|bengalis?",
    "Arabs, Persians, Turks, Kurds": r"arabs?|persians?|iranians?|turks?|kurds?|syrians?|iraqis?|afghans?",
    "Latin Americans": r"latin[oa]s?|mexicans?|brazilians?|colombians?|hispanics?",
    "Europeans": r"poles?|romanians?|germans?|french|irish|italians?|ukrainians?|russians?",
    "Roma and Travellers": r"roma|travellers?|gyps(?:y|ies)",
    "indigenous people": r"indigenous|native americans?|aboriginal|inuit|maori",
    "immigrants and refugees": r"immigrants?|migrants?|refugees?|asylum seekers?|foreigners?",
    "disabled people": r"disabled|blind|deaf|wheelchair|autistic|down syndrome|dyslexi[ac]",
    "people with mental illness": r"mentally ill|schizophreni[ac]|depression",
    "old people": r"old|elderly",
    "poor and homeless people": r"poor|homeless",
}


@dataclass(slots=True)
class Judge:
    """A model over many texts."""

    model: Model
    cache: Path

    def logits(self, texts: Sequence[str]) -> Longs:
        vocabulary = Vocabulary()
        found = Texts.of(normalised(texts, self.cache), vocabulary)
        return run(self.model, found, vocabulary.matrices())

    def scores(self, texts: Sequence[str]) -> Longs:
        return probabilities(self.model, self.logits(texts))

    def reached(self, found: Longs, level: str) -> Flags:
        """Whether any head reaches its threshold of `level`."""
        at = np.array([levels[LEVELS.index(level)] for levels in self.model.thresholds])
        return np.asarray((found >= at).any(axis=1), np.bool_)


def share(flags: Flags) -> float:
    return float(flags.mean()) if len(flags) else float("nan")


def public(rows: Sequence[Row], found: Doubles, trained: Sequence[Row], on_trained: Doubles) -> dict[str, float]:
    """The figures on public sets of anything that orders texts by head: AUC, and of ConvAbuse macro-F1 at the threshold
    that is best on its training rows."""
    label = np.array([row.label for row in rows])
    source = np.array([row.source for row in rows])

    def area(name: str, head: int) -> float:
        which = (source == name) & ~np.isnan(label[:, head])
        return measure.auc(found[which, head], label[which, head])

    conv = source == "convabuse"
    at = measure.best_threshold(on_trained[:, 0], [row.label[0] for row in trained])
    return {
        "davidson_auc": area("davidson", 0),
        "olid_auc": area("olid", 0),
        "spam_auc": area("sms", 4),
        "convabuse_macro_f1": measure.macro_f1(found[conv, 0] >= at, label[conv, 0]),
        "convabuse_auc": area("convabuse", 0),
        "hatemoji_auc": area("hatemoji", 1),
    }


def by_head(judge: Judge, rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Of each head: rows with a label, AUC, calibration, and what its levels catch and wrongly catch."""
    found = judge.scores([row.text for row in rows])
    label = np.array([row.label for row in rows])
    heads: dict[str, dict[str, float]] = {}
    for head, name in enumerate(HEADS):
        known = ~np.isnan(label[:, head])
        values, truth = found[known, head], label[known, head] > 0.5
        entry = {
            "rows": int(known.sum()),
            "positives": int(truth.sum()),
            "auc": measure.auc(values, truth),
            "calibration_error": measure.calibration_error(values / ONE, truth),
        }
        for at, level in enumerate(LEVELS):
            threshold = judge.model.thresholds[head][at]
            entry[f"{level}_threshold"] = threshold / ONE
            entry[f"{level}_recall"] = share(values[truth] >= threshold)
            entry[f"{level}_false"] = share(values[~truth] >= threshold)
        heads[name] = entry
    return heads


def by_evasion(judge: Judge, rows: Sequence[Row], harmless: Sequence[str], seed: int) -> dict[str, dict[str, float]]:
    """Recall at `flag` of offensive rows written round a filter, and how often harmless ones are flagged then."""
    texts = [row.text for row in rows]
    clean = share(judge.reached(judge.scores(texts), "flag"))
    found = {
        "none": {
            "recall": clean,
            "of_clean": 1.0,
            "harmless_flagged": share(judge.reached(judge.scores(harmless), "flag")),
        }
    }
    for name, kind in KINDS.items():
        source = random.Random(seed)  # noqa: S311 - repeatable, not secret
        recall = share(judge.reached(judge.scores([kind(text, source) for text in texts]), "flag"))
        wrong = share(judge.reached(judge.scores([kind(text, source) for text in harmless]), "flag"))
        found[name] = {"recall": recall, "of_clean": recall / clean, "harmless_flagged": wrong}
    return found


def by_group(judge: Judge, rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Of texts that mention a group: how often harmless ones are flagged or blocked, and hateful ones flagged."""
    found = judge.scores([row.text for row in rows])
    flagged, blocked = judge.reached(found, "flag"), judge.reached(found, "block")
    hateful = np.array([row.label[1] == 1 for row in rows])
    harmless = np.array([row.label[0] == 0 and row.label[1] == 0 for row in rows])
    groups: dict[str, dict[str, float]] = {}
    for name, pattern in GROUPS.items():
        search = re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE).search
        named = np.array([search(row.text) is not None for row in rows])
        groups[name] = {
            "harmless": int((named & harmless).sum()),
            "harmless_flagged": share(flagged[named & harmless]),
            "harmless_blocked": share(blocked[named & harmless]),
            "hateful": int((named & hateful).sum()),
            "hateful_flagged": share(flagged[named & hateful]),
        }
    return groups


def evaluate(path: Path, folder: Path, cache: Path, seed: int) -> dict[str, Any]:
    """All figures, as JSON has them. AssertionError if the integers in bulk are not those of the reference."""
    contents = path.read_bytes()
    judge = Judge(Model.from_bytes(contents), cache)
    everything = [row for row in data.rows(folder, seed) if row.val or row.source == "convabuse"]
    rows = [row for row in everything if row.val]
    texts = [row.text for row in rows]
    say("holding bulk arithmetic against the reference")
    some = texts[:: len(texts) // 150]
    expected = [scores(judge.model, normalise.normalise(text).tokens()) for text in some]
    assert judge.scores(some).tolist() == expected
    say("public sets")
    linear = Judge(replace(judge.model, out_mul=0), cache)
    trained = [row for row in everything if not row.val]
    on_trained = [row.text for row in trained]
    by_teacher = [np.array([row.teacher for row in some]) for some in (rows, trained)]
    found: dict[str, Any] = {
        "name": judge.model.name,
        "sha256": hashlib.sha256(contents).hexdigest(),
        "bytes": len(contents),
        "public": public(rows, judge.logits(texts), trained, judge.logits(on_trained)),
        "public_linear": public(rows, linear.logits(texts), trained, linear.logits(on_trained)),
        "public_teacher": public(rows, by_teacher[0], trained, by_teacher[1]),
        "heads": by_head(judge, rows),
    }
    held = judge.scores(texts)
    for source in ("ordinary", "contrast", "mention"):
        which = np.array([row.source == source for row in rows])
        found[source] = {"rows": int(which.sum())}
        found[source].update({level: share(judge.reached(held, level)[which]) for level in LEVELS})
    say("evasion")
    offensive = [row for row in rows if row.label[0] == 1 and row.source != "crafted"]
    harmless = [row.text for row in rows if row.source == "ordinary"][:2000]
    found["evasion"] = by_evasion(judge, offensive, harmless, seed)
    found["evasion_rows"] = len(offensive)
    say("groups")
    found["groups"] = by_group(judge, rows)
    return found


def verdict(value: float, target: float) -> str:
    return "met" if value >= target else "missed"


def table(found: dict[str, Any]) -> str:
    """The figures as a person reads them."""
    lines = [f"model {found['name']}, {found['bytes']} bytes, SHA-256 {found['sha256'][:16]}", "", "public sets (val)"]
    for name, value in found["public"].items():
        target = TARGETS.get(name)
        asked = f"  >= {target}: {verdict(value, target)}" if target else ""
        lines.append(
            f"  {name:20} {value:.4f}  (linear part alone {found['public_linear'][name]:.4f}, "
            f"teacher {found['public_teacher'][name]:.4f}){asked}"
        )
    lines += ["", "heads           rows  positives  AUC     ECE    recall/false at attention, flag, hold, block"]
    for name, head in found["heads"].items():
        levels = "  ".join(
            f"{head[f'{level}_recall']:.3f}/{head[f'{level}_false']:.4f} (>={head[f'{level}_threshold']:.3f})"
            for level in LEVELS
        )
        lines.append(
            f"  {name:12} {head['rows']:6} {head['positives']:6}  {head['auc']:.4f}  {head['calibration_error']:.3f}"
            f"  {levels}"
        )
    lines.append("")
    for source in ("ordinary", "contrast", "mention"):
        entry = found[source]
        levels = ", ".join(f"{level} {100 * entry[level]:.2f} %" for level in LEVELS)
        lines.append(f"held-out {source} sentences ({entry['rows']}): {levels}")
    lines += ["", f"evasion, {found['evasion_rows']} offensive rows: recall at flag, share of clean, harmless flagged"]
    for name, entry in found["evasion"].items():
        target = EVASION_TARGETS.get(name)
        asked = f"  >= {target}: {verdict(entry['of_clean'], target)}" if target else ""
        lines.append(
            f"  {name:12} {entry['recall']:.3f}  {entry['of_clean']:.3f}  {entry['harmless_flagged']:.4f}{asked}"
        )
    lines += ["", "groups: harmless rows, flagged, blocked; hateful rows, flagged"]
    for name, entry in found["groups"].items():
        lines.append(
            f"  {name:30} {entry['harmless']:5} {entry['harmless_flagged']:.3f} {entry['harmless_blocked']:.3f}"
            f"  {entry['hateful']:5} {entry['hateful_flagged']:.3f}"
        )
    return "\n".join(lines)
