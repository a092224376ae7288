"""The order of publishes, with an authority that keeps the promise of `ports.Run` and a client that keeps its own."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from chiron.errors import ChironError, Refused, Unavailable
from chiron.server.realtime.line import Line, Place


def codes(line: Line[str], *numbers: int) -> list[str]:
    return [refusal.code if refusal else "submit" for _, refusal in (line.arrive(n) for n in numbers)]


def test_publishes_in_order_are_submitted_and_a_gap_is_refused() -> None:
    line: Line[str] = Line()
    assert codes(line, 1, 2, 4, 3) == ["submit", "submit", "protocol", "submit"]


def test_answers_leave_in_order_of_arrival() -> None:
    line: Line[str] = Line()
    one, two, three = (line.arrive(n)[0] for n in (1, 2, 3))
    assert line.settle(three, "3", failed=False) == []
    assert line.settle(one, "1", failed=False) == ["1"]
    assert line.settle(two, "2", failed=False) == ["2", "3"]


def test_behind_a_temporary_failure_everything_fails_until_it_is_sent_again() -> None:
    line: Line[str] = Line()
    one, _ = line.arrive(1)
    two, _ = line.arrive(2)
    assert not line.passes_failure(two)
    line.settle(one, "unavailable", failed=True)
    assert line.passes_failure(two)
    line.settle(two, "after_failed", failed=True)
    assert codes(line, 3, 2) == ["after_failed", "after_failed"]
    again, refusal = line.arrive(1)
    assert refusal is None
    assert not again.run.failed
    assert codes(line, 2, 3) == ["submit", "submit"]


def test_between_the_failure_and_its_answer_nothing_slips_through() -> None:
    line: Line[str] = Line()
    one, _ = line.arrive(1)
    one.run.failed = True
    assert codes(line, 2, 1) == ["after_failed", "busy"]


def test_what_was_submitted_before_a_failure_is_not_touched_by_it() -> None:
    line: Line[str] = Line()
    one, two, three = (line.arrive(n)[0] for n in (1, 2, 3))
    assert line.settle(two, "busy", failed=True) == []
    assert not one.run.failed
    assert line.passes_failure(three)
    assert codes(line, 4) == ["after_failed"]
    line.settle(three, "after_failed", failed=True)
    assert line.settle(one, "ack", failed=False) == ["ack", "busy", "after_failed"]
    assert codes(line, 2, 3, 4) == ["submit", "submit", "submit"]


def test_a_final_refusal_does_not_stop_those_behind_it() -> None:
    line: Line[str] = Line()
    one, _ = line.arrive(1)
    line.settle(one, "forbidden", failed=False)
    two, refusal = line.arrive(2, Refused("forbidden"))
    assert refusal is not None
    line.settle(two, "forbidden", failed=False)
    assert codes(line, 3) == ["submit"]


def test_a_refusal_by_limit_blocks_like_any_temporary_failure() -> None:
    line: Line[str] = Line()
    first, _ = line.arrive(1)
    limited, refusal = line.arrive(2, Unavailable("limited"))
    assert refusal is not None
    assert line.settle(limited, "limited", failed=True) == []
    assert codes(line, 3) == ["after_failed"]
    assert line.settle(first, "ack", failed=False) == ["ack", "limited"]
    assert not first.run.failed
    assert codes(line, 2, 3) == ["submit", "submit"]


def test_what_was_decided_may_be_repeated_and_moves_nothing() -> None:
    line: Line[str] = Line()
    for n in (1, 2):
        place, _ = line.arrive(n)
        line.settle(place, "ack", failed=False)
    repeat, refusal = line.arrive(1)
    assert refusal is None
    line.settle(repeat, "unavailable", failed=True)
    assert codes(line, 3) == ["submit"]


class Authority:
    """Decides submitted publishes in the order in which they came, some of them later than others learn of it."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.queue: list[tuple[int, Place[tuple[int, str]]]] = []
        self.decided: list[tuple[int, Place[tuple[int, str]], str]] = []
        self.log: list[int] = []

    def decide_one(self) -> None:
        serial, place = self.queue.pop(0)
        outcome = "unavailable" if self.rng.random() < 0.2 else "forbidden" if place.n % 7 == 0 else "ack"
        if place.run.failed:
            outcome = "after_failed"
        elif outcome == "unavailable":
            place.run.failed = True
        elif outcome == "ack" and place.n not in self.log:
            self.log.append(place.n)
        self.decided.append((serial, place, outcome))


TEMPORARY = {"unavailable", "after_failed", "limited", "busy"}


@given(st.integers(0, 2**32), st.integers(1, 40))
@settings(max_examples=300)
def test_whatever_fails_publishes_are_written_in_order_and_answered_in_order(seed: int, total: int) -> None:
    rng = random.Random(seed)
    line: Line[tuple[int, str]] = Line()
    authority = Authority(rng)
    arrived: list[int] = []
    answered: list[int] = []
    final: dict[int, str] = {}
    # The client sends 1…total without waiting; told of a temporary failure of n, it goes back to n.
    position, serial = 1, 0

    def receive(answers: list[tuple[int, str]]) -> None:
        nonlocal position
        for which, code in answers:
            answered.append(which)
            n = sent[which]
            if code not in TEMPORARY:
                assert final.setdefault(n, code) == code
            elif code != "after_failed":
                position = min(position, n)

    sent: dict[int, int] = {}
    submitting: list[tuple[int, Place[tuple[int, str]]]] = []
    for _ in range(100_000):
        if len(final) == total:
            break
        match rng.choices(["send", "submit", "decide", "learn"], [4, 4, 3, 3])[0]:
            case "send" if position <= total:
                serial += 1
                sent[serial] = position
                arrived.append(serial)
                limit: ChironError | None = Unavailable("limited") if rng.random() < 0.1 else None
                place, refusal = line.arrive(position, limit)
                assert refusal is None or refusal.row.temporary
                position += 1
                if refusal is None:
                    submitting.append((serial, place))
                else:
                    receive(line.settle(place, (serial, refusal.code), failed=True))
            case "submit" if submitting:
                which, place = submitting.pop(0)
                if line.passes_failure(place):
                    receive(line.settle(place, (which, "after_failed"), failed=True))
                elif rng.random() < 0.1:
                    receive(line.settle(place, (which, "unavailable"), failed=True))
                else:
                    authority.queue.append((which, place))
            case "decide" if authority.queue:
                authority.decide_one()
            case "learn" if authority.decided:
                which, place, outcome = authority.decided.pop(rng.randrange(len(authority.decided)))
                receive(line.settle(place, (which, outcome), failed=outcome in TEMPORARY))
    assert len(final) == total, "the client gets through"
    assert authority.log == sorted(authority.log)
    assert answered == arrived[: len(answered)]
    assert authority.log == [n for n in range(1, total + 1) if n % 7]
