"""The model, in integers only: how it scores, and the file that holds it. Every implementation agrees to the bit.

**Scale by root.** `root(n)` = floor(sqrt(floor(2^32 / n))), which is 2^16 / sqrt(n); `rounded(x, s)` =
(x + 2^(s-1)) >> s with an arithmetic shift (halves go up), and x itself for s = 0.

**Windows.** A text of at most 256 words is one window. A longer one has windows of 256 words that start at 0, 192,
384, … while they end before the text does, and one that ends with the text. A head's logit is the greatest of all
windows. The convolution runs once over the whole text (so a window's first word sees the word before it); only what is
pooled or summed is a window's own. A text without words has no windows and scores 0 on every head.

**A word** with n pieces: sum of its int8 rows of the embedding, S[16]; v[d] = rounded(S[d] * root(n), 12), so that v
has 4 bits below the unit of the table. |v| <= 128 * 8 * 16 fits int16.

**Convolution** of width 3 with zeros before the first word and after the last:
a[t][c] = bias[c] + sum over tap k, dimension d of weight[c][k][d] * v[t + k - 1][d];
r[t][c] = min(rounded(max(a, 0), conv_shift), 8191).

**Pooled**, 64 values: p[c] = max over the window's words of r[t][c]; p[32 + c] = min(rounded((sum of r[t][c]) *
root(words), 16 + pool_shift), 8191). **Dense**: q[j] = min(rounded(max(bias[j] + weight[j]·p, 0), dense_shift), 8191).
**Out**: o[h] = bias[h] + weight[h]·q.

**Linear part**: L[h] = sum of the int8 rows, at `linear_row`, of all pieces of the window's words and of all pairs with
both words in the window; m = how many those are.

**Logit** in Q16: rounded(o[h] * out_mul, 24) + rounded(L[h] * root(m) * linear_mul, 24).
**Score** in 1/65536: z = rounded(a[h] * logit, 16) + b[h], kept in [-12, 12) as Q16 (Platt's a, b); i = (z + 12 * 2^16)
>> 12, f = the 12 bits below; rounded(f * (sigmoid[i + 1] - sigmoid[i]), 12) + sigmoid[i].

Weights of convolution, dense and out are int16 within ±2047 and biases within ±2^28, so all sums of products fit int32;
what is multiplied by `root`, `out_mul`, `linear_mul` or `a` wants 64 bits.

**File**, little-endian, no padding; arrays in C order with the last index fastest:

| bytes | what |
|---|---|
| 8 | `CHIRONSC` |
| 4 × u32 | version (1), heads (5), rows of the embedding (65536), dimensions (16) |
| 4 × u32 | channels (32), hidden (32), rows of the linear part (262144), pieces a word (64) |
| 2 × u32 | words of a window (256), step (192) |
| 64 | name of the build, UTF-8, filled up with NUL |
| 5 × 16 | names of the heads, UTF-8, filled up with NUL |
| 3 × i32 | conv_shift, pool_shift, dense_shift |
| 2 × i64 | out_mul, linear_mul |
| 5 × i32, 5 × i32 | a, b |
| 5 × 4 × u32 | each head's `attention`, `flag`, `hold`, `block` in 1/65536: reached by a score >= the threshold |
| 385 × u32 | sigmoid of -12, -12 + 1/16, … 12, in 1/65536 |
| i16[32][3][16], i32[32] | convolution |
| i16[32][64], i32[32] | dense |
| i16[5][32], i32[5] | out |
| i8[65536][16] | embedding |
| i8[262144][5] | linear part |
| 32 | SHA-256 of all before |
"""

from __future__ import annotations

import hashlib
import math
import struct
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from training.reference.features import (
    EMBEDDING_BITS,
    LINEAR_BITS,
    MAX_PIECES,
    embedding_row,
    linear_row,
    pairs,
    pieces,
)

MAGIC: Final = b"CHIRONSC"
VERSION: Final = 1
HEADS: Final = ("abuse", "hate", "sexual", "threat", "spam")
LEVELS: Final = ("attention", "flag", "hold", "block")
DIMENSIONS: Final = 16
CHANNELS: Final = 32
HIDDEN: Final = 32
WINDOW: Final = 256
STEP: Final = 192
ONE: Final = 1 << 16
ACTIVATION: Final = 8191
WEIGHT: Final = 2047
BIAS: Final = 1 << 28
SIGMOID_SPAN: Final = 12
SIGMOID_STEPS: Final = 16

