"""The second half of the spam head: a logistic regression on the features of the linear part.

The words of an offer give it away, but what the network learns of a few thousand SMS it learns by heart: on those that
it never saw, its spam head is worse than a plain logistic regression on the same words. So that is fitted on its own,
with the labels alone as targets, and its logit is added to a part of the network's. Not fitted around the network's
logit, which knows each training SMS: little would be left to learn.

Both are sums over the same features, so that they ship as one column of the linear part and one row of `out`. The other
heads stay what they were, to the bit.
"""

from __future__ import annotations

import random
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags
from scipy.special import expit

from training import prose
from training.corpus import EVADED_WEIGHT, Floats, Ints, Texts, Vocabulary, evaded, normalised
from training.data import HARMLESS, UNKNOWN, Row
from training.quantise import to_int8
from training.reference.features import LINEAR_BITS
from training.reference.model import BIAS, HEADS, HIDDEN, WEIGHT, Model

Doubles: TypeAlias = NDArray[np.float64]

SPAM: Final = HEADS.index("spam")
NETWORK_SHARE: Final = 0.5
"""What is kept of the network's own logit, which knows offers in other words than those of SMS."""
SMS_WEIGHT: Final = 20.0
FIGURES_ROWS: Final = 3_000
"""Harmless sentences in figures, which among SMS stand in offers."""
OTHERS: Final = 0.2
"""The share of the other rows that is fitted on, which are many and alike; none that is synthetic, for such a text may
be a piece of an SMS with the teacher's mind on it."""
PENALTY: Final = 1.0
STEPS: Final = 100
_MEMORY: Final = 10


@dataclass(frozen=True, slots=True)
class Examples:
    """Texts, each with words; how much each is spam, 0 to 1; and its weight."""

    texts: Texts
    targets: Doubles
    weights: Doubles


def examples(rows: Sequence[Row], vocabulary: Vocabulary, seed: int, cache: Path) -> Examples:
    """All SMS, some of the other training rows and harmless sentences in figures, each with its evaded copy; nothing
    that validation holds. The target is the label, or the teacher's where there is none."""
    source = random.Random(seed)  # noqa: S311 - repeatable, not secret
    chosen = [
        row for row in rows if not row.val and not row.synthetic and (row.source == "sms" or source.random() < OTHERS)
    ]
    chosen += [Row(text, "ordinary", False, HARMLESS, UNKNOWN) for text in prose.figures(seed, FIGURES_ROWS)]
    copies = evaded(chosen, seed)
    origin = [*chosen, *(row for _, row in copies)]
    known = {tuple(text) for text in normalised([row.text for row in rows if row.val], cache)}
    texts = normalised([*(row.text for row in chosen), *(text for text, _ in copies)], cache)
    weights = np.array([SMS_WEIGHT if row.source == "sms" else 1.0 for row in origin])
    weights[len(chosen) :] *= EVADED_WEIGHT
    label = np.array([row.label[SPAM] for row in origin])
    teacher = np.array([row.teacher[SPAM] for row in origin])
    targets = np.where(np.isnan(label), teacher, label)
    kept = np.array([bool(text) and tuple(text) not in known for text in texts]) & ~np.isnan(targets)
    some = [text for text, keep in zip(texts, kept, strict=True) if keep]
    return Examples(Texts.of(some, vocabulary), targets[kept], weights[kept])


def features(texts: Texts, matrices: tuple[Any, Any, Ints]) -> Any:
    """Text × row of the linear part: how often each occurs, by the root of how many there are. Every text has a
    word."""
    _, by_word, counts = matrices
    lengths = np.diff(texts.ends)
    text = np.repeat(np.arange(len(texts)), lengths)
    has = texts.pairs >= 0

    def sparse(rows: NDArray[Any], columns: NDArray[Any], width: int) -> Any:
        return csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=(len(texts), width))

    found = sparse(text, texts.tokens, by_word.shape[0]) @ by_word
    found = found + sparse(text[has], texts.pairs[has], 1 << LINEAR_BITS)
    many = np.add.reduceat(counts[texts.tokens].astype(np.int64), texts.ends[:-1]) + lengths - 1
    return (diags((1 / np.sqrt(many)).astype(np.float32)) @ found).tocsr()


