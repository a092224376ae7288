from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import Pauses

from chiron.client import NotReachable, ServerRefused, SignedOut
from chiron.client.patience import backoff, patiently

AWAY = NotReachable("http://localhost does not answer")


class Failing:
    """Raises what it was given, one after the other, then returns `done`."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


@given(st.integers(0, 10_000))
def test_backoff_is_full_jitter_up_to_half_a_minute(attempt: int) -> None:
    assert 0 <= backoff(attempt) <= min(30.0, 0.25 * 2.0 ** min(attempt, 20))


def test_backoff_uses_its_whole_range() -> None:
    drawn = [backoff(3) for _ in range(1_000)]
    assert min(drawn) < 0.2
    assert max(drawn) > 1.8


async def test_what_works_is_not_repeated(pauses: Pauses) -> None:
    said: list[str] = []
    call = Failing()
    assert await patiently(call, seconds=30, report=said.append, sleep=pauses) == "done"
    assert (call.calls, said, pauses.taken) == (1, [], [])


async def test_a_server_that_comes_back_is_waited_for_with_one_word(pauses: Pauses) -> None:
    said: list[str] = []
    call = Failing(AWAY, AWAY, ServerRefused("draining"), ServerRefused("unavailable"))
    assert await patiently(call, seconds=30, report=said.append, sleep=pauses) == "done"
    assert said == ["http://localhost does not answer; trying again for 30 s"]
    assert all(0.1 <= pause <= 2.0 for pause in pauses.taken)


async def test_retry_after_is_obeyed(pauses: Pauses) -> None:
    call = Failing(ServerRefused("limited", retry_after=7.0))
    await patiently(call, seconds=30, report=lambda _: None, sleep=pauses)
    assert pauses.taken == [7.0]


async def test_patience_ends(pauses: Pauses) -> None:
    call = Failing(*[AWAY] * 1_000)
    with pytest.raises(NotReachable):
        await patiently(call, seconds=30, report=lambda _: None, sleep=pauses)
    assert 25 <= sum(pauses.taken) <= 30


@pytest.mark.parametrize(
    "make", [lambda: ServerRefused("credentials"), lambda: SignedOut("sign in first"), lambda: ValueError("a mistake")]
)
async def test_what_will_fail_again_is_not_repeated(pauses: Pauses, make: Callable[[], Exception]) -> None:
    error = make()
    call = Failing(error)
    with pytest.raises(type(error)):
        await patiently(call, seconds=30, report=lambda _: None, sleep=pauses)
    assert (call.calls, pauses.taken) == (1, [])