_MASK: Final = (1 << 64) - 1
_HEAD: Final = struct.Struct("<8s10I64s80s3i2q")
SIZE: Final = (
    _HEAD.size
    + len(HEADS) * (4 + 4 + 4 * len(LEVELS))
    + 4 * (2 * SIGMOID_SPAN * SIGMOID_STEPS + 1)
    + CHANNELS * (3 * DIMENSIONS * 2 + 4)
    + HIDDEN * (2 * CHANNELS * 2 + 4)
    + len(HEADS) * (HIDDEN * 2 + 4)
    + (DIMENSIONS << EMBEDDING_BITS)
    + (len(HEADS) << LINEAR_BITS)
    + 32
)


def root(n: int) -> int:
    """2^16 / sqrt(n), rounded down in two steps that any machine can repeat; n >= 1."""
    return math.isqrt((1 << 32) // n)


def rounded(value: int, shift: int) -> int:
    """`value` / 2^shift to the nearest integer, halves up."""
    return (value + (1 << shift >> 1)) >> shift


def sigmoid_table() -> list[int]:
    """The logistic function at -12, -12 + 1/16, … 12 in units of 1/65536."""
    steps = range(-SIGMOID_SPAN * SIGMOID_STEPS, SIGMOID_SPAN * SIGMOID_STEPS + 1)
    return [round(ONE / (1 + math.exp(-step / SIGMOID_STEPS))) for step in steps]


def windows(words: int) -> list[tuple[int, int]]:
    """Half-open ranges of words that are scored each by itself."""
    if not words:
        return []
    starts = range(0, max(words - WINDOW, 0), STEP)
    return [(start, start + WINDOW) for start in starts] + [(max(words - WINDOW, 0), words)]


@dataclass(frozen=True, slots=True)
class Model:
    """The contents of a model file; arrays are flat, in the order that the module's table gives."""

    name: str
    conv_shift: int
    pool_shift: int
    dense_shift: int
    out_mul: int
    linear_mul: int
    platt_a: tuple[int, ...]
    platt_b: tuple[int, ...]
    thresholds: tuple[tuple[int, ...], ...]
    sigmoid: tuple[int, ...]
    conv_weight: array[int]
    conv_bias: array[int]
    dense_weight: array[int]
    dense_bias: array[int]
    out_weight: array[int]
    out_bias: array[int]
    embedding: array[int]
    linear: array[int]

    def to_bytes(self) -> bytes:
        """The file, with its digest. ValueError for an array of the wrong length."""
        names = b"".join(head.encode().ljust(16, b"\0") for head in HEADS)
        sizes = (len(HEADS), 1 << EMBEDDING_BITS, DIMENSIONS, CHANNELS, HIDDEN, 1 << LINEAR_BITS, MAX_PIECES)
        parts = [
            _HEAD.pack(
                MAGIC,
                VERSION,
                *sizes,
                WINDOW,
                STEP,
                self.name.encode().ljust(64, b"\0"),
                names,
                self.conv_shift,
                self.pool_shift,
                self.dense_shift,
                self.out_mul,
                self.linear_mul,
            ),
            struct.pack(f"<{2 * len(HEADS)}i", *self.platt_a, *self.platt_b),
            *(struct.pack(f"<{len(LEVELS)}I", *levels) for levels in self.thresholds),
            struct.pack(f"<{len(self.sigmoid)}I", *self.sigmoid),
        ]
        arrays = (
            self.conv_weight,
            self.conv_bias,
            self.dense_weight,
            self.dense_bias,
            self.out_weight,
            self.out_bias,
        )
        parts.extend(struct.pack(f"<{len(values)}{values.typecode}", *values) for values in arrays)
        parts += [self.embedding.tobytes(), self.linear.tobytes()]
        body = b"".join(parts)
        if len(body) + 32 != SIZE:
            raise ValueError(f"the parts of the model make {len(body) + 32} bytes, not {SIZE}")
        return body + hashlib.sha256(body).digest()

    @classmethod
    def from_bytes(cls, data: bytes) -> Model:
        """Reads a file. ValueError says what is wrong with it."""
        if len(data) != SIZE or data[:8] != MAGIC:
            raise ValueError("not a model of the content scorer")
        if hashlib.sha256(data[:-32]).digest() != data[-32:]:
            raise ValueError("the model's digest does not match its contents")
        (_, version, *sizes, name, names, conv_shift, pool_shift, dense_shift, out_mul, linear_mul) = _HEAD.unpack_from(
            data
        )
        expected = [
            len(HEADS),
            1 << EMBEDDING_BITS,
            DIMENSIONS,
            CHANNELS,
            HIDDEN,
            1 << LINEAR_BITS,
            MAX_PIECES,
            WINDOW,
            STEP,
        ]
        heads = tuple(names[at : at + 16].rstrip(b"\0").decode() for at in range(0, len(names), 16))
        if version != VERSION or sizes != expected or heads != HEADS:
            raise ValueError(f"a model of version {version} with sizes {sizes} and heads {heads} is not known")
        at = _HEAD.size

        def table(size: int) -> array[int]:
            nonlocal at
            at += size
            return array("b", data[at - size : at])

        def take(count: int, kind: str) -> tuple[int, ...]:
            nonlocal at
            values: tuple[int, ...] = struct.unpack_from(f"<{count}{kind}", data, at)
            at += struct.calcsize(f"<{count}{kind}")
            return values

        return cls(
            name=name.rstrip(b"\0").decode(),
            conv_shift=conv_shift,
            pool_shift=pool_shift,
            dense_shift=dense_shift,
            out_mul=out_mul,
            linear_mul=linear_mul,
            platt_a=take(len(HEADS), "i"),
            platt_b=take(len(HEADS), "i"),
            thresholds=tuple(take(len(LEVELS), "I") for _ in HEADS),
            sigmoid=take(2 * SIGMOID_SPAN * SIGMOID_STEPS + 1, "I"),
            conv_weight=array("h", take(CHANNELS * 3 * DIMENSIONS, "h")),
            conv_bias=array("i", take(CHANNELS, "i")),
            dense_weight=array("h", take(HIDDEN * 2 * CHANNELS, "h")),
            dense_bias=array("i", take(HIDDEN, "i")),
            out_weight=array("h", take(len(HEADS) * HIDDEN, "h")),
            out_bias=array("i", take(len(HEADS), "i")),
            embedding=table(DIMENSIONS << EMBEDDING_BITS),
            linear=table(len(HEADS) << LINEAR_BITS),
        )


def _dot(weights: Sequence[int], values: Sequence[int]) -> int:
    return sum(weight * value for weight, value in zip(weights, values, strict=True))


def _summed(table: array[int], rows: Sequence[int], width: int) -> list[int]:
    return [sum(table[row * width + column] for row in rows) for column in range(width)]


def _activations(model: Model, hashes: Sequence[Sequence[int]]) -> list[list[int]]:
    """r[t][c] of every word."""
    zero = [0] * DIMENSIONS
    vectors = [zero]
    for found in hashes:
        sums = _summed(model.embedding, [embedding_row(state) for state in found], DIMENSIONS)
        scale = root(len(found))
        vectors.append([rounded(value * scale, 12) for value in sums])
    vectors.append(zero)
    taps = 3 * DIMENSIONS
    kernels = [model.conv_weight[channel * taps : (channel + 1) * taps] for channel in range(CHANNELS)]
    activations = []
    for at in range(len(hashes)):
        seen = [*vectors[at], *vectors[at + 1], *vectors[at + 2]]
        sums = [model.conv_bias[channel] + _dot(kernels[channel], seen) for channel in range(CHANNELS)]
        activations.append([min(rounded(max(value, 0), model.conv_shift), ACTIVATION) for value in sums])
    return activations


def _out(model: Model, activations: Sequence[Sequence[int]]) -> list[int]:
    """The convolutional half's part of each logit of one window, in Q16."""
    scale = root(len(activations))
    columns = list(zip(*activations, strict=True))
    shift = 16 + model.pool_shift
    pooled = [max(column) for column in columns]
    pooled += [min(rounded(sum(column) * scale, shift), ACTIVATION) for column in columns]
    hidden = []
    for row in range(HIDDEN):
        weights = model.dense_weight[row * 2 * CHANNELS : (row + 1) * 2 * CHANNELS]
        value = model.dense_bias[row] + _dot(weights, pooled)
        hidden.append(min(rounded(max(value, 0), model.dense_shift), ACTIVATION))
    outs = []
    for head in range(len(HEADS)):
        value = model.out_bias[head] + _dot(model.out_weight[head * HIDDEN : (head + 1) * HIDDEN], hidden)
        outs.append(rounded(value * model.out_mul, 24))
    return outs


def logits(model: Model, words: Sequence[str]) -> list[int]:
    """Each head's logit in Q16; none without words."""
    hashes = [pieces(word) for word in words]
    activations = _activations(model, hashes)
    width = len(HEADS)
    by_word = [_summed(model.linear, [linear_row(state) for state in found], width) for found in hashes]
    by_pair = [_summed(model.linear, [linear_row(state)], width) for state in pairs(words)]
    ends = list(accumulate((len(found) for found in hashes), initial=0))
    best: list[int] = []
    for start, end in windows(len(words)):
        scale = root(ends[end] - ends[start] + end - start - 1)
        outs = _out(model, activations[start:end])
        for head in range(width):
            total = sum(row[head] for row in by_word[start:end]) + sum(row[head] for row in by_pair[start : end - 1])
            outs[head] += rounded(total * scale * model.linear_mul, 24)
        best = [max(a, b) for a, b in zip(best, outs, strict=True)] if best else outs
    return best


def calibrated(model: Model, head: int, logit: int) -> int:
    """The probability that belongs to a logit, in 1/65536."""
    limit = SIGMOID_SPAN * ONE
    value = rounded(model.platt_a[head] * logit, 16) + model.platt_b[head]
    value = min(max(value, -limit), limit - 1) + limit
    at, rest = value >> 12, value & 0xFFF
    return model.sigmoid[at] + rounded(rest * (model.sigmoid[at + 1] - model.sigmoid[at]), 12)


def scores(model: Model, words: Sequence[str]) -> list[int]:
    """Each head's calibrated probability in 1/65536, for a text's normalised words."""
    found = logits(model, words)
    if not found:
        return [0] * len(HEADS)
    return [calibrated(model, head, logit) for head, logit in enumerate(found)]


def noise(seed: int) -> Iterator[int]:
    """64-bit numbers by SplitMix64 (Steele, Lea and Flood 2014), which any language repeats in five lines."""
    state = seed
    while True:
        state = (state + 0x9E3779B97F4A7C15) & _MASK
        value = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
        yield value ^ (value >> 31)


def random_model(seed: int) -> Model:
    """A model of noise, whose scores reach every corner of the arithmetic: what implementations are compared on.

    Numbers are drawn in the order of the fields below; a weight within ±limit is `number mod (2 limit + 1) - limit`,
    the tables are the numbers' bytes, lowest first.
    """
    source = noise(seed)

    def weights(count: int, limit: int, kind: str) -> array[int]:
        return array(kind, [next(source) % (2 * limit + 1) - limit for _ in range(count)])

    def table(size: int) -> array[int]:
        return array("b", b"".join(next(source).to_bytes(8, "little") for _ in range(size // 8)))

    return Model(
        name=f"noise {seed}",
        conv_shift=8,
        pool_shift=1,
        dense_shift=9,
        out_mul=round(1e-6 * 2**40),
        linear_mul=round(0.01 * 2**24),
        platt_a=tuple(3 * ONE // 4 + value for value in weights(len(HEADS), ONE // 2, "i")),
        platt_b=tuple(weights(len(HEADS), 2 * ONE, "i")),
        thresholds=tuple((ONE // 4, ONE // 2, 3 * ONE // 4, 15 * ONE // 16) for _ in HEADS),
        sigmoid=tuple(sigmoid_table()),
        conv_weight=weights(CHANNELS * 3 * DIMENSIONS, 200, "h"),
        conv_bias=weights(CHANNELS, 1 << 17, "i"),
        dense_weight=weights(HIDDEN * 2 * CHANNELS, 200, "h"),
        dense_bias=weights(HIDDEN, 1 << 17, "i"),
        out_weight=weights(len(HEADS) * HIDDEN, 200, "h"),
        out_bias=weights(len(HEADS), 1 << 17, "i"),
        embedding=table(DIMENSIONS << EMBEDDING_BITS),
        linear=table(len(HEADS) << LINEAR_BITS),
    )
