"""The model in floating point: its forward pass, its gradients by hand, and AdamW. The maths of `reference.model`.

Words are looked up once a batch: `vectors = M @ embedding` for the distinct words of the batch, M sparse, and the
gradient is `M.T @ …`. Texts lie one after another with a zero row between them, so that the convolution needs no
padding, and pooling is `reduceat`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack
from scipy.special import expit

from training.corpus import Floats, Ints, Texts
from training.reference.features import EMBEDDING_BITS, LINEAR_BITS
from training.reference.model import CHANNELS, DIMENSIONS, HEADS, HIDDEN

NAMES: Final = ("embedding", "linear", "conv", "conv_bias", "dense", "dense_bias", "out", "out_bias")


@dataclass(slots=True)
class Network:
    """Parameters by name, float32. `conv` is [tap * dimension][channel], `dense` and `out` [in][out]."""

    values: dict[str, Floats]

    @classmethod
    def initial(cls, seed: int) -> Network:
        source = np.random.default_rng(seed)

        def normal(scale: float, *shape: int) -> Floats:
            return (source.standard_normal(shape, dtype=np.float32) * np.float32(scale)).astype(np.float32)

        return cls(
            {
                "embedding": normal(0.1, 1 << EMBEDDING_BITS, DIMENSIONS),
                "linear": np.zeros((1 << LINEAR_BITS, len(HEADS)), np.float32),
                "conv": normal((2 / (3 * DIMENSIONS)) ** 0.5, 3 * DIMENSIONS, CHANNELS),
                "conv_bias": np.zeros(CHANNELS, np.float32),
                "dense": normal((2 / (2 * CHANNELS)) ** 0.5, 2 * CHANNELS, HIDDEN),
                "dense_bias": np.zeros(HIDDEN, np.float32),
                "out": normal((1 / HIDDEN) ** 0.5, HIDDEN, len(HEADS)),
                "out_bias": np.zeros(len(HEADS), np.float32),
            }
        )

    def approach(self, other: Network, share: float) -> None:
        """Goes a share of the way to another's parameters."""
        for name, value in self.values.items():
            value += np.float32(share) * (other.values[name] - value)

    def save(self, path: Path) -> None:
        """Keeps the parameters, for a look at them or another quantisation."""
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, allow_pickle=False, **self.values)


@dataclass(slots=True)
class Batch:
    """Texts as the network takes them. Every text has a word."""

    embedding: Any
    linear: Any
    words: NDArray[np.int64]
    scale: Floats
    pairs: Any
    pair_text: NDArray[np.int64]
    pieces: Ints
    lengths: NDArray[np.int64]

    @classmethod
    def of(cls, texts: Texts, matrices: tuple[Any, Any, Ints]) -> Batch:
        embedding, linear, counts = matrices
        distinct, words = np.unique(texts.tokens, return_inverse=True)
        lengths = np.diff(texts.ends)
        text = np.repeat(np.arange(len(texts)), lengths)
        has = texts.pairs >= 0
        rows = texts.pairs[has]
        pairs = csr_matrix(
            (np.ones(len(rows), np.float32), rows, np.arange(len(rows) + 1)), shape=(len(rows), 1 << LINEAR_BITS)
        )
        return cls(
            embedding=embedding[distinct],
            linear=linear[distinct],
            words=words,
            scale=(1 / np.sqrt(counts[distinct])).astype(np.float32)[:, None],
            pairs=pairs,
            pair_text=text[has],
            pieces=counts[distinct],
            lengths=lengths,
        )


@dataclass(slots=True)
class Noise:
    """What is left out in training: words, and shares of the pooled and hidden values."""

    source: np.random.Generator
    words: float = 0.05
    values: float = 0.0

    def keep(self, shape: tuple[int, ...], rate: float) -> Floats:
        return (self.source.random(shape, dtype=np.float32) >= rate).astype(np.float32)


