"""The client's connection against a small server model: whatever is cut, delayed or refused, each record shows once, in
order, and each publish lands once, in order."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chiron.protocols.wire import events
from chiron.protocols.wire.connection import ClientConnection, State
from chiron.protocols.wire.errors import LocalProtocolError, RemoteProtocolError

ME, OTHER = "me", "other"
CHANNEL = "conv:1"
NUMBER, PERSONAL = 9, 4


class Server:
    """One conversation, at most one link. What it sends waits in `out` until the test lets it through."""

    MORE = 4

    def __init__(self) -> None:
        self.log: list[dict[str, Any]] = []
        self.out: list[dict[str, Any]] = []
        self.attached = False
        self.expected_n = 1
        self.failed_n: int | None = None
        self.refuse_next = False

    def append(self, author: str, client_id: str) -> dict[str, Any]:
        for row in self.log:
            if (row["author"], row["client_id"]) == (author, client_id):
                return row
        offset = len(self.log) + 1
        row = {"op": "delivery", "number": NUMBER, "offset": offset, "message": f"m{offset}", "ordinal": offset}
        row |= {"time": offset, "author": author, "kind": "text", "body": {"text": client_id}, "client_id": client_id}
        self.log.append(row)
        if self.attached and author == OTHER:
            self.out.append(row)
        return row

    def lose(self) -> None:
        self.out.clear()
        self.attached, self.expected_n, self.failed_n = False, 1, None

    def lag(self) -> None:
        if self.attached:
            self.attached = False
            self.out.append({"op": "lag", "number": NUMBER, "head": len(self.log)})

    def receive(self, message: bytes) -> None:
        frame = json.loads(message)
        getattr(self, f"_{frame['op']}")(frame)

    def _connect(self, frame: dict[str, Any]) -> None:
        limits = {"frame_bytes": 65536, "text_bytes": 16384, "in_flight": 8, "rate": 10, "burst": 10}
        self.out.append(
            {"op": "welcome", "id": frame["id"], "link": "1", "person": ME, "number": PERSONAL, "epoch": "e"}
            | {"head": 0, "outcome": "complete", "time": 0, "ping_ms": 25000, "token_ms": 600000, "limits": limits}
        )

    def _attach(self, frame: dict[str, Any]) -> None:
        after = frame.get("after")
        missed = self.log[after:] if after is not None else []
        outcome = "more" if len(missed) > self.MORE else "complete"
        answer = {"op": "attached", "id": frame["id"], "channel": CHANNEL, "number": NUMBER, "gen": frame["gen"]}
        self.out.append(answer | {"outcome": outcome, "epoch": "e", "head": len(self.log)})
        self.attached = outcome == "complete"
        if self.attached:
            self.out.extend(missed)

    def _sync(self, frame: dict[str, Any]) -> None:
        rows = self.log[frame["after"] : frame["after"] + 3]
        answer = {"op": "page", "id": frame["id"], "channel": CHANNEL, "number": NUMBER, "items": rows, "floor": 0}
        more = frame["after"] + len(rows) < len(self.log)
        self.out.append(answer | {"more": more, "head": len(self.log), "epoch": "e"})

    def _publish(self, frame: dict[str, Any]) -> None:
        n = frame["n"]
        if self.failed_n is not None and n > self.failed_n:
            self._refuse(frame, "after_failed")
            return
        assert n == (self.failed_n or self.expected_n), "publishes are numbered without gaps"
        self.failed_n = None
        if self.refuse_next:
            self.refuse_next, self.failed_n = False, n
            self._refuse(frame, "unavailable")
            self.expected_n = n
            return
        self.expected_n = n + 1
        row = self.append(ME, frame["client_id"])
        ack = {name: row[name] for name in ("message", "offset", "ordinal", "time")}
        self._control({"op": "ack", "id": frame["id"]} | ack)

    def _refuse(self, frame: dict[str, Any], code: str) -> None:
        error = {"op": "error", "id": frame["id"], "code": code, "temporary": True, "scope": "command"}
        self._control(error | {"action": "retry", "retry_after_ms": 10})

    def _control(self, frame: dict[str, Any]) -> None:
        """Acks and errors overtake deliveries: the control lane leaves first."""
        place = next((i for i, waiting in enumerate(self.out) if waiting["op"] == "delivery"), len(self.out))
        self.out.insert(place, frame)

    def _watermark(self, frame: dict[str, Any]) -> None:
        self.out.append({"op": "ok", "id": frame["id"]})

    _detach = _watermark


class Pair:
    def __init__(self) -> None:
        self.server, self.client = Server(), ClientConnection()
        self.now = 0.0
        self.linked = False
        self.shown: list[int] = []
        self.acknowledged: list[str] = []
        self.sent: list[str] = []

    def open(self) -> None:
        if not self.linked:
            self.linked = True
            self.client.open("token")

    def lose(self) -> None:
        if self.linked:
            self.linked = False
            self.server.lose()
            self.collect(self.client.lost())

    def publish(self) -> None:
        self.sent.append(f"C{len(self.sent)}")
        self.client.publish(CHANNEL, self.sent[-1], "text", {"text": self.sent[-1]}, self.now)

    def upstream(self) -> None:
        for message in self.client.to_send() if self.linked else []:
            self.server.receive(message)

    def downstream(self, count: int) -> None:
        for _ in range(min(count, len(self.server.out))):
            self.collect(self.client.receive(json.dumps(self.server.out.pop(0)), self.now))

    def wait(self) -> None:
        deadline = self.client.deadline()
        if deadline is not None:
            self.now = max(self.now, deadline)
            self.collect(self.client.expire(self.now))

    def collect(self, found: list[events.Event]) -> None:
        for event in found:
            if isinstance(event, events.Delivered):
                self.shown.append(event.record.offset)
            elif isinstance(event, events.Acknowledged):
                self.acknowledged.append(event.client_id)

    def settle(self) -> None:
        self.open()
        for _ in range(200):
            self.upstream()
            if not self.server.out and self.client.deadline() is None:
                return
            self.downstream(100)
            self.wait()
        raise AssertionError("it never came to rest")


ACTIONS = st.sampled_from(
    ["open", "lose", "publish", "publish", "other", "other", "upstream", "downstream", "wait", "refuse", "lag"]
)


@given(st.lists(st.tuples(ACTIONS, st.integers(1, 6)), max_size=80))
@settings(deadline=None)
def test_each_record_shows_once_in_order_and_each_publish_lands_once(steps: list[tuple[str, int]]) -> None:
    pair = Pair()
    pair.client.attach(CHANNEL, 0)
    others = 0
    for action, count in steps:
        match action:
            case "other":
                for _ in range(count):
                    others += 1
                    pair.server.append(OTHER, f"O{others}")
            case "refuse":
                pair.server.refuse_next = True
            case "lag":
                pair.server.lag()
            case "downstream":
                pair.downstream(count)
            case _:
                getattr(pair, action)()
    pair.settle()
    assert pair.shown == list(range(1, len(pair.server.log) + 1))
    assert [row["client_id"] for row in pair.server.log if row["author"] == ME] == pair.sent
    assert pair.acknowledged == pair.sent
    assert pair.client.unanswered(CHANNEL) == 0


def welcomed() -> tuple[ClientConnection, Server]:
    client, server = ClientConnection(), Server()
    client.open("token")
    for message in client.to_send():
        server.receive(message)
    client.receive(json.dumps(server.out.pop()), 0.0)
    return client, server


def sent(client: ClientConnection) -> list[dict[str, Any]]:
    return [json.loads(message) for message in client.to_send()]


def test_nothing_but_connect_is_sent_before_the_welcome() -> None:
    client = ClientConnection()
    client.attach(CHANNEL, 0)
    client.publish(CHANNEL, "C1", "text", {"text": "x"}, 0.0)
    client.open("token")
    assert [frame["op"] for frame in sent(client)] == ["connect"]


def test_a_final_refusal_does_not_stop_those_behind_it() -> None:
    client, _ = welcomed()
    for name in ("C1", "C2"):
        client.publish(CHANNEL, name, "text", {"text": name}, 0.0)
    first, second = sent(client)
    error = {"op": "error", "id": first["id"], "code": "forbidden", "temporary": False, "scope": "command"}
    found = client.receive(json.dumps(error | {"action": "stop"}), 0.0)
    assert [type(event) for event in found] == [events.Declined]
    assert (first["n"], second["n"]) == (1, 2)
    ack = {"op": "ack", "id": second["id"], "message": "m", "offset": 1, "ordinal": 1, "time": 0}
    assert [type(event) for event in client.receive(json.dumps(ack), 0.0)] == [events.Acknowledged]


def test_the_number_in_flight_is_half_of_what_the_server_allows() -> None:
    client, _ = welcomed()
    for place in range(10):
        client.publish(CHANNEL, f"C{place}", "text", {"text": "x"}, 0.0)
    assert len(sent(client)) == 4


def test_a_request_without_an_answer_is_lost_with_its_link() -> None:
    from chiron.protocols.wire import frames

    client, _ = welcomed()
    id = client.request(lambda id: frames.Command(id=id, name="conversation.list"))
    assert client.lost() == [events.Lost(id)]
    with pytest.raises(LocalProtocolError):
        client.request(lambda id: frames.Command(id=id, name="conversation.list"))


def test_a_removed_member_is_told_and_does_not_come_back() -> None:
    client, server = welcomed()
    client.attach(CHANNEL, 0)
    for message in client.to_send():
        server.receive(message)
    client.receive(json.dumps(server.out.pop()), 0.0)
    assert client._channels[CHANNEL].state is State.ATTACHED
    found = client.receive(json.dumps({"op": "detached", "number": NUMBER, "reason": "removed"}), 0.0)
    assert found == [events.Left(CHANNEL, "removed")]
    client.lost()
    client.open("token")
    assert [frame["op"] for frame in sent(client)] == ["connect"]


def test_another_epoch_means_forget_and_read_again() -> None:
    client, server = welcomed()
    client.attach(CHANNEL, 7)
    client.to_send()
    client.lost()
    client.open("token")
    for message in client.to_send():
        server.receive(message)
    found = client.receive(json.dumps(server.out.pop() | {"epoch": "another"}), 0.0)
    assert events.Forgotten(CHANNEL, 1, restored=True) in found
    (attach,) = (frame for frame in sent(client) if frame["op"] == "attach")
    assert "after" not in attach


def test_watermarks_are_said_again_on_the_next_link() -> None:
    client, server = welcomed()
    client.watermark(CHANNEL, received=5, read=3)
    client.watermark(CHANNEL, received=4, read=4)
    assert [(frame["received"], frame["read"]) for frame in sent(client)] == [(5, 3), (5, 4)]
    client.lost()
    client.open("token")
    for message in client.to_send():
        server.receive(message)
    client.receive(json.dumps(server.out.pop()), 0.0)
    assert [(frame["op"], frame["read"]) for frame in sent(client)] == [("watermark", 4)]


def test_unknown_frames_are_ignored_and_broken_ones_are_not() -> None:
    client, _ = welcomed()
    assert client.receive('{"op":"presence","number":9}', 0.0) == []
    for message in ("", "[]", "{}", '{"op":"delivery"}', '{"op":3}', "nonsense"):
        with pytest.raises(RemoteProtocolError):
            client.receive(message, 0.0)


def test_a_ping_is_answered() -> None:
    client, _ = welcomed()
    client.receive('{"op":"ping"}', 0.0)
    assert sent(client) == [{"op": "pong"}]
