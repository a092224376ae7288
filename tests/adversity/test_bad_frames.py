"""Whatever a client of a link sends, the server answers it or ends the link for a reason that it names.

The same frames are made in every run; `CHIRON_FUZZ_SEED` makes others, `CHIRON_FUZZ_EXAMPLES` makes more of them.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import itertools
import json
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import hypothesis
import msgspec
import psutil
import pytest
from database import MigratedDatabase
from hypothesis import strategies as st
from raw_link import BINARY, PING, TEXT, Closed, RawLink, encoded
from resident import Residence, Resident, residence, tasks
from serving import until

from chiron.errors import CODES
from chiron.protocols.wire import frames
from chiron.server.realtime.channels import Attachment
from chiron.server.realtime.link import Link, Pending

SEED = int(os.environ.get("CHIRON_FUZZ_SEED", "20261124"))
EXAMPLES = int(os.environ.get("CHIRON_FUZZ_EXAMPLES", "300"))
SECONDS = 30.0
"""For one answer: a busy machine is no defect, but a hung link is."""
REPEATS = 8
"""Of each refused message, in each round."""
KEPT = 512
"""Bytes of each attack, at most, that stay: a link has several times that."""
NEIGHBOURHOOD = 40
"""Examples for which somebody stays: then what was left, ended or limited is behind us."""

PROTOCOL = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
COMMANDS = re.findall(r"^\| `([a-z]+\.[a-z]+)` \|", PROTOCOL, re.MULTILINE)
CLOSINGS = {int(code) for code in re.findall(r"^\| (\d{4}) \|", PROTOCOL, re.MULTILINE)}
OUR_FAULT = 1011

SETTINGS = hypothesis.settings(
    max_examples=EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
    phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
    print_blob=False,
)

# --- what is sent -----------------------------------------------------------------------------------------------------

NUMBERS = st.one_of(
    st.integers(-2, 6),
    st.sampled_from([2**31, 2**53 - 1, 2**53, 2**63, 2**64, -(2**63), 10**400, 1e308, 1.5, -0.0]),
)
TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["", "\0", "a\0b", "\ud800", "\udfff\ud800", "\U0001f9a9" * 5, "x" * 5000, "0" * 26, "z" * 26]),
)
JUNK = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)
HOLE = object()
"""Stands where a member is left out."""


decode = msgspec.json.Decoder[frames.ServerFrame](frames.ServerFrame).decode


class World:
    """Somebody on a link, and what there is to name in frames."""

    def __init__(self, ada: Resident, ben: Resident, conversations: list[str]) -> None:
        self.ada, self.ben = ada, ben
        self.token = str(ada.session["access_token"])
        self.conversations = conversations
        self.channels = [*(f"conv:{id}" for id in conversations), f"person:{ada.id}", f"person:{ben.id}"]


def frames_of(world: World) -> st.SearchStrategy[dict[str, Any]]:
    """Frames that are right, and frames of which one or two members are not."""
    ids = st.integers(1, 1000)
    channels = st.sampled_from(world.channels)
    offsets = st.integers(0, 6)
    right: dict[str, dict[str, st.SearchStrategy[Any]]] = {
        "connect": {"id": ids, "token": st.just(world.token), "resume": st.just({"epoch": "e", "offset": 3})},
        "attach": {"id": ids, "channel": channels, "gen": st.integers(0, 99), "after": offsets},
        "detach": {"id": ids, "channel": channels, "gen": st.integers(0, 9)},
        "publish": {
            "id": ids,
            "channel": st.sampled_from(world.channels[:2]),
            "client_id": st.integers(0, 1000).map(lambda number: f"{number:026d}"),
            "n": st.integers(1, 3),
            "kind": st.just("text"),
            "body": st.fixed_dictionaries({"text": TEXTS}),
        },
        "watermark": {"id": ids, "channel": channels, "received": offsets, "read": offsets},
        "sync": {"id": ids, "channel": channels, "after": offsets, "limit": st.integers(1, 9)},
        "refresh": {"id": ids, "token": st.just(world.token), "gen": st.integers(0, 9)},
        "command": {"id": ids, "name": st.sampled_from(COMMANDS), "params": params_of(world)},
        "pong": {},
    }
    whole = st.sampled_from(sorted(right)).flatmap(lambda op: st.fixed_dictionaries({"op": st.just(op), **right[op]}))
    names = sorted({name for members in right.values() for name in members} | {"op", "before", "epoch", "device", "x"})
    wrong = st.one_of(
        st.just(HOLE),
        JUNK,
        st.sampled_from(["conv:", "conv:x", "person:", world.channels[0].upper(), world.token[:-3], "welcome"]),
    )
    spoilt = st.tuples(whole, st.dictionaries(st.sampled_from(names), wrong, min_size=1, max_size=2)).map(
        lambda pair: {name: value for name, value in (pair[0] | pair[1]).items() if value is not HOLE}
    )
    return whole | spoilt


def params_of(world: World) -> st.SearchStrategy[dict[str, Any]]:
    """Of commands by name: what one of them takes may be junk to another."""
    who = st.sampled_from([{"person": world.ben.id}, {"person": world.ada.id}, {"email": world.ben.email}, {}])
    return st.fixed_dictionaries(
        {"conversation": st.sampled_from(world.conversations)},
        optional={
            "person": who | st.sampled_from([world.ben.id, world.ada.id]) | JUNK,
            "people": st.lists(who, max_size=3) | JUNK,
            "kind": st.sampled_from(["direct", "group", "text"]),
            "title": TEXTS,
            "limit": st.integers(0, 9) | NUMBERS,
            "cursor": TEXTS,
        },
    )


def messages_of(world: World) -> st.SearchStrategy[bytes]:
    """Text messages: frames, arrays of them, other JSON, and what is no JSON at all."""
    frame = frames_of(world)
    values = st.one_of(*[frame] * 6, *[st.lists(frame, min_size=1, max_size=6)] * 3, JUNK)
    ascii = values.map(lambda value: json.dumps(value).encode())
    # Lone surrogates as bytes, which is no UTF-8.
    raw = frame.map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    deep = st.tuples(st.integers(1, 4000), st.sampled_from([b"[", b'{"x":', b'{"op":"publish","id":5,"body":'])).map(
        lambda pair: pair[1] * pair[0]
    )
    crowd = st.integers(60, 70).map(lambda size: json.dumps([{"op": "pong"}] * size).encode())
    large = st.integers(65_000, 66_000).map(lambda size: b'{"op":"pong","x":"' + b"x" * (size - 20) + b'"}')
    twice = st.tuples(ascii, ascii).map(b"".join)
    torn = st.tuples(ascii, st.integers(0, 200)).map(lambda pair: pair[0][: pair[1]])
    return st.one_of(*[ascii] * 12, raw, deep, crowd, large, twice, torn, st.binary(max_size=40))


def wire(message: bytes, opcode: int, parts: int) -> bytes:
    """A message in so many fragments (RFC 6455 §5.4), a ping between them."""
    step = len(message) // parts + 1
    pieces = [message[begin : begin + step] for begin in range(0, max(len(message), 1), step)]
    encoded_pieces = [
        encoded(opcode if place == 0 else 0, piece, fin=place == len(pieces) - 1) for place, piece in enumerate(pieces)
    ]
    return encoded(PING, b"").join(encoded_pieces)


# Bytes that are frames only nearly: whatever header, whatever follows.
BROKEN = st.lists(
    st.one_of(
        st.binary(min_size=1, max_size=30),
        st.tuples(st.integers(0, 255), st.integers(0, 255), st.binary(max_size=140)).map(
            lambda triple: bytes(triple[:2]) + triple[2]
        ),
        st.tuples(st.integers(0, 15), st.binary(max_size=130), st.booleans()).map(
            lambda triple: encoded(triple[0], triple[1], fin=triple[2])
        ),
    ),
    min_size=1,
    max_size=4,
).map(b"".join)

# --- who sends it -----------------------------------------------------------------------------------------------------


class Attacker:
    """In a thread of its own, on one link after another."""

    def __init__(self, home: Residence, loop: asyncio.AbstractEventLoop) -> None:
        self._home = home
        self._loop = loop
        self._link: RawLink | None = None
        self._probes = itertools.count(1_000_000)
        self._examples = itertools.count()
        self.world = self.arrive()
        self.heard: Counter[str] = Counter()
        """Kinds of frames, codes of errors, codes of closing."""

    def arrive(self) -> World:
        """Somebody new, in conversations with somebody else."""
        return asyncio.run_coroutine_threadsafe(self._arrive(), self._loop).result(SECONDS)

    async def _arrive(self) -> World:
        ada, ben = await self._home.move_in("Ada"), await self._home.move_in("Ben")
        people = [{"person": ben.id}]
        conversations = []
        for body in ({"kind": "group", "title": "Reeds", "people": people}, {"kind": "direct", "people": people}):
            answer = await self._home.http.post("/v1/conversations", json=body, headers=ada.bearer)
            assert answer.is_success, answer.text
            conversations.append(answer.json()["id"])
        return World(ada, ben, conversations)

    def attack(self, data: bytes, cuts: list[int], *, connected: bool, silent: bool = False) -> None:
        """Send it on a link and find the link alive, or closed with a code. `silent`: nothing is sent behind it."""
        link = self._fresh(connected) if silent or not connected or self._link is None else self._link
        self._link = None
        try:
            link.write(data, cuts)
            if silent:
                link.finish()
                while True:
                    self._note(link.hear())
            probe = next(self._probes)
            if connected:
                link.say(op="command", id=probe, name="conversation.list", params={"limit": 1})
            else:
                link.say(op="connect", id=probe, token=self.world.token)
            self._until_answered(link, probe)
        except Closed as closed:
            self._judge(closed.code, echoed=silent)
            link.__exit__(None, None, None)
        else:
            self._keep(link)

    def _judge(self, code: int | None, *, echoed: bool) -> None:
        """`echoed`: what was sent may have been a close frame, whose code comes back (RFC 6455 §5.5.1)."""
        assert code != OUR_FAULT
        assert echoed or code in CLOSINGS, f"{code} is no reason to close a link"
        self.heard[str(code)] += 1

    def leave(self) -> None:
        self._keep(None)

    def _keep(self, link: RawLink | None) -> None:
        if self._link is not None:
            self._link.__exit__(None, None, None)
        self._link = link

    def _fresh(self, connected: bool) -> RawLink:
        self._keep(None)
        if next(self._examples) % NEIGHBOURHOOD == NEIGHBOURHOOD - 1:
            self.world = self.arrive()
        link = RawLink(self._home.port, SECONDS)
        if connected:
            probe = next(self._probes)
            link.say(op="connect", id=probe, token=self.world.token)
            self._until_answered(link, probe)
        return link

    def _until_answered(self, link: RawLink, probe: int) -> None:
        while True:
            frame = self._note(link.hear())
            if getattr(frame, "id", None) == probe:
                return

    def _note(self, message: bytes) -> frames.ServerFrame:
        """Raises ValidationError for what is no frame of a server."""
        frame: frames.ServerFrame = decode(message)
        self.heard[str(frame.__struct_config__.tag)] += 1
        if isinstance(frame, frames.Error):
            assert frame.code in CODES, frame
            assert frame.code != "internal", frame
            assert (frame.temporary, frame.action) == (CODES[frame.code].temporary, CODES[frame.code].action)
            self.heard[frame.code] += 1
        elif isinstance(frame, frames.Close):
            assert frame.code in CLOSINGS - {OUR_FAULT}, frame
        return frame


def feed(attacker: Attacker) -> None:
    """Every example."""

    @hypothesis.seed(SEED)
    @hypothesis.settings(SETTINGS)
    @hypothesis.given(data=st.data())
    def contents(data: st.DataObject) -> None:
        connected = data.draw(st.sampled_from([True, True, True, True, False]))
        messages = data.draw(st.lists(messages_of(attacker.world), min_size=1, max_size=4))
        opcode = data.draw(st.sampled_from([TEXT] * 15 + [BINARY]))
        sent = b"".join(wire(message, opcode, data.draw(st.sampled_from([1, 1, 1, 2, 3]))) for message in messages)
        cuts = data.draw(st.lists(st.integers(0, 1 << 16), max_size=5))
        attacker.attack(sent, cuts, connected=connected)

    @hypothesis.seed(SEED)
    @hypothesis.settings(SETTINGS)
    @hypothesis.given(sent=BROKEN, cuts=st.lists(st.integers(0, 1 << 16), max_size=5), connected=st.booleans())
    def framing(sent: bytes, cuts: list[int], connected: bool) -> None:
        attacker.attack(sent, cuts, connected=connected, silent=True)

    contents()
    framing()
    # What is rare above comes at least once.
    for sent in refused(attacker.world):
        attacker.attack(sent, [3, 50], connected=True)
    attacker.leave()


def left_behind() -> dict[str, int]:
    """What the server keeps for links."""
    gc.collect()
    kinds = (Link, Pending, Attachment)
    found = Counter(type(each).__name__ for each in gc.get_objects() if isinstance(each, kinds))
    return dict(found)


@pytest.mark.timeout(600)
async def test_no_frame_hangs_a_link_or_stays_behind(database: MigratedDatabase, tmp_path: Path) -> None:
    print(f"CHIRON_FUZZ_SEED={SEED} CHIRON_FUZZ_EXAMPLES={EXAMPLES}")
    async with residence(database.dsn, tmp_path, verification=False) as home:
        before = len(tasks())
        attacker = await asyncio.to_thread(Attacker, home, asyncio.get_running_loop())
        await asyncio.to_thread(feed, attacker)

        async def gone() -> bool:
            return not left_behind()

        await until(gone, lambda: f"links have left {left_behind()} behind")
        assert len(tasks()) <= before + 1, "links have left tasks behind"
        await until(home.is_ready, lambda: "the server does not recover")

        print(dict(attacker.heard))
    # It was not the same refusal all the time.
    assert {"welcome", "attached", "ok", "ack", "page", "error"} <= set(attacker.heard)
    assert {"invalid", "bad_request", "protocol"} <= set(attacker.heard)
    assert {"1002", "1003", "1007", "1009", "4000"} <= set(attacker.heard)


@pytest.mark.timeout(600)
async def test_the_server_does_not_grow_by_what_it_refuses(database: MigratedDatabase, tmp_path: Path) -> None:
    async with residence(database.dsn, tmp_path, verification=False) as home:
        attacker = await asyncio.to_thread(Attacker, home, asyncio.get_running_loop())
        attacks = refused(attacker.world)

        def round() -> None:
            for data in attacks * REPEATS:
                for connected in True, False:
                    attacker.attack(data, [3, 50], connected=connected)
            attacker.leave()

        sizes = []
        for _ in range(5):
            await asyncio.to_thread(round)
            sizes.append(resident_bytes())
        # The first rounds fill what is reused: buffers, caches, pools. What stays of an attack does so in each round.
        grown = min(after - before for before, after in itertools.pairwise(sizes[1:]))
        assert grown < 2 * REPEATS * len(attacks) * KEPT, f"bytes after each round: {sizes}"


def resident_bytes() -> int:
    """Of this process, in which the server is, without what the C library keeps to give it out again."""
    gc.collect()
    if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
    return psutil.Process().memory_info().rss


def refused(world: World) -> list[bytes]:
    """One message of each kind that is refused."""
    values: list[Any] = [
        {"op": "attach", "id": 1, "channel": "conv:x", "gen": 1},
        {"op": "attach", "id": 1, "channel": f"conv:{world.ben.id}", "gen": 1, "after": 7},
        {
            "op": "publish",
            "id": 1,
            "channel": f"conv:{world.ben.id}",
            "client_id": "0" * 26,
            "n": 1,
            "kind": "text",
            "body": {"text": "x" * 15_000},
        },
        {"op": "sync", "id": 1, "channel": world.channels[0], "after": 10**20},
        {"op": "refresh", "id": 1, "gen": 1, "token": "x" * 4000},
        {"op": "command", "id": 1, "name": "x" * 4000, "params": {"x": "y" * 20_000}},
        {"op": "command", "id": 1, "name": "conversation.create", "params": {"kind": []}},
        {"op": "publish", "id": 1, "channel": None},
        {"op": "x" * 30_000, "id": 2},
        [{"op": "pong"}] * 65,
        {"op": "pong", "x": "y" * 70_000},
        "\ud800",
    ]
    messages = [json.dumps(value).encode() for value in values]
    return [encoded(TEXT, message) for message in [*messages, b"{", b"\xff", b"[" * 30_000]] + [encoded(BINARY, b"{}")]
