"""How long requests take, for metrics: by what there are few of, never by who asks or what for."""

from __future__ import annotations

from chiron.server.gateway.gateway import METHODS, Finished
from chiron.server.ports import Distribution

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Requests:
    """Observes a gateway. `seconds` is by route, method and status."""

    def __init__(self) -> None:
        self.seconds: dict[tuple[str, str, int], Distribution] = {}

    def __call__(self, finished: Finished) -> None:
        seconds = self.seconds.get((finished.route, finished.method, finished.status))
        if seconds is None:
            method = finished.method if finished.method in METHODS else "other"
            seconds = self.seconds.setdefault((finished.route, method, finished.status), Distribution(BOUNDS))
        seconds.add(finished.seconds)
