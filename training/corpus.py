"""Rows as arrays: each distinct word once with the table rows of its pieces, texts as runs of word numbers."""

from __future__ import annotations

import hashlib
import pickle
import random
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from multiprocessing import Pool
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from training.data import Row
from training.evade import KINDS, leet, masked, repeats, typing
from training.progress import say
from training.reference import normalise
from training.reference.features import EMBEDDING_BITS, LINEAR_BITS, embedding_row, linear_row, pair, pieces
from training.reference.model import HEADS, WINDOW

Floats: TypeAlias = NDArray[np.float32]
Ints: TypeAlias = NDArray[np.int32]

# The label's part of a target. Whether an SMS is spam, people agree on, and the teacher saw few.
LABEL_SHARE: Final = 0.15
LABEL_SHARES: Final = {"sms": 0.5}
EVADED_WEIGHT: Final = 0.5
# What people wrote counts for more than what was made, and is read in each epoch; of the rest, a share is drawn anew.
REAL: Final = frozenset({"davidson", "olid", "hatemoji", "convabuse", "sms"})
REAL_WEIGHT: Final = 1.5
# What a head learns most from counts for more: a public set is small beside the rest.
HEAD_WEIGHTS: Final = {"olid": ("abuse", 3.0), "convabuse": ("abuse", 2.0), "sms": ("spam", 4.0)}
DRAWN: Final = {"synthetic": 0.3, "ordinary": 0.3, "contrast": 0.3, "mention": 0.3, "crafted": 0.3}
_PROCESSES: Final = 2

# Plain words with plain punctuation after them, which normalisation only cuts apart: most synthetic texts.
_PLAIN: Final = re.compile(
    r"(?!.*([a-z])\1\1)(?!.*\b[a-z] [a-z]\b)"
    r"#?[a-z]+(?:'[a-z]{1,2})?[.,!?]?(?: (?:#?[a-z]+(?:'[a-z]{1,2})?[,!?.]?|[.,!?]))*"
)
_PLAIN_WORD: Final = re.compile(r"[a-z]+(?:'[a-z]+)*|[^ ]")


def words(text: str) -> list[str]:
    """The normalised words that are trained on: what one window holds."""
    lower = text.lower() if text.isascii() else text
    if _PLAIN.fullmatch(lower):
        return _PLAIN_WORD.findall(lower)[:WINDOW]
    return normalise.normalise(text).tokens()[:WINDOW]


def normalised(texts: Sequence[str], cache: Path) -> list[list[str]]:
    """The words of each text, in two processes; kept in `cache` under the digest of the normaliser."""
    source = Path(normalise.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(source.glob("*")):
        if path.is_file() and path.name not in ("model.py", "features.py", "__init__.py"):
            digest.update(path.read_bytes())
    kept = cache / f"words-{digest.hexdigest()[:16]}.pickle"
    found: dict[str, list[str]] = pickle.loads(kept.read_bytes()) if kept.exists() else {}  # noqa: S301 - written below
    unknown = [text for text in dict.fromkeys(texts) if text not in found]
    if unknown:
        say(f"normalising {len(unknown)} texts")
        with Pool(_PROCESSES) as pool:
            for text, one in zip(unknown, pool.imap(words, unknown, chunksize=1000), strict=True):
                # One object for each distinct word: a tenth of the memory.
                found[text] = [sys.intern(word) for word in one]
        cache.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(pickle.dumps(found))
    return [found[text] for text in texts]


@dataclass(slots=True)
class Vocabulary:
    """Distinct words and pairs, numbered as they come, with the hashes of their pieces."""

    numbers: dict[str, int] = field(default_factory=dict)
    pairs: dict[tuple[int, int], int] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)

    def number(self, word: str) -> int:
        found = self.numbers.get(word)
        if found is None:
            found = self.numbers[word] = len(self.names)
            self.names.append(word)
        return found

    def pair_row(self, left: int, right: int) -> int:
        found = self.pairs.get((left, right))
        if found is None:
            found = self.pairs[left, right] = linear_row(pair(self.names[left], self.names[right]))
        return found

    def matrices(self) -> tuple[Any, Any, Ints]:
        """Word × row of the embedding, word × row of the linear part (how often each occurs), and pieces a word."""
        hashes = [pieces(word) for word in self.names]
        counts = np.array([len(found) for found in hashes], dtype=np.int32)
        ends = np.concatenate([[0], np.cumsum(counts)])
        ones = np.ones(ends[-1], dtype=np.float32)
        embedding = np.array([embedding_row(state) for found in hashes for state in found], dtype=np.int32)
        linear = np.array([linear_row(state) for found in hashes for state in found], dtype=np.int32)
        shape = (len(self.names), 1 << EMBEDDING_BITS)
        return (
            csr_matrix((ones, embedding, ends), shape=shape),
            csr_matrix((ones.copy(), linear, ends), shape=(len(self.names), 1 << LINEAR_BITS)),
            counts,
        )


