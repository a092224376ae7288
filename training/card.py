"""`docs/model-card.md`, from the figures of `evaluate` (after Mitchell et al. 2019, *Model cards*)."""

from __future__ import annotations

from typing import Any, Final

from training.evaluate import EVASION_TARGETS, TARGETS, verdict
from training.reference.model import LEVELS

_PUBLIC: Final = {
    "davidson_auc": "Davidson, offensive or not (`abuse`): AUC",
    "olid_auc": "OLID, offensive or not (`abuse`): AUC",
    "spam_auc": "SMS spam (`spam`): AUC",
    "convabuse_macro_f1": "ConvAbuse (`abuse`): macro-F1, threshold chosen on its training rows",
    "convabuse_auc": "ConvAbuse (`abuse`): AUC",
    "hatemoji_auc": "HatemojiBuild (`hate`): AUC",
}
_EVASION: Final = {
    "none": "as written",
    "homoglyph": "look-alikes of other scripts",
    "zero_width": "invisible characters",
    "leet": "digits and signs for letters",
    "repeats": "drawn-out letters",
    "spacing": "some words with spaces, dots or dashes between letters",
    "spaced_text": "every letter of the text apart",
    "diacritics": "combining marks",
    "fullwidth": "full-width and mathematical letters",
    "masked": "a vowel by an asterisk",
    "typing": "letters swapped or left out",
    "encoded": "percent and HTML encoding",
    "casing": "random capitals",
}

_MADE: Final = {
    "ordinary": "ordinary mentoring messages, documentation, identifiers",
    "contrast": "a word or two from hostility (`i will find you a book`)",
    "mention": "kind or neutral mentions",
}

_HEAD: Final = """\
# Model card: the content scorer

Written by `python -m training card`; do not edit. The pipeline is specified in `training/reference/`, the model and its
file in `training/reference/model.py`.

## What it is

A text classifier for short messages in English with five heads, `abuse` (offensive or not, the broad one), `hate`,
`sexual`, `threat` and `spam`. Each gives a calibrated probability. Pieces of words are hashed into a table of 65,536
rows of 16 numbers; a convolution over three words, pooled, and a small dense layer give logits, to which those of a
hashed linear part (2^18 rows) are added. All is integer arithmetic: the same text has the same score on every machine.
It reads at most 16 KiB, in windows of 256 words.

It was distilled: the target is 0.15 of the label (0.5 for SMS) and the rest of the mean of larger models
(all-mpnet-base-v2, fine-tuned in folds), on public data (`server/moderation/weights/ATTRIBUTION.md`), 408k synthetic
texts that those models scored, copies written round a filter, and sentences made from frames: ordinary mentoring
messages, harmless ones with hostile words, and kind or neutral mentions of groups (target 0), and insults, hatred,
threats, advances and offers. The weights are a running mean over the last steps, some five hundred. `spam` is half of
what comes out of that, plus a logistic regression on the features of the linear part alone, with labels as targets
(`training/spam.py`): the network learns its few thousand SMS by heart.

## What it is for

Messages of a mentoring community: to order what moderators look at, to mark (`flag`) and, where the policy of a kind
of conversation says so, to hold or block before delivery. It stands beside lists of terms and detectors of contact
details, and under a policy that people decide (`docs/decisions/0016-scoring.md`). Every verdict but allow comes with
spans and the strongest features, so that a person can see why.

## What it must not be used for

- Any sanction of a person without a person who decided it; any score or rating of people; employment, admission,
  credit, policing, or anything about a person's character or intent.
- Emergencies: it is no detector of danger to life. A low score of `threat` means nothing.
- Languages other than English. It has no transfer at all: there only the lists work. Code-switched text is read as
  far as its words are English.
- Automatic action on the mention of a group alone: use `identity_only`, which is set when nothing asks for attention
  any more once the name in a text that mentions a group is replaced by `people`.
- As evidence of how common abuse is in a community: shares of flagged messages are not prevalences.
"""

