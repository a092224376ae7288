"""Training by distillation: the recipe, its progress, and the file that it ends in."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training import calibrate, data, measure, spam
from training.corpus import Corpus, Floats, Ints, Texts, Vocabulary, build, normalised
from training.data import Row
from training.network import AdamW, Batch, Network, Noise, forward_backward, predict
from training.progress import say
from training.quantise import quantise, run
from training.reference.model import Model

EVERY: Final = 100
_THREADS: Final = 2


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a run depends on besides the data."""

    seed: int = 7
    epochs: int = 8
    batch: int = 512
    rate: float = 1e-2
    decay: float = 0.05
    linear_rate: float = 1e-2
    linear_decay: float = 0.1
    warm_up: int = 200
    memory: float = 0.998
    """What is kept of the running mean of the parameters, which is the result, in a step."""
    share: float = 1.0

    @property
    def name(self) -> str:
        return f"seed {self.seed}, {self.epochs} epochs"


def rates(recipe: Recipe, step: int, steps: int) -> float:
    """The share of the full learning rate: up over the first steps, then down to nothing in a straight line."""
    up = min(1.0, (step + 1) / recipe.warm_up)
    return up * max(0.0, 1 - step / steps)


def figures(rows: Sequence[Row], logits: Floats) -> dict[str, float]:
    """The AUC of each public set that validates."""
    label = np.array([row.label for row in rows])
    source = np.array([row.source for row in rows])

    def one(name: str, head: int) -> float:
        which = (source == name) & ~np.isnan(label[:, head])
        return measure.auc(logits[which, head], label[which, head])

    return {
        "davidson": one("davidson", 0),
        "olid": one("olid", 0),
        "convabuse": one("convabuse", 0),
        "hatemoji": one("hatemoji", 1),
        "spam": one("sms", 4),
    }


def gradient(
    network: Network, corpus: Corpus, matrices: tuple[Any, Any, Ints], which: NDArray[np.int64], noise: Noise
) -> tuple[float, dict[str, Floats]]:
    """Loss and gradients of a part of a batch."""
    batch = Batch.of(corpus.texts.take(which), matrices)
    return forward_backward(network, batch, corpus.targets[which], corpus.weights[which], noise)[1:]


def averaged(parts: list[tuple[float, dict[str, Floats]]], shares: list[float]) -> tuple[float, dict[str, Floats]]:
    """Loss and gradients of the whole batch, from its parts in their order, so that a run repeats to the bit."""
    loss = sum(share * part[0] for share, part in zip(shares, parts, strict=True))
    gradients = parts[0][1]
    for name, total in gradients.items():
        total *= np.float32(shares[0])
        for share, (_, other) in zip(shares[1:], parts[1:], strict=True):
            total += np.float32(share) * other[name]
    return loss, gradients


def learn(
    recipe: Recipe, corpus: Corpus, matrices: tuple[Any, Any, Ints], rows: Sequence[Row], validation: Texts
) -> Network:
    """Runs the recipe; after each epoch says the figures on validation rows. Returns the running mean."""
    network, mean = Network.initial(recipe.seed), Network.initial(recipe.seed)
    optimiser = AdamW(network)
    source = np.random.default_rng(recipe.seed)
    noises = [Noise(np.random.default_rng([recipe.seed, part])) for part in range(_THREADS)]
    full = {name: recipe.linear_rate if name == "linear" else recipe.rate for name in network.values}
    decays = {name: recipe.linear_decay if name == "linear" else recipe.decay for name in network.values}
    for name in network.values:
        if name.endswith("bias"):
            decays[name] = 0.0
    count = len(corpus.texts)
    orders = [source.permutation(np.flatnonzero(source.random(count) < corpus.drawn)) for _ in range(recipe.epochs)]
    # Batches of an epoch differ by one text at most: no thread is without a part.
    batches = [np.array_split(order, max(1, -(-len(order) // recipe.batch))) for order in orders]
    steps = sum(map(len, batches))
    say(f"{count} texts, {len(matrices[2])} distinct words, {steps} steps")
    began = time.monotonic()
    step, typical = 0, 0.0
    pool = ThreadPoolExecutor(_THREADS)
    for epoch, some in enumerate(batches):
        for which in some:
            parts = np.array_split(which, _THREADS)
            halves = pool.map(lambda part, noise: gradient(network, corpus, matrices, part, noise), parts, noises)
            loss, gradients = averaged(list(halves), [len(part) / len(which) for part in parts])
            part = rates(recipe, step, steps)
            optimiser.step(gradients, {name: rate * part for name, rate in full.items()}, decays)
            step += 1
            mean.approach(network, 1 - recipe.memory)
            typical += (loss - typical) / min(step, EVERY)
            if step % EVERY == 0:
                left = (time.monotonic() - began) / step * (steps - step)
                say(f"step {step} of {steps}, loss {typical:.4f}, {left / 60:.1f} minutes left")
        found = figures(rows, predict(mean, validation, matrices))
        say(f"epoch {epoch + 1}: " + ", ".join(f"{name} {value:.4f}" for name, value in found.items()))
    return mean


def train(recipe: Recipe, folder: Path, cache: Path) -> tuple[Network, Model]:
    """The network and the calibrated model that is written from it."""
    say("reading")
    rows = data.rows(folder, recipe.seed, recipe.share)
    vocabulary = Vocabulary()
    corpus = build(rows, vocabulary, recipe.seed, cache)
    validating = [row for row in rows if row.val]
    validation = Texts.of(normalised([row.text for row in validating], cache), vocabulary)
    offers = spam.examples(rows, vocabulary, recipe.seed, cache)
    say("hashing words")
    matrices = vocabulary.matrices()
    network = learn(recipe, corpus, matrices, validating, validation)
    say("quantising")
    sample = np.random.default_rng(recipe.seed).permutation(len(corpus.texts))[:20_000]
    model = quantise(network, corpus.texts.take(sample), matrices, recipe.name)
    say(f"fitting {len(offers.texts)} texts to spam")
    model = spam.improved(model, offers, matrices)
    logits = run(model, validation, matrices)
    found = figures(validating, logits.astype(np.float32))
    say("as integers: " + ", ".join(f"{name} {value:.4f}" for name, value in found.items()))
    return network, calibrate.calibrate(model, validating, logits)


def recalibrate(path: Path, folder: Path, cache: Path, seed: int) -> None:
    """Writes the model of `path` again, with a, b and thresholds by the rules of `calibrate`."""
    rows = [row for row in data.rows(folder, seed, 0.0) if row.val]
    vocabulary = Vocabulary()
    texts = Texts.of(normalised([row.text for row in rows], cache), vocabulary)
    model = Model.from_bytes(path.read_bytes())
    path.write_bytes(calibrate.calibrate(model, rows, run(model, texts, vocabulary.matrices())).to_bytes())
