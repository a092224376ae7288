"""`python -m training.terms`: write the scorer's lists of terms, `terms.tsv` and `allow.txt`, from public lists.

The sources name far more than may be held against a person: anatomy, medicine, insults of children, words that are
ordinary in another language, and after folding of diacritics (`göt` is `got`, `coño` is `cono`) in ours. What is left
out and what is kept is `training/vocabulary.py`; this file reads, checks and writes. A word that the tables name and
the sources lack is an error, so that neither can drift.

Severities: 1 rude, 2 strong, 3 slurs on a group. A line is `severity<TAB>term[<TAB>sub]`; `sub` is for scripts without
spaces between words and for languages that write particles onto them. `identity<TAB>word` is a neutral name of a group.
"""

from __future__ import annotations

import argparse
import csv
import re
from collections.abc import Iterator
from pathlib import Path

from training import vocabulary
from training.reference.normalise import normalise

WEIGHTS = Path("server/moderation/weights")
_PLAIN = re.compile(r"[a-z]+(?:[ -][a-z]+)*")
_STRONG = 1.8
"""Mean rating of surge-ai's annotators from which they call a term strong."""


def written(term: str) -> str:
    """A term as the scorer reads it; a hyphen is a space."""
    return normalise(term.replace("-", " ")).plain


def words(table: str) -> list[str]:
    """The entries of a table: one a line or after a semicolon."""
    return [entry for line in table.splitlines() for entry in (part.strip() for part in line.split(";")) if entry]


def english(data: Path) -> Iterator[tuple[str, int]]:
    """Terms of `profanity_en.csv` that are letters alone (signs in them are what the normaliser folds)."""
    left_out = {written(word) for word in words(vocabulary.ENGLISH_LEFT_OUT)}
    slurs = {written(word) for word in words(vocabulary.ENGLISH_SLURS)}
    mild = {written(word) for word in words(vocabulary.ENGLISH_LESS)}
    known = set()
    with (data / "profanity_en.csv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            text = row["text"].casefold()
            term = written(text)
            known.add(term)
            if not _PLAIN.fullmatch(text) or term in left_out or len(term) < 3:
                continue
            severity = 2 if float(row["severity_rating"]) >= _STRONG else 1
            if term in mild:
                severity = 1
            slur = term in slurs or any(stem in term.replace(" ", "") for stem in words(vocabulary.SLUR_STEMS))
            yield term, 3 if slur else severity
    unknown = (left_out | mild) - known
    if unknown:
        raise SystemExit(f"not in profanity_en.csv: {sorted(unknown)}")


def others(data: Path) -> Iterator[tuple[str, int, str]]:
    """The kept words of LDNOOBW's lists, each with its severity and flags."""
    for language, table in vocabulary.KEPT.items():
        source = (data / f"ldnoobw_{language}.txt").read_text(encoding="utf-8").splitlines()
        known = {written(line) for line in source}
        flags = "sub" if language in vocabulary.UNSPACED else ""
        for severity, entries in table.items():
            for entry in words(entries):
                if written(entry) not in known:
                    raise SystemExit(f"not in ldnoobw_{language}.txt: {entry}")
                yield written(entry), severity, flags


def terms(data: Path) -> dict[str, tuple[int, str]]:
    """Each term with severity and flags; a phrase is left out when a term inside it says as much."""
    found: dict[str, tuple[int, str]] = {}
    rows = [(term, severity, "") for term, severity in english(data)]
    rows += others(data)
    for severity, entries in vocabulary.ADDED.items():
        rows += [(written(entry), severity, "") for entry in words(entries)]
    for term, severity, flags in rows:
        known = found.get(term, (0, ""))
        found[term] = (max(known[0], severity), flags or known[1])
    for term in list(found):
        parts = term.split()
        inner = {" ".join(parts[i:j]) for i in range(len(parts)) for j in range(i + 1, len(parts) + 1)} - {term}
        if any(found.get(part, (0, ""))[0] >= found[term][0] for part in inner):
            del found[term]
    return found


def identities() -> list[str]:
    """Neutral names of groups, in order."""
    return sorted({written(entry) for entry in words(vocabulary.IDENTITIES)})


def tsv(data: Path) -> str:
    found = terms(data)
    both = sorted(set(found) & set(identities()))
    if both:
        raise SystemExit(f"both a term and the name of a group: {both}")
    lines = [
        "# Written by `python -m training.terms`; sources and licences in ATTRIBUTION.md. Offensive by nature.",
        *("\t".join(filter(None, (str(found[term][0]), term, found[term][1]))) for term in sorted(found)),
        *(f"identity\t{word}" for word in identities()),
    ]
    return "\n".join(lines) + "\n"


def allowed() -> str:
    lines = sorted({written(entry) for entry in words(vocabulary.ALLOWED)})
    return (
        "# Written by `python -m training.terms`: a term inside one of these does not count.\n"
        + "\n".join(lines)
        + "\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.terms", description="Write terms.tsv and allow.txt.")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/moderation"), help="folder with DATA.md")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    given = parser.parse_args()
    (given.out / "terms.tsv").write_text(tsv(given.data), encoding="utf-8")
    (given.out / "allow.txt").write_text(allowed(), encoding="utf-8")


if __name__ == "__main__":
    main()
