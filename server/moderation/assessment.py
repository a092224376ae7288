"""Scores and verdicts of single texts, without a server: for the command line, and for programs that embed Chiron.

from chiron.server.moderation.assessment import assess

assess("see you at five").verdict  # "allow"
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Literal

import msgspec

from chiron.server.moderation.model import Span
from chiron.server.moderation.policy import DIRECT, GROUP, Policy
from chiron.server.moderation.scoring import Scoring
from chiron.server.moderation.sources import Sources
from chiron.server.ports import HEADS

Kind = Literal["direct", "group"]


class Assessment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is thought of a text. Where nothing was found in it there is nothing to explain: no spans, no features."""

    scores: dict[str, float]
    """By head: calibrated probabilities of abuse, hate, sexual, threat, spam."""
    verdict: str
    """allow, flag, hold or block: what the policy of a kind of conversation makes of it."""
    spans: list[Span]
    """Places in the text, in code points."""
    reasons: tuple[str, ...] = ()
    """The strongest first."""
    features: list[tuple[str, str, float]] = []
    """(head, piece of the text, its share of the head's logit), the strongest first."""


class Assessor:
    """One scorer, and the policy that a kind of conversation has where nobody says otherwise."""

    def __init__(self, sources: Sources | None = None, kind: Kind = "group", actions: Iterable[str] = ()) -> None:
        """`actions` are `REASON=VERDICT`, in the place of those of `policy.DIRECT` or `policy.GROUP`.

        Raises ValueError for a file or an action that cannot be used.
        """
        self._scoring = Scoring(sources or Sources())
        default = DIRECT if kind == "direct" else GROUP
        self._policy = Policy.of("enforce", default, actions, self._scoring.scorer.thresholds)

    def assess(self, text: str, *, explain: bool = False) -> Assessment:
        """Explained is what is not allowed, or has terms, details or disguises; with `explain`, any text."""
        explanation = self._scoring.explain(text) if explain else None
        score = explanation.score if explanation else self._scoring.score(text)
        judged = self._policy.judge(score)
        scores = dict(zip(HEADS, score.heads, strict=True))
        if explanation is None:
            if judged.verdict == "allow" and not (score.severity or score.contact or score.suspicious):
                return Assessment(scores=scores, verdict="allow", spans=[])
            explanation = self._scoring.explain(text)
        return Assessment(
            scores=scores,
            verdict=judged.verdict,
            spans=[Span(each.start, each.end, each.label, each.severity, each.text) for each in explanation.spans],
            reasons=judged.reasons,
            features=list(explanation.features),
        )


def assess(text: str, kind: Kind = "group") -> Assessment:
    """With what is shipped, which is read once in a process."""
    return _shipped(kind).assess(text)


@functools.cache
def _shipped(kind: Kind) -> Assessor:
    return Assessor(kind=kind)
