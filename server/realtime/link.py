"""One link: the states that it goes through, and what is known of it meanwhile.

A link waits for `connect`, joins while the person's own channel is looked up, is open, and has ended. The table says
where each input leads: to a state, or to one of the ways to close, behind which the state is always `ENDED`. What a
state does not name changes nothing: timers that were already on their way, and everything that comes behind the end. A
link ends once, with one `close` frame and one close code; the transport follows, and only when it is gone is the link
forgotten. The transport may also go first, at any time: then there is nothing to say.

The table does not say what frames mean: only in `OPEN` are commands looked at. It does not hold the hub back either:
the hub parses nothing but `connect` until the link is bound, which happens with the step to `OPEN`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import Enum, auto

from chiron._core import Frame
from chiron.server.ports import Principal
from chiron.server.realtime.channels import Channel
from chiron.server.realtime.line import Line


class State(Enum):
    WAITING = auto()
    JOINING = auto()
    OPEN = auto()
    ENDED = auto()


class Input(Enum):
    CONNECT = auto()
    """`connect` with a token that was accepted."""
    JOINED = auto()
    COMMAND = auto()
    REFUSED = auto()
    """The token was not accepted."""
    FAILED = auto()
    """The person's own channel could not be looked up."""
    LATE = auto()
    SILENT = auto()
    EXPIRED = auto()
    FLOODED = auto()
    """More commands in flight than allowed."""
    OVERFLOWN = auto()
    """The control lane grew over its bound: answers are not read."""
    LOGIN_ENDED = auto()
    DRAINED = auto()


class Close(Enum):
    """Ways to close a link (`docs/protocol.md`, "Closing"): code, reason, whether it can be resumed, and the error that
    answers commands in flight that have changed nothing."""

    RESTARTING = (1001, "the server is restarting", True, "draining")
    FAILED = (1011, "something failed in the server", True, None)
    NOT_CONNECTED = (4000, "connect comes first, within 5 s", True, None)
    REFUSED = (4001, "the token was refused", False, None)
    OVERFLOWN = (4002, "answers were not read", True, None)
    EXPIRED = (4003, "the access token expired", True, "token_expired")
    LOGIN_ENDED = (4004, "the login ended", False, "login_ended")
    SILENT = (4005, "silent for two ping intervals", True, None)
    FLOODED = (4006, "too many commands in flight", True, None)

    def __init__(self, code: int, reason: str, resumable: bool, refusal: str | None) -> None:
        self.code = code
        self.reason = reason
        self.resumable = resumable
        self.refusal = refusal


TABLE: dict[State, dict[Input, State | Close]] = {
    State.WAITING: {
        Input.CONNECT: State.JOINING,
        Input.COMMAND: Close.NOT_CONNECTED,
        Input.LATE: Close.NOT_CONNECTED,
        Input.REFUSED: Close.REFUSED,
        Input.LOGIN_ENDED: Close.LOGIN_ENDED,
        Input.FAILED: Close.FAILED,
        Input.DRAINED: Close.RESTARTING,
    },
    State.JOINING: {
        Input.JOINED: State.OPEN,
        Input.COMMAND: Close.NOT_CONNECTED,
        Input.REFUSED: Close.REFUSED,
        Input.FAILED: Close.FAILED,
        Input.LOGIN_ENDED: Close.LOGIN_ENDED,
        Input.DRAINED: Close.RESTARTING,
    },
    State.OPEN: {
        Input.COMMAND: State.OPEN,
        Input.SILENT: Close.SILENT,
        Input.EXPIRED: Close.EXPIRED,
        Input.FLOODED: Close.FLOODED,
        Input.OVERFLOWN: Close.OVERFLOWN,
        Input.LOGIN_ENDED: Close.LOGIN_ENDED,
        Input.DRAINED: Close.RESTARTING,
    },
    State.ENDED: {},
}


@dataclass(frozen=True, slots=True)
class LinkLimits:
    """What a link may do; times in seconds."""

    frame_bytes: int = 65_536
    text_bytes: int = 16_384
    in_flight: int = 64
    rate: float = 50.0
    """Publishes and commands of all links of one person: a second, and at once."""
    burst: float = 200.0
    channels: int = 1024
    """Channels that a link has attached, and as many that it publishes to."""
    connect: float = 5.0
    ping: float = 25.0
    warning: float = 60.0
    """Before the access token expires."""
    grace: float = 30.0
    """After it expired."""


class Pending:
    """A command that is yet to be answered. `task` is set while its work may be given up without a trace."""

    __slots__ = ("id", "task")

    def __init__(self, id: int) -> None:
        self.id = id
        self.task: asyncio.Task[None] | None = None


READS = 2
"""Attaches and pages that one link may read at once: the others wait, so that no link holds up the rest."""

Answer = tuple[Pending, Frame]


class Link:
    """What is known of a link. `heard` is when it last sent anything, on the monotonic clock."""

    __slots__ = (
        "address",
        "generation",
        "heard",
        "id",
        "leaving",
        "lines",
        "number",
        "pending",
        "pinged",
        "principal",
        "reading",
        "reconnect_in",
        "state",
        "tasks",
        "warned",
    )

    def __init__(self, id: int, address: str, now: float) -> None:
        self.id = id
        self.address = address
        self.state = State.WAITING
        self.heard = now
        self.pinged = False
        self.principal: Principal | None = None
        self.generation = -1
        """Of the newest `refresh`."""
        self.warned = False
        """Told that its token expires."""
        self.number = 0
        """Of the person's own channel; 0 until the link was open."""
        self.leaving = False
        """Closed as soon as nothing is in flight."""
        self.reconnect_in: float | None = None
        """Seconds that a drain gave it; else chosen when it closes."""
        self.pending: set[Pending] = set()
        self.lines: dict[Channel, Line[Answer]] = {}
        self.reading = asyncio.Semaphore(READS)
        self.tasks: set[asyncio.Task[None]] = set()
        """Work that ends with the link: it only reads."""

    def who(self) -> Principal:
        assert self.principal is not None, "the link has joined"
        return self.principal