_LIMITS: Final = """\
## Limits

- Labels are those of English tweets, chat with bots and SMS of 2011–2021, by annotators with their own views; African
  American English and reclaimed words are marked offensive too often in Davidson, and this model learned from it.
- The teacher, 45 times as large, is the ceiling of what was distilled; on these validation rows it is itself near what
  is asked of OLID and spam.
- `threat` and `sexual` rest on few labelled rows and much on frames. Their figures above are mostly of held-out frames.
- Implicit abuse, irony, quotation, counter-speech with slurs, and what only the conversation shows are beyond it. It
  sees three words at a time. A linear model cannot tell "X are great" from "X are vile"; this one can, imperfectly.
- The held-out sentences come from frames by the same hand as those of training: real messages are more varied, so
  expect more false positives than these figures show, and measure them in shadow mode first.
- Probabilities are calibrated on a mix of these data, which has far more abuse than a mentoring community.
- Who knows the lists and the weights can write round them. Evasion figures are of twelve known kinds.
"""


def _percent(value: float) -> str:
    return "–" if value != value else f"{100 * value:.1f} %"


def card(found: dict[str, Any]) -> str:
    """The page."""
    lines = [
        _HEAD,
        "## Figures",
        "",
        f"Of `model.bin` ({found['bytes']:,} bytes, SHA-256 `{found['sha256'][:16]}…`, {found['name']}), on "
        "rows marked `val` that training never saw, with the integers that ship. Flagged: any head reaches `flag`.",
        "",
        "| public set | model | its linear part alone | teacher | asked |",
        "|---|---|---|---|---|",
    ]
    for name, title in _PUBLIC.items():
        target = TARGETS.get(name)
        asked = f"≥ {target}: {verdict(found['public'][name], target)}" if target else ""
        values = " | ".join(f"{found[part][name]:.4f}" for part in ("public", "public_linear", "public_teacher"))
        lines.append(f"| {title} | {values} | {asked} |")
    lines += [
        "",
        "### Per head",
        "",
        "Labelled rows of validation, templates and held-out sentences together; ECE is the expected calibration error "
        "in ten bins. Each level shows its threshold, the share of positives that reach it, and the share of others.",
        "",
        "| head | rows | positives | AUC | ECE | " + " | ".join(LEVELS) + " |",
        "|---|---|---|---|---|" + "---|" * len(LEVELS),
    ]
    for name, head in found["heads"].items():
        levels = " | ".join(
            f"≥ {head[f'{level}_threshold']:.3f}: {_percent(head[f'{level}_recall'])}, "
            f"{100 * head[f'{level}_false']:.2f} %"
            for level in LEVELS
        )
        lines.append(
            f"| {name} | {head['rows']:,} | {head['positives']:,} | {head['auc']:.3f} | "
            f"{head['calibration_error']:.3f} | {levels} |"
        )
    lines += [
        "",
        "### Harmless sentences that training never saw",
        "",
        "| made from held-out frames, names and groups | rows | " + " | ".join(LEVELS) + " |",
        "|---|---|" + "---|" * len(LEVELS),
    ]
    for source, title in _MADE.items():
        entry = found[source]
        shares = " | ".join(f"{100 * entry[level]:.2f} %" for level in LEVELS)
        lines.append(f"| {title} | {entry['rows']:,} | {shares} |")
    lines += [
        "",
        "### Per kind of evasion",
        "",
        f"{found['evasion_rows']:,} offensive rows of validation, rewritten; recall at `flag`, and the share of "
        "ordinary held-out sentences that are flagged when rewritten the same way.",
        "",
        "| written | recall | of the clean recall | asked | harmless flagged |",
        "|---|---|---|---|---|",
    ]
    for name, entry in found["evasion"].items():
        target = EVASION_TARGETS.get(name)
        asked = f"≥ {target}: {verdict(entry['of_clean'], target)}" if target else ""
        lines.append(
            f"| {_EVASION[name]} | {entry['recall']:.3f} | {entry['of_clean']:.3f} | {asked} | "
            f"{100 * entry['harmless_flagged']:.2f} % |"
        )
    lines += [
        "",
        "### Per group mentioned",
        "",
        "Rows of validation and held-out mentions that name a group, before `identity_only` is looked at.",
        "",
        "| group | harmless rows | flagged | blocked | hateful rows | flagged |",
        "|---|---|---|---|---|---|",
    ]
    for name, entry in found["groups"].items():
        lines.append(
            f"| {name} | {entry['harmless']:,} | {_percent(entry['harmless_flagged'])} | "
            f"{_percent(entry['harmless_blocked'])} | {entry['hateful']:,} | {_percent(entry['hateful_flagged'])} |"
        )
    return "\n".join(lines) + "\n\n" + _LIMITS
