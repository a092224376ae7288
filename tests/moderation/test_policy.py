"""What becomes of a score under a policy: the table, and what holds for every score."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiron.server.moderation.policy import DIRECT, GROUP, Policy
from chiron.server.ports import HEADS, REASONS, VERDICTS

THRESHOLDS = {head: {"attention": 0.2, "flag": 0.4, "hold": 0.6, "block": 0.8} for head in HEADS}


@dataclass(frozen=True)
class Score:
    heads: tuple[float, ...] = (0.0,) * 5
    severity: int = 0
    contact: tuple[str, ...] = ()
    suspicious: bool = False
    identity_only: bool = False


def score(severity: int = 0, contact: tuple[str, ...] = (), identity_only: bool = False, **heads: float) -> Score:
    return Score(tuple(heads.get(head, 0.0) for head in HEADS), severity, contact, identity_only=identity_only)


def policy(kind: str = "group", mode: Any = "enforce", *actions: str) -> Policy:
    return Policy.of(mode, GROUP if kind == "group" else DIRECT, actions, THRESHOLDS)


@pytest.mark.parametrize(
    ("found", "direct", "group", "reasons"),
    [
        (score(), "allow", "allow", ()),
        (score(abuse=0.3), "allow", "allow", ()),
        (score(abuse=0.4), "flag", "flag", ("abuse",)),
        (score(abuse=0.6), "flag", "hold", ("abuse",)),
        (score(abuse=0.9), "flag", "hold", ("abuse",)),
        (score(threat=0.5), "flag", "flag", ("threat",)),
        (score(threat=0.7), "flag", "hold", ("threat",)),
        (score(threat=0.8), "flag", "hold", ("threat",)),
        (score(spam=0.9, abuse=0.5), "flag", "hold", ("spam", "abuse")),
        (score(severity=1), "allow", "allow", ()),
        (score(severity=2), "flag", "flag", ("term",)),
        (score(severity=3), "flag", "hold", ("term",)),
        (score(severity=3, abuse=0.5), "flag", "hold", ("term", "abuse")),
        (score(severity=3, hate=0.6), "flag", "block", ("term", "hate")),
        (score(severity=2, hate=0.7), "flag", "hold", ("hate", "term")),
        (score(contact=("mail", "payment")), "allow", "allow", ()),
        # The mention of a group alone is nothing, and everything beside it still is something.
        (score(abuse=0.9, hate=0.9, identity_only=True), "allow", "allow", ()),
        (score(hate=0.9, threat=0.9, identity_only=True), "flag", "hold", ("threat",)),
    ],
)
def test_the_table(found: Score, direct: str, group: str, reasons: tuple[str, ...]) -> None:
    for kind, verdict in (("direct", direct), ("group", group)):
        judged = policy(kind).judge(found)
        assert (judged.verdict, judged.done) == (verdict, verdict), kind
    assert policy("group").judge(found).reasons == reasons


def test_shadow_says_the_verdict_and_does_nothing_and_off_says_nothing() -> None:
    found = score(threat=0.9)
    shadow = policy("group", "shadow").judge(found)
    assert (shadow.verdict, shadow.done, shadow.reasons) == ("hold", "allow", ("threat",))
    assert policy("group", "off").judge(found).verdict == "allow"


@pytest.mark.parametrize(
    ("action", "found", "verdict"),
    [
        ("contact=hold", score(contact=("phone",)), "hold"),
        ("payment=block", score(contact=("upi",)), "block"),
        ("payment=block", score(contact=("mail",)), "allow"),
        ("disguise=flag", replace(score(), suspicious=True), "flag"),
        ("threat=flag", score(threat=1.0), "flag"),
        ("abuse=allow", score(abuse=1.0), "allow"),
        ("abuse=block", score(abuse=1.0), "block"),
    ],
)
def test_an_action_says_how_far_a_reason_leads(action: str, found: Score, verdict: str) -> None:
    assert policy("group", "enforce", action).judge(found).verdict == verdict


@pytest.mark.parametrize("action", ["", "abuse", "abuse=", "abuse=delete", "anger=hold", "abuse = hold"])
def test_an_action_that_says_nothing_is_refused(action: str) -> None:
    with pytest.raises(ValueError, match="REASON=VERDICT"):
        policy("group", "enforce", action)


def test_what_a_model_has_no_threshold_for_is_never_reached() -> None:
    without = Policy.of("enforce", GROUP, (), {"threat": {"flag": 0.5}})
    assert without.judge(score(threat=1.0, abuse=1.0)).verdict == "flag"


probabilities = st.floats(0, 1)
scores = st.builds(
    Score,
    heads=st.tuples(*[probabilities] * 5),
    severity=st.integers(0, 3),
    contact=st.sets(st.sampled_from(["mail", "phone", "handle", "upi", "link", "payment"])).map(tuple),
    suspicious=st.booleans(),
    identity_only=st.booleans(),
)
policies = st.builds(
    Policy.of,
    st.sampled_from(["enforce", "shadow", "off"]),
    st.sampled_from([DIRECT, GROUP]),
    st.lists(st.builds("{}={}".format, st.sampled_from(REASONS), st.sampled_from(VERDICTS)), max_size=5),
    st.fixed_dictionaries(
        {
            head: st.lists(probabilities, min_size=3, max_size=3).map(
                lambda levels: dict(zip(VERDICTS[1:], sorted(levels), strict=True))
            )
            for head in HEADS
        }
    ),
)


@given(policies, scores, st.tuples(*[probabilities] * 5), st.integers(0, 3), st.booleans())
def test_a_higher_score_never_has_a_milder_verdict(
    policy: Policy, lower: Score, raised: tuple[float, ...], severity: int, suspicious: bool
) -> None:
    higher = replace(
        lower,
        heads=tuple(map(max, lower.heads, raised)),
        severity=max(lower.severity, severity),
        contact=(*lower.contact, "payment"),
        suspicious=lower.suspicious or suspicious,
    )
    one, other = policy.judge(lower), policy.judge(higher)
    assert VERDICTS.index(one.verdict) <= VERDICTS.index(other.verdict)
    assert VERDICTS.index(one.done) <= VERDICTS.index(other.done)


@given(policies, scores)
def test_a_verdict_has_its_reasons_and_is_no_stricter_than_any_of_them_may_be(policy: Policy, found: Score) -> None:
    judged = policy.judge(found)
    assert (judged.verdict == "allow") == (judged.reasons == ())
    assert len(set(judged.reasons)) == len(judged.reasons)
    allowed = [policy.most[REASONS.index(reason)] for reason in judged.reasons]
    assert VERDICTS.index(judged.verdict) <= max(allowed, default=0)
    assert judged.done in ("allow", judged.verdict)


@given(policies, scores)
def test_what_stays_below_the_floors_is_allowed(policy: Policy, found: Score) -> None:
    """The screening asks for no verdict there."""
    below = all(head < floor for head, floor in zip(found.heads, policy.floors, strict=True))
    if below and not (found.severity or found.contact or found.suspicious):
        assert policy.judge(found).verdict == "allow"


def test_a_stricter_action_never_makes_a_milder_verdict() -> None:
    found = score(severity=3, abuse=0.7, threat=0.9, contact=("mail",))
    for reason in REASONS:
        got = [policy("group", "enforce", f"{reason}={verdict}").judge(found).verdict for verdict in VERDICTS]
        ranks = [VERDICTS.index(verdict) for verdict in got]
        assert all(one <= other for one, other in itertools.pairwise(ranks)), reason
