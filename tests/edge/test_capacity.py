"""Counting descriptors."""

from __future__ import annotations

import socket

from structlog.testing import capture_logs

from chiron.server.edge.capacity import HEADROOM, REFUSALS, Capacity, descriptor_limit


def test_the_log_says_once_that_it_is_full_and_once_that_it_is_not() -> None:
    with capture_logs() as lines:
        capacity = Capacity(10)
        for _ in range(3):
            assert capacity.admits(9)
            assert not capacity.admits(10)
            assert not capacity.admits(11)
        assert capacity.admits(5)
        assert capacity.admits(5)
    assert [line["event"] for line in lines] == ["connection limit reached: refusing", "accepting again"]


def test_refusals_have_room_of_their_own() -> None:
    capacity = Capacity(10)
    assert capacity.answers(10)
    assert capacity.answers(10 + REFUSALS - 1)
    assert not capacity.answers(10 + REFUSALS)


def test_what_is_open_is_not_free() -> None:
    before = descriptor_limit()
    with socket.socket(), socket.socket():
        assert descriptor_limit() == before - 2
    import resource

    assert before < resource.getrlimit(resource.RLIMIT_NOFILE)[0] - HEADROOM - REFUSALS


def test_the_log_names_a_network_once_that_has_its_share() -> None:
    with capture_logs() as lines:
        capacity = Capacity(20)
        assert [capacity.enter("192.0.2.7") for _ in range(12)] == [True] * 10 + [False] * 2
        assert capacity.enter("192.0.2.8")
        for _ in range(12):
            capacity.leave("192.0.2.7")
        assert [capacity.enter("192.0.2.7") for _ in range(11)] == [True] * 10 + [False]
    assert [line["network"] for line in lines] == ["192.0.2.7"] * 2
