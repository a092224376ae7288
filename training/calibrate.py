"""Probabilities and thresholds: Platt's two numbers and the levels of each head, from rows that training never saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from training.data import Row
from training.quantise import Longs, probabilities
from training.reference.model import HEADS, LEVELS, ONE, Model

Doubles: TypeAlias = NDArray[np.float64]

# For each level: the least probability, and the greatest share of harmless rows, by where they come from, that may
# reach it. `ordinary`, `contrast` and `mention` are the held-out sentences (those of `crafted` count for no limit);
# `talk` are validation rows of ConvAbuse, SMS and the templates; `tweets` those of Davidson, OLID and Hatemoji, whose
# labels are noisy.
LIMITS: Final[dict[str, tuple[float, dict[str, float]]]] = {
    "attention": (0.25, {"ordinary": 0.02, "contrast": 0.15, "mention": 0.1, "talk": 0.06, "tweets": 0.3}),
    "flag": (0.65, {"ordinary": 0.002, "contrast": 0.03, "mention": 0.03, "talk": 0.02, "tweets": 0.18}),
    "hold": (0.9, {"ordinary": 0.0005, "contrast": 0.005, "mention": 0.0005, "talk": 0.005, "tweets": 0.05}),
    "block": (0.95, {"ordinary": 0.0, "contrast": 0.0005, "mention": 0.0, "talk": 0.0015, "tweets": 0.015}),
}


def origin(row: Row) -> str:
    """Which limit a harmless row falls under."""
    if row.source in ("ordinary", "contrast", "mention", "crafted"):
        return row.source
    return "tweets" if row.source in ("davidson", "olid", "hatemoji") else "talk"


def platt(logits: Doubles, labels: Doubles) -> tuple[float, float]:
    """a and b of sigmoid(a * logit + b) by Newton's method, with Platt's smoothed targets (Platt 1999)."""
    positives = labels.sum()
    goal = np.where(labels > 0, (positives + 1) / (positives + 2), 1 / (len(labels) - positives + 2))
    inputs = np.stack([logits, np.ones_like(logits)], axis=1)
    beta = np.array([1.0, 0.0])
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(inputs @ beta, -30, 30)))
        slope = inputs.T @ (p - goal)
        curve = (inputs * (p * (1 - p))[:, None]).T @ inputs + 1e-6 * np.eye(2)
        step = np.linalg.solve(curve, slope)
        beta -= np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-9:
            break
    return float(max(beta[0], 0.05)), float(beta[1])


def threshold(negatives: dict[str, Longs], least: float, limits: dict[str, float]) -> int:
    """The least score, in 1/65536, that no more than the allowed share of each kind of harmless rows reaches."""
    found = round(least * ONE)
    for kind, share in limits.items():
        scores = np.sort(negatives.get(kind, np.zeros(0, np.int64)))[::-1]
        allowed = int(share * len(scores))
        if allowed < len(scores):
            found = max(found, int(scores[allowed]) + 1)
    return min(found, ONE)


def calibrate(model: Model, rows: Sequence[Row], logits: Longs) -> Model:
    """The model with a, b and thresholds from validation rows and their logits in Q16."""
    labels = np.array([row.label for row in rows])
    kinds = np.array([origin(row) for row in rows])
    a, b = [], []
    for head in range(len(HEADS)):
        known = ~np.isnan(labels[:, head])
        slope, offset = platt(logits[known, head] / ONE, labels[known, head])
        a.append(round(slope * ONE))
        b.append(round(offset * ONE))
    model = replace(model, platt_a=tuple(a), platt_b=tuple(b))
    scores = probabilities(model, logits)
    levels = []
    for head in range(len(HEADS)):
        negatives = {kind: scores[(labels[:, head] == 0) & (kinds == kind), head] for kind in np.unique(kinds)}
        reached = [threshold(negatives, *LIMITS[level]) for level in LEVELS]
        levels.append(tuple(max(reached[: at + 1]) for at in range(len(reached))))
    return replace(model, thresholds=tuple(levels))