@dataclass(slots=True)
class Texts:
    """Texts one after another: `tokens[ends[i]:ends[i+1]]` are the words of text i; `pairs` are rows of the linear
    part, of the word there and the next; -1 at a text's last word."""

    tokens: Ints
    pairs: Ints
    ends: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ends) - 1

    @classmethod
    def of(cls, texts: Iterable[Sequence[str]], vocabulary: Vocabulary) -> Texts:
        tokens: list[int] = []
        pairs: list[int] = []
        ends = [0]
        for text in texts:
            numbers = [vocabulary.number(word) for word in text]
            tokens += numbers
            if numbers:
                pairs += [vocabulary.pair_row(a, b) for a, b in pairwise(numbers)]
                pairs.append(-1)
            ends.append(len(tokens))
        return cls(np.array(tokens, np.int32), np.array(pairs, np.int32), np.array(ends, np.int64))

    def take(self, which: NDArray[np.int64]) -> Texts:
        """Some of the texts, in the order given."""
        lengths = self.ends[which + 1] - self.ends[which]
        ends = np.concatenate([[0], np.cumsum(lengths)])
        at = np.arange(ends[-1]) + np.repeat(self.ends[which] - ends[:-1], lengths)
        return Texts(self.tokens[at], self.pairs[at], ends)


@dataclass(slots=True)
class Corpus:
    """What is trained on: texts, by text and head the target (NaN: unknown) and its weight, and the share of epochs
    that a text takes part in."""

    texts: Texts
    targets: Floats
    weights: Floats
    drawn: Floats


def targets(rows: Sequence[Row]) -> Floats:
    """A share of the label and the rest of the teacher; either alone where the other is unknown."""
    label = np.array([row.label for row in rows], dtype=np.float32)
    teacher = np.array([row.teacher for row in rows], dtype=np.float32)
    share = np.array([LABEL_SHARES.get(row.source, LABEL_SHARE) for row in rows], dtype=np.float32)[:, None]
    both = share * label + (1 - share) * teacher
    return np.where(np.isnan(label), teacher, np.where(np.isnan(teacher), label, both)).astype(np.float32)


def evaded(rows: Sequence[Row], seed: int) -> list[tuple[str, Row]]:
    """A copy of each labelled row (and of every eighth synthetic one) that is written round a filter.

    Most are of the kinds that normalisation does not undo.
    """
    source = random.Random(seed)  # noqa: S311 - repeatable, not secret
    kinds = [*KINDS.values(), repeats, repeats, masked, masked, typing, typing, leet]
    found = []
    for at, row in enumerate(rows):
        if row.synthetic and at % 8:
            continue
        found.append((source.choice(kinds)(row.text, source), row))
    return found


def build(rows: Sequence[Row], vocabulary: Vocabulary, seed: int, cache: Path) -> Corpus:
    """The training rows and their evaded copies. A text without words, or one that validation holds, is left out."""
    training = [row for row in rows if not row.val]
    copies = evaded(training, seed)
    everything = normalised([row.text for row in rows if row.val], cache)
    known = {tuple(text) for text in everything}
    texts = normalised([*(row.text for row in training), *(text for text, _ in copies)], cache)
    origin = [*training, *(row for _, row in copies)]
    weight = np.array([REAL_WEIGHT if row.source in REAL else 1 for row in origin], np.float32)
    weight[len(training) :] *= EVADED_WEIGHT
    weights = np.repeat(weight[:, None], len(HEADS), axis=1)
    for source, (head, factor) in HEAD_WEIGHTS.items():
        weights[[row.source == source for row in origin], HEADS.index(head)] *= np.float32(factor)
    drawn = np.array([DRAWN.get(row.source, 1) for row in origin], np.float32)
    kept = np.array([bool(text) and tuple(text) not in known for text in texts])
    goal = targets(origin)
    assert goal.shape == (len(texts), len(HEADS))
    chosen = [text for text, keep in zip(texts, kept, strict=True) if keep]
    return Corpus(Texts.of(chosen, vocabulary), goal[kept], weights[kept], drawn[kept])
