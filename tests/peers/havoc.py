"""Kills of whatever a server consists of: at random, and at each labelled point of it in turn."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import zip_longest
from pathlib import Path
from typing import Literal

from serving import Server, until
from talk import Progress

LABELS = {
    "committer.before_commit": (3, 10),
    "committer.after_commit": (3, 10),
    "committer.before_ack": (3, 10),
    "committer.during_delivery": (20, 150),
    "mail.before_send": (1, 4),
    "mail.after_send": (1, 4),
    "identity.before_commit": (1, 3),
    "identity.after_register": (1, 2),
    "identity.after_refresh": (1, 20),
    "identity.after_ask_reset": (1, 2),
    "identity.after_reset": (1, 1),
}
"""How often one worker gets to a label until it dies there: from, to."""

ARMED = 2
"""Labels at a time."""

Kind = Literal["worker", "postgres", "supervisor", "everything"]


@dataclass
class Havoc:
    """One kill each time that another part of `total` messages is acknowledged. Each new supervisor has more labels
    armed, and those that nobody has died at yet.
    """

    server: Server
    progress: Progress
    total: int
    rng: random.Random
    kills: int
    done: Counter[Kind] = field(default_factory=Counter)

    async def wreak(self) -> None:
        """Ends when a worker has died at each label."""
        turns = iter(self._turns())
        armed: list[str] = []
        plan = self._plan()
        for number, kind in enumerate(plan):
            await self.progress.reach(self.total * (number + 1) // (len(plan) + 2))
            match kind:
                case "worker":
                    await until(self.server.kill_worker, lambda: f"no worker to kill\n{self.server.tail()}")
                case "postgres":
                    await until(self.server.kill_postgres, lambda: f"no PostgreSQL to kill\n{self.server.tail()}")
                case "supervisor" | "everything":
                    await self.server.kill_supervisor()
                    if kind == "everything":
                        self.server.kill_everything()
                    armed += next(turns)
                    await self.server.start(crash_at=",".join(map(self._place, armed)), wait=False)
            self.done[kind] += 1
        await until(
            lambda: not LABELS.keys() - self.reached().keys(),
            lambda: f"nobody dies at {LABELS.keys() - self.reached().keys()}\n{self.server.tail()}",
        )

    def reached(self) -> Counter[str]:
        """How often workers died at each label."""
        return Counter(re.findall(r"^reached (\S+)$", self.server.log.read_text(errors="replace"), re.MULTILINE))

    def _place(self, label: str) -> str:
        """With a file, so that one worker alone dies at each."""
        return f"{label}:{self.rng.randint(*LABELS[label])}:{self.server.folder / label}"

    def _turns(self) -> list[list[str]]:
        """What each supervisor has armed in addition.

        Early are those that need talk, which comes to its end, and of mail, which waits for the end of a lease then.
        """
        shuffled = self.rng.sample(sorted(LABELS), len(LABELS))
        talk = [label for label in shuffled if label.startswith("committer.")]
        rest = sorted(
            set(shuffled) - set(talk), key=lambda label: (not label.startswith("mail."), shuffled.index(label))
        )
        order = [label for pair in zip_longest(talk, rest) for label in pair if label]
        return [order[begin : begin + ARMED] for begin in range(0, len(order), ARMED)]

    def _plan(self) -> list[Kind]:
        """Of every kind some, in any order; but supervisors are spread, one of so many kills."""
        supervisors = len(self._turns())
        with_labels = _shared(self.rng, supervisors, ["supervisor", "supervisor", "everything"])
        others = _shared(self.rng, self.kills - supervisors, ["worker", "postgres", "worker"])
        plan: list[Kind] = []
        for turn in range(supervisors):
            share = others[len(others) * turn // supervisors : len(others) * (turn + 1) // supervisors]
            share.insert(self.rng.randint(0, len(share)), with_labels[turn])
            plan += share
        return plan


def _shared(rng: random.Random, count: int, kinds: list[Kind]) -> list[Kind]:
    """So many, in these shares, shuffled."""
    return rng.sample((kinds * count)[:count], count)


def labels_of_the_server() -> set[str]:
    """Every label in its sources."""
    spec = find_spec("chiron.server")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    found: set[str] = set()
    for folder in spec.submodule_search_locations:
        for source in Path(folder).rglob("*.py"):
            found.update(re.findall(r'crashpoint\.reach\("([^"]+)"\)', source.read_text()))
    return found
