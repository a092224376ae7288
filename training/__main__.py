"""`python -m training`: train the scorer's model, measure it, and write its card."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from training.golden import golden
from training.progress import say

WEIGHTS = Path("server/moderation/weights/model.bin")
CACHE = Path("target/training")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description="The model of the content scorer. Needs the extra `training`; run it from the checkout's root.",
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data/moderation"), help="folder with DATA.md")
    parser.add_argument("--cache", type=Path, default=CACHE, help="what is kept between runs")
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="train, calibrate and write the weights")
    train.add_argument("--out", type=Path, default=WEIGHTS)
    train.add_argument("--seed", type=int, default=7)
    train.add_argument("--epochs", type=int, default=8)
    train.add_argument("--share", type=float, default=1.0, help="train on this share of the rows: a trial")
    again = commands.add_parser("calibrate", help="choose probabilities and thresholds again, for trained weights")
    again.add_argument("--out", type=Path, default=WEIGHTS)
    again.add_argument("--seed", type=int, default=7)
    for name, text in (("evaluate", "print every figure"), ("card", "print them and write docs/model-card.md")):
        measure = commands.add_parser(name, help=text)
        measure.add_argument("--model", type=Path, default=WEIGHTS)
        measure.add_argument("--seed", type=int, default=7)
        measure.add_argument("--json", type=Path, metavar="FILE", help="write every figure")
    commands.add_parser("golden", help="write tests/moderation/golden.json")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    if given.command == "golden":
        Path("tests/moderation/golden.json").write_text(golden(), encoding="utf-8")
        return
    # What needs numpy and scipy comes in only for what uses it.
    from training import card, evaluate, train

    if given.command == "train":
        recipe = train.Recipe(seed=given.seed, epochs=given.epochs, share=given.share)
        network, model = train.train(recipe, given.data, given.cache)
        network.save(given.cache / "network.npz")
        given.out.write_bytes(model.to_bytes())
        say(f"wrote {given.out}")
    elif given.command == "calibrate":
        train.recalibrate(given.out, given.data, given.cache, given.seed)
        say(f"wrote {given.out}")
    else:
        found = evaluate.evaluate(given.model, given.data, given.cache, given.seed)
        print(evaluate.table(found))
        if given.json:
            given.json.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        if given.command == "card":
            Path("docs/model-card.md").write_text(card.card(found), encoding="utf-8")


if __name__ == "__main__":
    main()
