"""What is made of a message before it is written: `ports.Screening` by a scorer and two policies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from chiron.server.moderation import model, store
from chiron.server.moderation.policy import DIRECT, GROUP, Mode, Policy
from chiron.server.moderation.scoring import Scoring
from chiron.server.moderation.sources import Sources
from chiron.server.ports import ALLOWED, Finding, Judgements, Tx

if TYPE_CHECKING:
    from chiron._core import Explanation


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator wants: where scores come from, and the policy of each kind of conversation.

    Actions are `REASON=VERDICT`, in the place of those of `policy.DIRECT` and `policy.GROUP`.
    """

    sources: Sources = field(default_factory=Sources)
    direct: Mode = "enforce"
    direct_actions: tuple[str, ...] = ()
    group: Mode = "enforce"
    group_actions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What spoke against a message: handed through chat, and kept with the verdict."""

    explanation: Explanation
    model: str


class Screening:
    """`ports.Screening` by a scorer and two policies."""

    def __init__(self, rules: Rules) -> None:
        """Raises ValueError for a file or an action that cannot be used."""
        self.scoring = Scoring(rules.sources)
        self._follow(rules)

    def prepare(self, rules: Rules) -> Callable[[], None]:
        """Everything again by other rules; what is returned puts them in force, and cannot fail.

        Raises ValueError, with everything as it was.
        """
        swap = self.scoring.prepare(rules.sources)
        self._policies(rules)

        def follow() -> None:
            swap()
            self._follow(rules)

        return follow

    def _follow(self, rules: Rules) -> None:
        self._direct, self._group = self._policies(rules)
        self._floors = tuple(map(min, self._direct.floors, self._group.floors))
        self._off = self._direct.mode == self._group.mode == "off"

    def _policies(self, rules: Rules) -> tuple[Policy, Policy]:
        thresholds = self.scoring.scorer.thresholds
        return (
            Policy.of(rules.direct, DIRECT, rules.direct_actions, thresholds),
            Policy.of(rules.group, GROUP, rules.group_actions, thresholds),
        )

    def judge(self, score: Any, text: Callable[[], str]) -> Judgements:
        if self._off:
            return ALLOWED
        found = self.scoring.score(text()) if score is None else score
        # Nearly every message ends here, so this costs a third of a loop over the heads.
        abuse, hate, sexual, threat, spam = found.heads
        floors = self._floors
        if (
            abuse < floors[0]
            and hate < floors[1]
            and sexual < floors[2]
            and threat < floors[3]
            and spam < floors[4]
            and not (found.severity or found.contact or found.suspicious)
        ):
            return ALLOWED
        direct, group = self._direct.judge(found), self._group.judge(found)
        if direct.verdict == group.verdict == "allow":
            return ALLOWED
        return Judgements(direct, group, Evidence(self.scoring.explain(text()), self.scoring.scorer.model))

    async def keep(self, tx: Tx, findings: Sequence[Finding]) -> None:
        await store.insert(tx, [_kept(found) for found in findings])

    async def has_kept(self, tx: Tx, message: UUID) -> bool:
        return await store.is_kept(tx, message)


def _kept(found: Finding) -> store.Kept:
    evidence: Evidence = found.evidence
    score = evidence.explanation.score
    detail = model.Detail(
        spans=[
            model.Span(span.start, span.end, span.label, span.severity, span.text)
            for span in evidence.explanation.spans
        ],
        features=list(evidence.explanation.features),
        contact=list(score.contact),
        suspicious=score.suspicious,
        identity_only=score.identity_only,
        cut=score.cut,
    )
    return store.Kept(
        message=found.message,
        conversation=found.conversation,
        kind=found.kind,
        offset=found.offset,
        sender=found.sender,
        verdict=found.judgement.verdict,
        done=found.judgement.done,
        reasons=found.judgement.reasons,
        scores=score.heads,
        severity=score.severity,
        # What was not written is nobody's to keep.
        detail=detail.without_text() if found.offset is None else detail,
        created_at=found.time,
        model=evidence.model,
    )
