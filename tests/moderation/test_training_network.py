"""The arithmetic of training: with the extra `training` alone, which the environment of the checks lacks."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy", reason="the extra `training` is not installed")
pytest.importorskip("scipy", reason="the extra `training` is not installed")

from scipy.sparse import csr_matrix  # noqa: E402
from training import calibrate, measure, spam  # noqa: E402
from training.corpus import Corpus, Texts, Vocabulary  # noqa: E402
from training.data import HARMLESS, UNKNOWN, Row  # noqa: E402
from training.network import AdamW, Batch, Network, Noise, forward_backward, predict  # noqa: E402
from training.quantise import probabilities, quantise, run  # noqa: E402
from training.reference.model import Model, logits, random_model, scores  # noqa: E402
from training.train import Recipe, learn  # noqa: E402

GOOD = [*"abcdefghijk", "thank", "you", "kind", "help", "friend", "station"]
BAD = ["you", "vile", "stupid", "idiot", "i", "will", "find", "and", "hurt", "you", "tonight"]


def corpus(count: int) -> tuple[Corpus, Vocabulary, list[list[str]]]:
    source = random.Random(1)
    vocabulary = Vocabulary()
    texts, targets = [], []
    for at in range(count):
        texts.append(source.choices(BAD if at % 2 else GOOD, k=source.randint(1, 12)))
        targets.append([at % 2, 0, float("nan"), at % 2, 0])
    goal = np.array(targets, np.float32)
    drawn = np.ones(count, np.float32)
    return Corpus(Texts.of(texts, vocabulary), goal, np.ones_like(goal), drawn), vocabulary, texts


def trained(steps: int) -> tuple[Network, Corpus, Vocabulary, list[list[str]], list[float]]:
    made, vocabulary, texts = corpus(200)
    matrices = vocabulary.matrices()
    network = Network.initial(1)
    optimiser = AdamW(network)
    batch = Batch.of(made.texts, matrices)
    noise = Noise(np.random.default_rng(1))
    losses = []
    for _ in range(steps):
        _, loss, gradients = forward_backward(network, batch, made.targets, made.weights, noise)
        optimiser.step(gradients, dict.fromkeys(network.values, 0.01), dict.fromkeys(network.values, 0.05))
        losses.append(loss)
    return network, made, vocabulary, texts, losses


def test_gradients_are_those_of_small_differences() -> None:
    made, vocabulary, _ = corpus(4)
    batch = Batch.of(made.texts, vocabulary.matrices())
    network = Network.initial(1)
    source = np.random.default_rng(2)
    for name, value in network.values.items():
        if name != "embedding":
            value += source.standard_normal(value.shape).astype(np.float32) * np.float32(0.1)
    _, _, gradients = forward_backward(network, batch, made.targets, made.weights)
    counted = float((~np.isnan(made.targets)).sum()) / len(made.texts)
    for name, gradient in gradients.items():
        value = network.values[name]
        direction = gradient / np.linalg.norm(gradient)
        around = []
        for side in (1, -1):
            network.values[name] = (value + side * 2e-3 * direction).astype(np.float32)
            around.append(forward_backward(network, batch, made.targets, made.weights)[1] * counted)
        network.values[name] = value
        assert (around[0] - around[1]) / 4e-3 == pytest.approx(float(np.linalg.norm(gradient)), rel=0.02), name


def test_a_short_run_lowers_the_loss_and_tells_the_classes_apart() -> None:
    network, made, vocabulary, _, losses = trained(30)
    assert losses[-1] < losses[0] / 3
    found = predict(network, made.texts, vocabulary.matrices())
    assert measure.auc(found[:, 0], made.targets[:, 0]) > 0.99


def test_the_integers_agree_with_the_reference_and_keep_the_network_s_order() -> None:
    network, made, vocabulary, texts, _ = trained(30)
    matrices = vocabulary.matrices()
    model = quantise(network, made.texts, matrices, "test")
    found = run(model, made.texts, matrices)
    assert [logits(model, text) for text in texts[:20]] == found[:20].tolist()
    assert probabilities(model, found)[:20].tolist() == [scores(model, text) for text in texts[:20]]
    floats = predict(network, made.texts, matrices)
    assert np.abs(found / 65536 - floats).max() < 0.05 * np.abs(floats).max()
    assert Model.from_bytes(model.to_bytes()) == model


def test_bulk_arithmetic_on_noise_saturates_as_the_reference_does() -> None:
    _, vocabulary, texts = corpus(30)
    made = Texts.of(texts, vocabulary)
    model = random_model(3)
    assert run(model, made, vocabulary.matrices()).tolist() == [logits(model, text) for text in texts]


def test_a_threshold_lets_no_more_harmless_rows_through_than_allowed() -> None:
    source = np.random.default_rng(1)
    negatives = {"ordinary": source.integers(0, 65536, 1000), "talk": source.integers(0, 30000, 500)}
    for allowed in (0.0, 0.01, 0.2):
        limits = {"ordinary": allowed, "talk": 0.0}
        at = calibrate.threshold(negatives, 0.1, limits)
        assert (negatives["ordinary"] >= at).mean() <= allowed
        assert (negatives["talk"] >= at).sum() == 0
    assert calibrate.threshold({}, 0.5, {"ordinary": 0.0}) == 32768


def test_platt_gives_the_rates_that_the_labels_have() -> None:
    source = np.random.default_rng(1)
    values = source.normal(size=20000)
    labels = (source.random(20000) < 1 / (1 + np.exp(-(2 * values - 1)))).astype(float)
    a, b = calibrate.platt(values, labels)
    assert a == pytest.approx(2, abs=0.1)
    assert b == pytest.approx(-1, abs=0.1)


def test_measures_are_those_of_hand_made_cases() -> None:
    assert measure.auc([1, 2, 3, 4], [0, 0, 1, 1]) == 1
    assert measure.auc([1, 1, 1, 1], [0, 1, 0, 1]) == 0.5
    assert measure.auc([1, 2, 2, 3], [0, 0, 1, 1]) == 0.875
    assert measure.macro_f1([1, 0, 0, 0], [1, 1, 0, 0]) == pytest.approx((2 / 3 + 0.8) / 2)
    assert measure.best_threshold([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1]) == pytest.approx(0.8, abs=0.15)
    assert measure.calibration_error([0.25, 0.25, 0.25, 0.25], [1, 0, 0, 0]) == 0


def test_levels_of_a_calibrated_model_rise() -> None:
    made, vocabulary, _ = corpus(200)
    labels = [HARMLESS if at % 2 == 0 else (1.0, 1.0, 1.0, 1.0, 1.0) for at in range(200)]
    rows = [Row("", "ordinary", True, label, UNKNOWN) for label in labels]
    model = calibrate.calibrate(random_model(1), rows, run(random_model(1), made.texts, vocabulary.matrices()))
    assert all(list(levels) == sorted(levels) for levels in model.thresholds)
    assert replace(model, platt_a=random_model(1).platt_a) != model


def test_a_weight_is_of_a_text_and_a_head() -> None:
    made, vocabulary, _ = corpus(20)
    batch = Batch.of(made.texts, vocabulary.matrices())
    weights = np.zeros_like(made.weights)
    weights[::2, 3] = 2
    _, _, gradients = forward_backward(Network.initial(1), batch, made.targets, weights)
    assert gradients["out_bias"][3] != 0
    assert not gradients["out_bias"][[0, 1, 2, 4]].any()


def test_a_running_mean_follows_what_is_trained() -> None:
    mean, goal = Network.initial(1), Network.initial(2)
    before = np.abs(mean.values["embedding"] - goal.values["embedding"]).max()
    for _ in range(10):
        mean.approach(goal, 0.5)
    assert np.abs(mean.values["embedding"] - goal.values["embedding"]).max() < before / 1000


def test_what_is_never_drawn_is_never_trained_on() -> None:
    made, vocabulary, _ = corpus(200)
    matrices = vocabulary.matrices()
    rows = [Row("", "davidson", True, (float(at % 2), 0.0, 0.0, 0.0, 0.0), UNKNOWN) for at in range(200)]
    made.drawn[100:] = 0
    recipe = Recipe(epochs=1, batch=64, warm_up=2)
    before = learn(recipe, made, matrices, rows, made.texts)
    made.targets[100:] = 1 - made.targets[100:]
    after = learn(recipe, made, matrices, rows, made.texts)
    assert all((value == after.values[name]).all() for name, value in before.values.items())


def test_a_run_repeats_from_its_seed_to_the_bit() -> None:
    made, vocabulary, _ = corpus(200)
    matrices = vocabulary.matrices()
    rows = [Row("", "davidson", True, (float(at % 2), 0.0, 0.0, 0.0, 0.0), UNKNOWN) for at in range(200)]
    runs = [
        learn(Recipe(seed=seed, epochs=2, batch=64, warm_up=2), made, matrices, rows, made.texts) for seed in (1, 1, 2)
    ]
    for name, value in runs[0].values.items():
        assert (value == runs[1].values[name]).all(), name
    assert (runs[0].values["embedding"] != runs[2].values["embedding"]).any()


def bowl(at: Any) -> tuple[float, Any]:
    """Steep in some directions and flat in others; least at 1, 2, 3, …"""
    steep = 10.0 ** np.arange(len(at))
    off = at - 1 - np.arange(len(at))
    return float((steep * off**2).sum()), 2 * steep * off


def test_descent_ends_where_a_function_is_least() -> None:
    assert spam.minimise(bowl, np.zeros(5), 200) == pytest.approx([1, 2, 3, 4, 5], abs=1e-4)
    here = np.arange(1.0, 6)
    assert spam.minimise(bowl, here, 10).tolist() == here.tolist()


def test_a_regression_is_as_the_penalty_lets_it_be() -> None:
    """At its least, the penalty's slope is what the errors ask for."""
    source = np.random.default_rng(1)
    given = csr_matrix(source.random((60, 8)))
    targets = (source.random(60) < 0.5).astype(float)
    weights = source.random(60) + 0.5
    found = spam.fit(given, targets, weights, 0.7)
    wrong = weights * (1 / (1 + np.exp(-(given @ found[:-1] + found[-1]))) - targets)
    assert given.T @ wrong + 0.7 * found[:-1] == pytest.approx(np.zeros(8), abs=1e-3)
    assert wrong.sum() == pytest.approx(0, abs=1e-3)
    assert np.abs(spam.fit(given, targets, weights, 70.0)[:-1]).max() < np.abs(found[:-1]).max()


