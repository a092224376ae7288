"""What becomes of a message by its score: a table for each kind of conversation, and nothing else.

A head's probability reaches `flag`, `hold` or `block` by the thresholds of the model. Listed terms and details that
were found have levels of their own:

    term        severity 1 nothing by itself, 2 `flag`, 3 `hold`; 3 is `block` where abuse or hate reach `hold` too
    contact     `block`, so that the policy alone says what it comes to
    payment     likewise
    disguise    likewise: letters that are hidden from whoever reads

A policy says how far each reason may lead; the strictest one is the verdict. So a higher score is never given a milder
verdict. What abuse or hate have by the mention of a group alone (`Score.identity_only`) counts for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from chiron.server.ports import HEADS, REASONS, VERDICTS, Judgement
from chiron.server.settings.checks import parse_action

Mode = Literal["enforce", "shadow", "off"]
Thresholds = Mapping[str, Mapping[str, float]]
"""By head and verdict, as `_core.Scorer.thresholds`."""

NEVER = 2.0
"""No probability is as high."""
ALLOW = Judgement()
_RANKS = {verdict: rank for rank, verdict in enumerate(VERDICTS)}
_HOLD, _BLOCK = _RANKS["hold"], _RANKS["block"]
_OF_SEVERITY = (0, 0, _RANKS["flag"], _HOLD)
_ABUSE, _HATE = HEADS.index("abuse"), HEADS.index("hate")
_TERM, _CONTACT, _PAYMENT, _DISGUISE = (REASONS.index(name) for name in ("term", "contact", "payment", "disguise"))

DIRECT: Mapping[str, str] = dict.fromkeys((*HEADS, "term"), "flag")
"""How far reasons lead in direct conversations, where the settings do not say: two people have chosen each other."""
GROUP: Mapping[str, str] = {**dict.fromkeys(HEADS, "hold"), "term": "block"}
"""The same in groups: a model may keep a message back until somebody has looked, but not alone have it unsent."""


class Score(Protocol):
    """Of `_core.Score`, what a policy looks at."""

    @property
    def heads(self) -> tuple[float, ...]: ...
    @property
    def severity(self) -> int: ...
    @property
    def contact(self) -> tuple[str, ...]: ...
    @property
    def suspicious(self) -> bool: ...
    @property
    def identity_only(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Policy:
    """Of one kind of conversation, for one model. `most` has a rank for each of `REASONS`."""

    mode: Mode
    most: tuple[int, ...]
    thresholds: tuple[tuple[float, float, float], ...]
    """Of each head: flag, hold, block."""

    @classmethod
    def of(cls, mode: Mode, default: Mapping[str, str], actions: Iterable[str], thresholds: Thresholds) -> Policy:
        """`actions` are `REASON=VERDICT`, in the place of those of `default`. Raises ValueError for any other text."""
        most = {**default, **dict(map(parse_action, actions))}
        levels = tuple(
            tuple(thresholds.get(head, {}).get(verdict, NEVER) for verdict in VERDICTS[1:]) for head in HEADS
        )
        return cls(mode, tuple(_RANKS[most.get(reason, "allow")] for reason in REASONS), levels)  # type: ignore[arg-type]

    @property
    def floors(self) -> tuple[float, ...]:
        """By head: what stays below is allowed, as long as nothing but heads speaks."""
        if self.mode == "off":
            return (NEVER,) * len(HEADS)
        return tuple(levels[0] if most else NEVER for levels, most in zip(self.thresholds, self.most, strict=False))

    def judge(self, score: Score) -> Judgement:
        if self.mode == "off":
            return ALLOW
        ranks = [min(rank, most) for rank, most in zip(self._reached(score), self.most, strict=True)]
        worst = max(ranks)
        if not worst:
            return ALLOW
        found = sorted((index for index, rank in enumerate(ranks) if rank), key=lambda index: (-ranks[index], index))
        verdict = VERDICTS[worst]
        done = verdict if self.mode == "enforce" else "allow"
        return Judgement(verdict, done, tuple(REASONS[index] for index in found))

    def _reached(self, score: Score) -> list[int]:
        """By reason: how far it goes before the policy has its say."""
        reached = [
            sum(probability >= level for level in levels)
            for probability, levels in zip(score.heads, self.thresholds, strict=True)
        ]
        if score.identity_only:
            reached[_ABUSE] = reached[_HATE] = 0
        term = _OF_SEVERITY[score.severity]
        if term == _HOLD and max(reached[_ABUSE], reached[_HATE]) >= _HOLD:
            term = _BLOCK
        contact = set(score.contact)
        payment = bool(contact & {"payment", "upi"})
        return [
            *reached,
            term,
            _BLOCK if contact else 0,
            _BLOCK if payment else 0,
            _BLOCK if score.suspicious else 0,
        ]
