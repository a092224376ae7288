"""From floating point to the integers of `reference.model`, and the same integers over many texts at once."""

from __future__ import annotations

from array import array
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from training.corpus import Floats, Ints, Texts
from training.network import Network
from training.reference.features import LINEAR_BITS
from training.reference.model import (
    ACTIVATION,
    BIAS,
    CHANNELS,
    DIMENSIONS,
    HEADS,
    HIDDEN,
    ONE,
    WEIGHT,
    Model,
    sigmoid_table,
)

Longs: TypeAlias = NDArray[np.int64]

# Room above the greatest activation that was seen, before it saturates.
_HEADROOM: Final = 1.5


def _scale(values: Floats, limit: int) -> float:
    return float(np.abs(values).max()) / limit or 1.0


def to_int8(values: Floats) -> tuple[NDArray[np.int8], float]:
    """int8 with the clip that loses least: the few greatest values may saturate."""
    greatest = float(np.abs(values).max())
    best: tuple[float, float] = (np.inf, 1.0)
    for share in (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0):
        scale = greatest * share / 127
        error = float(((np.clip(np.rint(values / scale), -127, 127) * scale - values) ** 2).sum())
        best = min(best, (error, scale))
    scale = best[1]
    return np.clip(np.rint(values / scale), -127, 127).astype(np.int8), scale


def _shift(greatest: float) -> int:
    shift = 0
    while greatest * _HEADROOM / (1 << shift) > ACTIVATION:
        shift += 1
    return shift


def _biases(values: Floats, scale: float) -> array[int]:
    return array("i", np.clip(np.rint(values / scale), -BIAS, BIAS).astype(np.int64).tolist())


def _weights(values: Floats, scale: float) -> array[int]:
    return array("h", np.clip(np.rint(values / scale), -WEIGHT, WEIGHT).astype(np.int64).ravel().tolist())


def quantise(network: Network, texts: Texts, matrices: tuple[Any, Any, Ints], name: str) -> Model:
    """The integer model, its shifts chosen on `texts`; not yet calibrated (a = 1, b = 0, thresholds 1)."""
    p = network.values
    embedding, embedding_scale = to_int8(p["embedding"])
    linear, linear_scale = to_int8(p["linear"])
    conv_scale = _scale(p["conv"], WEIGHT)
    sums_scale = embedding_scale / 16 * conv_scale
    # [tap * dimension][channel] to [channel][tap][dimension].
    parts: dict[str, Any] = {
        "name": name,
        "conv_shift": 0,
        "pool_shift": 0,
        "dense_shift": 0,
        "out_mul": 0,
        "linear_mul": round(linear_scale * (1 << 24)),
        "platt_a": (ONE,) * len(HEADS),
        "platt_b": (0,) * len(HEADS),
        "thresholds": ((ONE,) * 4,) * len(HEADS),
        "sigmoid": tuple(sigmoid_table()),
        "conv_weight": _weights(p["conv"].T, conv_scale),
        "conv_bias": _biases(p["conv_bias"], sums_scale),
        "dense_weight": array("h", [0] * HIDDEN * 2 * CHANNELS),
        "dense_bias": array("i", [0] * HIDDEN),
        "out_weight": array("h", [0] * len(HEADS) * HIDDEN),
        "out_bias": array("i", [0] * len(HEADS)),
        "embedding": array("b", embedding.tobytes()),
        "linear": array("b", linear.tobytes()),
    }
    seen: dict[str, float] = {}
    run(Model(**parts), texts, matrices, seen)
    parts["conv_shift"] = _shift(seen["conv"])
    run(Model(**parts), texts, matrices, seen)
    parts["pool_shift"] = _shift(seen["pool"])
    active_scale = sums_scale * (1 << parts["conv_shift"])
    inputs = np.repeat([active_scale, active_scale * (1 << parts["pool_shift"])], CHANNELS)[:, None]
    dense = (p["dense"] * inputs).astype(np.float64)
    dense_scale = float(np.abs(dense).max()) / WEIGHT
    parts["dense_weight"] = _weights(dense.T, dense_scale)
    parts["dense_bias"] = _biases(p["dense_bias"], dense_scale)
    run(Model(**parts), texts, matrices, seen)
    parts["dense_shift"] = _shift(seen["dense"])
    out_scale = _scale(p["out"], WEIGHT)
    total = dense_scale * (1 << parts["dense_shift"]) * out_scale
    parts["out_weight"] = _weights(p["out"].T, out_scale)
    parts["out_bias"] = _biases(p["out_bias"], total)
    parts["out_mul"] = round(total * (1 << 40))
    return Model(**parts)