def forward_backward(
    network: Network,
    batch: Batch,
    targets: Floats | None = None,
    weights: Floats | None = None,
    noise: Noise | None = None,
) -> tuple[Floats, float, dict[str, Floats]]:
    """Logits, and with `targets` the mean cross entropy (NaN: a head that does not count) and all gradients. `weights`
    are by text and head."""
    p = network.values
    texts = len(batch.lengths)
    total = len(batch.words)
    starts = np.concatenate([[0], np.cumsum(batch.lengths)[:-1]])
    text = np.repeat(np.arange(texts), batch.lengths)
    place = np.arange(total) + text + 1
    kept = noise.keep((total, 1), noise.words) if noise else np.ones((total, 1), np.float32)

    # A word's vector and its share of the linear part.
    vectors = (batch.embedding @ p["embedding"]) * batch.scale
    spread = np.zeros((total + texts + 1, DIMENSIONS), np.float32)
    spread[place] = vectors[batch.words] * kept
    seen = np.concatenate([spread[place - 1], spread[place], spread[place + 1]], axis=1)
    active = np.maximum(seen @ p["conv"] + p["conv_bias"], 0)
    root = (1 / np.sqrt(batch.lengths)).astype(np.float32)[:, None]
    highest = np.maximum.reduceat(active, starts)
    pooled = np.concatenate([highest, np.add.reduceat(active, starts) * root], axis=1)
    one = np.float32(1)
    if noise:
        pooled_keep = noise.keep(pooled.shape, noise.values) / (one - np.float32(noise.values))
        pooled = pooled * pooled_keep
    hidden = np.maximum(pooled @ p["dense"] + p["dense_bias"], 0)
    if noise:
        hidden_keep = noise.keep(hidden.shape, noise.values) / (one - np.float32(noise.values))
        hidden = hidden * hidden_keep

    linear = vstack([batch.linear, batch.pairs], format="csr")
    table = linear @ p["linear"]
    by_word, by_pair = table[: batch.linear.shape[0]], table[batch.linear.shape[0] :]
    count = np.add.reduceat(batch.pieces[batch.words] * kept[:, 0], starts)
    sums = np.add.reduceat(by_word[batch.words] * kept, starts)
    if len(by_pair):
        adder = csr_matrix(
            (np.ones(len(by_pair), np.float32), (batch.pair_text, np.arange(len(by_pair)))), shape=(texts, len(by_pair))
        )
        sums = sums + adder @ by_pair
        count = count + np.bincount(batch.pair_text, minlength=texts)
    linear_root = (1 / np.sqrt(np.maximum(count, 1))).astype(np.float32)[:, None]
    logits = (hidden @ p["out"] + p["out_bias"] + sums * linear_root).astype(np.float32)
    if targets is None or weights is None:
        return logits, 0.0, {}

    known = ~np.isnan(targets)
    goal = np.where(known, targets, 0)
    share = (known * weights).astype(np.float32)
    loss = float((share * (np.logaddexp(0, logits) - goal * logits)).sum() / share.sum())
    d_logits = share * (expit(logits) - goal) / np.float32(texts)

    gradients: dict[str, Floats] = {}
    d_sums = d_logits * linear_root
    back = csr_matrix((kept[:, 0], (batch.words, text)), shape=(batch.linear.shape[0], texts))
    d_table = np.concatenate([back @ d_sums, d_sums[batch.pair_text]])
    gradients["linear"] = linear.T @ d_table

    gradients["out"] = hidden.T @ d_logits
    gradients["out_bias"] = d_logits.sum(axis=0)
    d_hidden = d_logits @ p["out"].T
    if noise:
        d_hidden = d_hidden * hidden_keep
    d_hidden *= hidden > 0
    gradients["dense"] = pooled.T @ d_hidden
    gradients["dense_bias"] = d_hidden.sum(axis=0)
    d_pooled = d_hidden @ p["dense"].T
    if noise:
        d_pooled = d_pooled * pooled_keep
    # The highest word of each channel shares its gradient among equals; where all are 0 the ReLU stops it.
    first = (active == highest[text]) & (active > 0)
    ties = np.maximum(np.add.reduceat(first.astype(np.float32), starts), 1)
    d_active = first * (d_pooled[:, :CHANNELS] / ties)[text] + (d_pooled[:, CHANNELS:] * root)[text]
    d_active *= active > 0
    d_active = d_active.astype(np.float32)
    gradients["conv"] = seen.T @ d_active
    gradients["conv_bias"] = d_active.sum(axis=0)
    d_seen = d_active @ p["conv"].T
    d_spread = np.zeros_like(spread)
    for tap in range(3):
        d_spread[place + (tap - 1)] += d_seen[:, tap * DIMENSIONS : (tap + 1) * DIMENSIONS]
    gather = csr_matrix((kept[:, 0], (batch.words, np.arange(total))), shape=(len(vectors), total))
    gradients["embedding"] = batch.embedding.T @ ((gather @ d_spread[place]) * batch.scale)
    return logits, loss, {name: np.asarray(value, np.float32) for name, value in gradients.items()}


def predict(network: Network, texts: Texts, matrices: tuple[Any, Any, Ints], size: int = 2048) -> Floats:
    """Logits of many texts; 0 for one without words."""
    found = np.zeros((len(texts), len(HEADS)), np.float32)
    order = np.flatnonzero(np.diff(texts.ends))
    for first in range(0, len(order), size):
        which = order[first : first + size]
        found[which] = forward_backward(network, Batch.of(texts.take(which), matrices))[0]
    return found


@dataclass(slots=True)
class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    network: Network
    step_count: int = 0
    first: dict[str, Floats] = field(default_factory=dict)
    second: dict[str, Floats] = field(default_factory=dict)

    def step(self, gradients: dict[str, Floats], rates: dict[str, float], decays: dict[str, float]) -> None:
        """One step; `rates` and `decays` by parameter."""
        self.step_count += 1
        b1, b2 = 0.9, 0.999
        correct = (1 - b2**self.step_count) ** 0.5 / (1 - b1**self.step_count)
        for name, gradient in gradients.items():
            value = self.network.values[name]
            m = self.first.setdefault(name, np.zeros_like(value))
            v = self.second.setdefault(name, np.zeros_like(value))
            m *= np.float32(b1)
            m += np.float32(1 - b1) * gradient
            v *= np.float32(b2)
            np.multiply(gradient, gradient, out=gradient)
            gradient *= np.float32(1 - b2)
            v += gradient
            np.sqrt(v, out=gradient)
            gradient += np.float32(1e-8)
            np.divide(m, gradient, out=gradient)
            gradient *= np.float32(rates[name] * correct)
            value *= np.float32(1 - rates[name] * decays[name])
            value -= gradient
