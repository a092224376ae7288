"""Measures of a classifier, by their textbook definitions."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def auc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Area under the ROC curve: how often a positive outranks a negative, ties half. NaN without both classes."""
    values, positive = np.asarray(scores, np.float64), np.asarray(labels) > 0.5
    pos, neg = int(positive.sum()), int((~positive).sum())
    if not pos or not neg:
        return float("nan")
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[positive].sum() - pos * (pos + 1) / 2) / (pos * neg))


def macro_f1(predicted: ArrayLike, labels: ArrayLike) -> float:
    """The mean of F1 of the positive class and F1 of the negative class."""
    yes, truth = np.asarray(predicted, bool), np.asarray(labels) > 0.5
    found = []
    for side in (True, False):
        hit = int(((yes == side) & (truth == side)).sum())
        wrong = int((yes == side).sum() + (truth == side).sum() - 2 * hit)
        found.append(2 * hit / (2 * hit + wrong) if hit or wrong else 0.0)
    return sum(found) / 2


def best_threshold(scores: ArrayLike, labels: ArrayLike) -> float:
    """The threshold (reached when score >= threshold) that gives the greatest macro-F1."""
    values = np.asarray(scores, np.float64)
    candidates = np.unique(np.quantile(values, np.linspace(0, 1, 400)))
    return max((macro_f1(values >= candidate, labels), float(candidate)) for candidate in candidates)[1]


def calibration_error(probabilities: ArrayLike, labels: ArrayLike, bins: int = 10) -> float:
    """Expected calibration error (Naeini, Cooper and Hauskrecht 2015) over bins of equal width."""
    values, truth = np.asarray(probabilities, np.float64), np.asarray(labels, np.float64)
    at = np.minimum((values * bins).astype(int), bins - 1)
    total = 0.0
    for bucket in range(bins):
        inside = at == bucket
        if inside.any():
            total += abs(float(values[inside].mean() - truth[inside].mean())) * float(inside.mean())
    return total