def test_a_regression_goes_into_the_spam_head_and_no_other() -> None:
    network, made, vocabulary, texts, _ = trained(30)
    matrices = vocabulary.matrices()
    model = quantise(network, made.texts, matrices, "test")
    labels = np.array([float("station" in text) for text in texts])
    given = spam.features(made.texts, matrices)
    weights = spam.fit(given, labels, np.ones(len(texts)), 0.01)
    alone = given @ weights[:-1] + weights[-1]
    assert measure.auc(alone, labels) > 0.99
    joined = spam.joined(model, weights)
    before, after = run(model, made.texts, matrices), run(joined, made.texts, matrices)
    assert (before[:, : spam.SPAM] == after[:, : spam.SPAM]).all()
    assert [logits(joined, text) for text in texts[:20]] == after[:20].tolist()
    # Up to a factor, which calibration undoes.
    meant = spam.NETWORK_SHARE * before[:, spam.SPAM] / 65536 + alone
    assert np.corrcoef(meant, after[:, spam.SPAM])[0, 1] > 0.999
    assert Model.from_bytes(joined.to_bytes()) == joined


def test_examples_of_spam_are_all_sms_in_training_and_nothing_of_validation(tmp_path: Path) -> None:
    def row(text: str, source: str, label: float, *, val: bool = False, teacher: float = 0.25) -> Row:
        return Row(text, source, val, (*HARMLESS[:4], label), (*UNKNOWN[:4], teacher))

    rows = [
        row("win a prize", "sms", 1.0),
        row("see you soon", "sms", 0.0),
        row("Call me", "sms", 0.0),
        row("call me", "sms", 0.0, val=True),
        row("win a prize now", "synthetic", float("nan")),
        *(row(f"a word or {at}", "olid", float("nan")) for at in range(200)),
    ]
    vocabulary = Vocabulary()
    found = spam.examples(rows, vocabulary, 1, tmp_path)
    texts = [
        tuple(vocabulary.names[at] for at in found.texts.take(np.array([n])).tokens) for n in range(len(found.texts))
    ]
    assert found.targets[texts.index(("win", "a", "prize"))] == 1
    assert found.weights[texts.index(("see", "you", "soon"))] == spam.SMS_WEIGHT
    assert ("call", "me") not in texts
    assert ("win", "a", "prize", "now") not in texts
    others = [found.targets[at] for at, text in enumerate(texts) if text[:3] == ("a", "word", "or")]
    assert set(others) == {0.25}
    assert 0.1 * 200 < len(others) / 2 < 0.35 * 200