def _rounded(values: Longs, shift: int) -> Longs:
    return (values + (1 << shift >> 1)) >> shift


def _root(n: Longs) -> Longs:
    found: Longs = np.floor(np.sqrt(((1 << 32) // n).astype(np.float64))).astype(np.int64)
    return found


def run(
    model: Model, texts: Texts, matrices: tuple[Any, Any, Ints], seen: dict[str, float] | None = None, size: int = 2048
) -> Longs:
    """Logits in Q16 of texts of one window each, by the arithmetic of `reference.model`; 0 without words.

    `seen` takes the greatest value before each shift, which `quantise` chooses the shifts by.
    """
    by_embedding, by_linear, counts = matrices
    embedding = np.frombuffer(model.embedding, np.int8).reshape(-1, DIMENSIONS).astype(np.float32)
    linear = np.frombuffer(model.linear, np.int8).reshape(1 << LINEAR_BITS, len(HEADS)).astype(np.float32)
    # Sums of int8 stay below 2^24, where float32 is exact.
    scale = _root(counts.astype(np.int64))[:, None]
    vectors = _rounded(np.rint(by_embedding @ embedding).astype(np.int64) * scale, 12)
    shares = np.rint(by_linear @ linear).astype(np.int64)
    conv = np.array(model.conv_weight, np.float64).reshape(CHANNELS, -1).T
    dense = np.array(model.dense_weight, np.int64).reshape(HIDDEN, -1).T
    out = np.array(model.out_weight, np.int64).reshape(len(HEADS), HIDDEN).T
    found = np.zeros((len(texts), len(HEADS)), np.int64)
    order = np.flatnonzero(np.diff(texts.ends))
    greatest = {"conv": 0.0, "pool": 0.0, "dense": 0.0}
    for first in range(0, len(order), size):
        which = order[first : first + size]
        some = texts.take(which)
        lengths = np.diff(some.ends)
        starts = some.ends[:-1]
        place = np.arange(len(some.tokens)) + np.repeat(np.arange(len(some)), lengths) + 1
        spread = np.zeros((len(some.tokens) + len(some) + 1, DIMENSIONS), np.float64)
        spread[place] = vectors[some.tokens]
        around = np.concatenate([spread[place - 1], spread[place], spread[place + 1]], axis=1)
        # Products of integers stay below 2^53, where float64 is exact.
        sums = np.maximum(np.rint(around @ conv).astype(np.int64) + np.array(model.conv_bias, np.int64), 0)
        active = np.minimum(_rounded(sums, model.conv_shift), ACTIVATION)
        total = np.add.reduceat(active, starts) * _root(lengths)[:, None]
        mean = np.minimum(_rounded(total, 16 + model.pool_shift), ACTIVATION)
        pooled = np.concatenate([np.maximum.reduceat(active, starts), mean], axis=1)
        before = np.maximum(pooled @ dense + np.array(model.dense_bias, np.int64), 0)
        hidden = np.minimum(_rounded(before, model.dense_shift), ACTIVATION)
        outs = _rounded((hidden @ out + np.array(model.out_bias, np.int64)) * model.out_mul, 24)
        text = np.repeat(np.arange(len(some)), lengths)
        has = some.pairs >= 0
        added = np.add.reduceat(shares[some.tokens], starts)
        np.add.at(added, text[has], linear[some.pairs[has]].astype(np.int64))
        count = np.add.reduceat(counts[some.tokens].astype(np.int64), starts) + lengths - 1
        found[which] = outs + _rounded(added * _root(count)[:, None] * model.linear_mul, 24)
        greatest = {
            "conv": max(greatest["conv"], float(sums.max())),
            "pool": max(greatest["pool"], float((total >> 16).max())),
            "dense": max(greatest["dense"], float(before.max())),
        }
    if seen is not None:
        seen.update(greatest)
    return found


def probabilities(model: Model, logits: Longs) -> Longs:
    """Calibrated scores in 1/65536, as `reference.model.calibrated` gives them one by one."""
    limit = 12 * ONE
    scaled = _rounded(logits * np.array(model.platt_a, np.int64), 16) + np.array(model.platt_b, np.int64)
    scaled = np.clip(scaled, -limit, limit - 1) + limit
    table = np.array(model.sigmoid, np.int64)
    at, rest = scaled >> 12, scaled & 0xFFF
    found: Longs = table[at] + _rounded(rest * (table[at + 1] - table[at]), 12)
    return found
