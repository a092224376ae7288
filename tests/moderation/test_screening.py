"""What is made of a message before it is written, and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from database import MigratedDatabase
from town import CLOCK, IDS

from chiron.server.moderation import screening as module
from chiron.server.moderation import store
from chiron.server.moderation.model import Detail, Span
from chiron.server.moderation.screening import Rules, Screening
from chiron.server.moderation.sources import Sources
from chiron.server.ports import ALLOWED, HEADS, Finding, Tx


@dataclass
class Score:
    heads: tuple[float, ...] = (0.0,) * 5
    severity: int = 0
    contact: tuple[str, ...] = ()
    suspicious: bool = False
    identity_only: bool = False
    cut: bool = False


@dataclass
class Fake:
    """A scoring that scores every text alike."""

    scored: Score = field(default_factory=Score)
    asked: list[str] = field(default_factory=list)
    explained: list[str] = field(default_factory=list)
    level: float = 0.5

    def __call__(self, _: Sources) -> Fake:
        return self

    @property
    def scorer(self) -> Any:
        levels = {"flag": self.level, "hold": self.level + 0.2, "block": self.level + 0.4}
        return SimpleNamespace(thresholds=dict.fromkeys(HEADS, levels), model="m" * 64)

    def score(self, text: str) -> Score:
        self.asked.append(text)
        return self.scored

    def explain(self, text: str) -> Any:
        self.explained.append(text)
        spans = [SimpleNamespace(start=2, end=5, label="term", severity=3, text="bad")]
        return SimpleNamespace(score=self.scored, spans=spans, features=[("abuse", "bad", 0.5)])

    def prepare(self, _: Sources) -> Callable[[], None]:
        def swap() -> None:
            self.level = 0.1

        return swap


@pytest.fixture
def scoring(monkeypatch: pytest.MonkeyPatch) -> Fake:
    fake = Fake()
    monkeypatch.setattr(module, "Scoring", fake)
    return fake


def screening(**rules: Any) -> Screening:
    return Screening(Rules(**rules))


def unread() -> str:
    raise AssertionError("the text is not needed")


def test_what_came_with_a_score_is_not_scored_again(scoring: Fake) -> None:
    assert screening().judge(Score(), unread) is ALLOWED
    assert screening().judge(None, lambda: "hello") is ALLOWED
    assert (scoring.asked, scoring.explained) == (["hello"], [])


def test_each_kind_of_conversation_is_judged_by_its_own_policy(scoring: Fake) -> None:
    judged = screening().judge(Score((0.8, 0, 0, 0, 0)), lambda: "a bad one")
    assert (judged.direct.done, judged.group.done) == ("flag", "hold")
    assert scoring.explained == ["a bad one"]
    judged = screening(group="shadow", direct="off").judge(Score((0.8, 0, 0, 0, 0)), lambda: "a bad one")
    assert (judged.direct.verdict, judged.group.verdict, judged.group.done) == ("allow", "hold", "allow")


def test_where_no_policy_looks_nothing_is_scored(scoring: Fake) -> None:
    assert screening(group="off", direct="off").judge(None, unread) is ALLOWED
    assert scoring.asked == []


@pytest.mark.parametrize(
    "score", [Score(severity=2), Score(contact=("mail",)), Score(suspicious=True), Score((0, 0, 0, 0, 0.6))]
)
def test_whatever_may_speak_is_heard(scoring: Fake, score: Score) -> None:
    actions = ("contact=flag", "disguise=flag")
    assert screening(group_actions=actions).judge(score, lambda: "x").group.done == "flag"


def test_details_that_no_policy_minds_are_nothing(scoring: Fake) -> None:
    assert screening().judge(Score(contact=("mail", "payment"), suspicious=True), unread) is ALLOWED


def test_other_rules_are_followed_together_with_other_thresholds(scoring: Fake) -> None:
    one = screening()
    follow = one.prepare(Rules(direct="off"))
    found = Score((0.2, 0, 0, 0, 0))
    assert one.judge(found, unread) is ALLOWED
    follow()
    judged = one.judge(found, lambda: "x")
    assert (judged.direct.verdict, judged.group.verdict) == ("allow", "flag")


def test_an_action_that_says_nothing_is_refused_and_changes_nothing(scoring: Fake) -> None:
    one = screening()
    with pytest.raises(ValueError, match="REASON=VERDICT"):
        one.prepare(Rules(group_actions=("anger=hold",)))
    assert one.judge(Score((0.8, 0, 0, 0, 0)), lambda: "x").group.done == "hold"


async def test_what_is_kept_tells_why_and_of_what_was_blocked_not_what_was_said(
    database: MigratedDatabase, scoring: Fake, tmp_path: Path
) -> None:
    scoring.scored = Score((0.25, 0.5, 0, 1.0, 0), 3, ("mail",), suspicious=True)
    one = screening(group_actions=("contact=flag", "threat=block"))
    judged = one.judge(scoring.scored, lambda: "a bad one")
    now = CLOCK.now()
    written, blocked = [
        Finding(IDS.new(), IDS.new(), kind, offset, IDS.new(), now, judged.of(kind), judged.evidence)
        for kind, offset in (("direct", 7), ("group", None))
    ]

    async def keep(tx: Tx) -> None:
        await one.keep(tx, [written, blocked])

    await database.pool.run(keep)
    assert await database.pool.read(lambda tx: one.has_kept(tx, blocked.message))
    assert not await database.pool.read(lambda tx: one.has_kept(tx, IDS.new()))
    first = await database.pool.read(lambda tx: store.finding(tx, written.message))
    second = await database.pool.read(lambda tx: store.finding(tx, blocked.message))
    assert first is not None
    assert second is not None
    assert (first.verdict, first.done, first.offset, list(first.scores)) == ("flag", "flag", 7, [0.25, 0.5, 0, 1.0, 0])
    assert (second.verdict, second.done, second.offset) == ("block", "block", None)
    assert second.reasons[0] == "threat"
    assert first.detail == Detail(
        spans=[Span(2, 5, "term", 3, "bad")], features=[("abuse", "bad", 0.5)], contact=["mail"], suspicious=True
    )
    assert second.detail == Detail(spans=[Span(2, 5, "term", 3)], contact=["mail"], suspicious=True)
    assert "bad" not in str(
        await database.pool.read(
            lambda tx: tx.fetchval("SELECT detail::text FROM finding WHERE message = $1", blocked.message)
        )
    )