def _inner(left: Doubles, right: Doubles) -> float:
    # Not BLAS, whose sums depend on how many threads it has.
    return float((left * right).sum())


def minimise(of: Callable[[Doubles], tuple[float, Doubles]], at: Doubles, steps: int) -> Doubles:
    """Where a convex function, given with its gradient, is least, as far as so many steps of L-BFGS go (Nocedal and
    Wright 2006, algorithm 7.5, with backtracking).

    scipy's own calls BLAS, and would not come to the same weights on every machine.
    """
    value, slope = of(at)
    pairs: deque[tuple[Doubles, Doubles, float]] = deque(maxlen=_MEMORY)
    for _ in range(steps):
        way = -slope
        shares = []
        for moved, turned, product in reversed(pairs):
            shares.append(_inner(moved, way) / product)
            way -= shares[-1] * turned
        if pairs:
            way *= pairs[-1][2] / _inner(pairs[-1][1], pairs[-1][1])
        for (moved, turned, product), part in zip(pairs, reversed(shares), strict=True):
            way += (part - _inner(turned, way) / product) * moved
        fall = _inner(slope, way)
        rate = 1.0 if pairs else min(1.0, 1 / np.sqrt(-fall)) if fall else 0.0
        while True:
            then = at + rate * way
            lower, steeper = of(then)
            if lower <= value + 1e-4 * rate * fall:
                break
            rate /= 2
            if rate < 1e-10:
                return at
        product = _inner(then - at, steeper - slope)
        if product <= 0:
            return then
        pairs.append((then - at, steeper - slope, product))
        at, value, slope = then, lower, steeper
    return at


def fit(given: Any, targets: Doubles, weights: Doubles, penalty: float = PENALTY) -> Doubles:
    """The weights of a logistic regression on `given`, text × feature, with a ridge penalty, and last its intercept."""
    back = given.T.tocsr()

    def loss(at: Doubles) -> tuple[float, Doubles]:
        logits = given @ at[:-1] + at[-1]
        wrong = weights * (expit(logits) - targets)
        value = float((weights * (np.logaddexp(0, logits) - targets * logits)).sum())
        value += 0.5 * penalty * _inner(at[:-1], at[:-1])
        return value, np.append(back @ wrong + penalty * at[:-1], wrong.sum())

    return minimise(loss, np.zeros(given.shape[1] + 1), STEPS)


def joined(model: Model, weights: Doubles) -> Model:
    """The integer model whose spam logit is a share of what it was plus that of a regression, both by a factor that
    makes the greatest weights fit the scale which the linear part has. To calibrate anew.

    ValueError if the intercept does not fit.
    """
    unit = model.linear_mul / (1 << 24)
    linear = np.frombuffer(model.linear, np.int8).reshape(1 << LINEAR_BITS, len(HEADS)).copy()
    column: Floats = (weights[:-1] + NETWORK_SHARE * unit * linear[:, SPAM]).astype(np.float32)
    linear[:, SPAM], scale = to_int8(column)
    factor = unit / scale
    out = np.array(model.out_weight, np.int64).reshape(len(HEADS), HIDDEN)
    bias = np.array(model.out_bias, np.int64)
    out[SPAM] = np.clip(np.rint(out[SPAM] * NETWORK_SHARE * factor), -WEIGHT, WEIGHT)
    intercept = float(weights[-1]) * (1 << 40) / model.out_mul
    bias[SPAM] = round(float(bias[SPAM] * NETWORK_SHARE + intercept) * factor)
    if abs(int(bias[SPAM])) > BIAS:
        raise ValueError("the intercept of the regression does not fit the model's scale")
    return replace(
        model,
        linear=array("b", linear.tobytes()),
        out_weight=array("h", out.ravel().tolist()),
        out_bias=array("i", bias.tolist()),
    )


def improved(model: Model, given: Examples, matrices: tuple[Any, Any, Ints]) -> Model:
    """The model with the regression of `given` in its spam head."""
    return joined(model, fit(features(given.texts, matrices), given.targets, given.weights))
