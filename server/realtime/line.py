"""The order of one link's publishes to one channel.

`n` counts them: 1, 2, 3… Publishes are submitted as they arrive, many at a time, and a line keeps two promises about
them: their answers leave in the order in which they arrived, and once one has failed temporarily nothing behind it
is written before it was sent again.

    n            line        becomes                      answer
    < next       –           unchanged                    decided before: processed again; in flight: busy
    = next       –           next + 1                     as the authority or a final refusal says
    = next       –           blocked, if refused          limited (any refusal that is temporary)
    > next       blocked     unchanged                    after_failed
    > next       open        unchanged                    protocol (a gap)
    any ≥ next   run failed  unchanged                    after_failed

`next` is the lowest `n` that was neither decided nor submitted. When a temporary failure of `n` is answered, `next`
falls back to `n`, the line is blocked and a new `ports.Run` begins. Between the failure in the authority and its
answer, the line knows of it by `Run.failed` only; whoever arrives then is behind the failure. What was submitted in an
older run fails with it and moves nothing: its `n` will be sent again.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

from chiron.errors import ChironError, Refused, Unavailable
from chiron.server.ports import Run

T = TypeVar("T")


class Place(Generic[T]):
    """A publish in its line, until it was answered. `counts`: it moves the line when it is."""

    __slots__ = ("answer", "counts", "failed", "n", "run")

    def __init__(self, n: int, run: Run, counts: bool) -> None:
        self.n = n
        self.run = run
        self.counts = counts
        self.failed = False
        self.answer: T | None = None


class Line(Generic[T]):
    """`T` is what the caller answers with; the line only orders it."""

    __slots__ = ("_blocked", "_decided", "_next", "_places", "_run")

    def __init__(self) -> None:
        self._next = 1
        self._decided = 0
        """Highest `n` that was answered for good; those between it and `next` are in flight."""
        self._blocked = False
        self._run = Run()
        self._places: deque[Place[T]] = deque()

    def arrive(self, n: int, refusal: ChironError | None = None) -> tuple[Place[T], ChironError | None]:
        """The publish's place, and why it must not be submitted (then settle it at once with that error).

        `refusal` is what stands against it already: a limit, a drain, an unknown channel.
        """
        if n < self._next:
            if n > self._decided:
                refusal = Unavailable("busy")
            return self._join(Place(n, Run(), counts=False)), refusal
        if self._run.failed or (n > self._next and self._blocked):
            return self._join(Place(n, self._run, counts=False)), Unavailable("after_failed")
        if n > self._next:
            gap = Refused("protocol", reason=f"n is {n} where {self._next} comes next")
            return self._join(Place(n, self._run, counts=False)), gap
        if refusal is not None and refusal.row.temporary:
            self._blocked = True
            return self._join(Place(n, self._run, counts=False)), refusal
        self._blocked = False
        self._next = n + 1
        return self._join(Place(n, self._run, counts=True)), refusal

    def settle(self, place: Place[T], answer: T, *, failed: bool) -> list[T]:
        """The answers that may leave now, in order. `failed`: temporarily; call it in the step that learns of it."""
        place.answer = answer
        place.failed = failed
        if failed and place.counts:
            place.run.failed = True
        leaving: list[T] = []
        while self._places and (answered := self._places[0].answer) is not None:
            leaving.append(answered)
            self._pass(self._places.popleft())
        return leaving

    def _join(self, place: Place[T]) -> Place[T]:
        self._places.append(place)
        return place

    def _pass(self, place: Place[T]) -> None:
        if not place.counts or place.run is not self._run:
            return
        if place.failed:
            self._next = place.n
            self._blocked = True
            self._run = Run()
        else:
            self._decided = place.n
