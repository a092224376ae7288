"""What both engines do alike, seen from their seam and from an aioquic client on a path in memory."""

from __future__ import annotations

from collections import defaultdict

import pytest
from aioquic.tls import SessionTicket
from datagram_proxy import Harm
from quic_path import CONNECTION, ENGINES, SECRET, SERVER, Guest, Make, Path, limits, pair

from chiron.protocols.quic.client import ClientEndpoint
from chiron.protocols.quic.endpoint import HIGH_WATER, LOW_WATER, Ending, Event, Kind

QUICK = 0.5
"""Seconds within which, on this path, nothing more will happen if it has not yet."""


@pytest.fixture(params=ENGINES)
def make(request: pytest.FixtureRequest) -> Make:
    return ENGINES[request.param]


@pytest.fixture
def path(make: Make) -> Path:
    return Path(make())


def echo(path: Path) -> None:
    """Let the server send back what comes on bidirectional streams, waiting for its turn."""
    kept: dict[tuple[int, int], bytearray] = defaultdict(bytearray)
    ends: set[tuple[int, int]] = set()

    def handle(event: Event) -> None:
        connection, kind, stream, data, number = event
        key = connection, stream
        if kind == Kind.STREAM and not stream & 2:
            kept[key] += data
            if number:
                ends.add(key)
            pump(key)
        elif kind == Kind.WRITABLE:
            pump(key)

    def pump(key: tuple[int, int]) -> None:
        waiting = kept[key]
        while waiting and path.server.buffered(*key) <= HIGH_WATER:
            path.server.send(*key, bytes(waiting[:10_000]))
            del waiting[:10_000]
        if not waiting and key in ends:
            ends.discard(key)
            path.server.send(*key, b"", fin=True)

    path.handle = handle


def send_all(path: Path, guest: Guest, stream: int, data: bytes) -> None:
    """Send as the engine allows it, to the end of the stream."""
    rest = bytearray(data)

    def pump() -> None:
        while rest:
            chunk = bytes(rest[:20_000])
            del rest[:20_000]
            if not guest.endpoint.send(CONNECTION, stream, chunk, fin=not rest):
                break

    def handle(event: Event) -> None:
        if event[1] == Kind.WRITABLE and event[2] == stream:
            pump()

    guest.handle = handle
    pump()


def noise(size: int, seed: int = 0) -> bytes:
    """Bytes of which no part is like another."""
    return b"".join((seed + at).to_bytes(8, "big") for at in range(-(-size // 8)))[:size]


def ticket_of(path: Path, guest: Guest) -> SessionTicket:
    """The ticket of a client's connection, once it has come."""
    client = guest.endpoint
    assert isinstance(client, ClientEndpoint)
    path.run(lambda: client.session_ticket is not None)
    assert client.session_ticket is not None
    return client.session_ticket


# --- handshake ------------------------------------------------------------------------------------------------------


def test_a_handshake_opens_then_connects_and_tells_the_name_and_the_peer(path: Path) -> None:
    guest = path.connect()
    (opened,) = path.of(Kind.OPENED)
    (connected,) = path.of(Kind.CONNECTED)
    assert path.events.index(opened) < path.events.index(connected)
    assert opened[:2] == (1, Kind.OPENED)
    assert opened[3] == b"localhost"
    assert connected[4] == 0, "not resumed"
    assert path.server.peer(1) == guest.address
    assert path.server.stats()["connections"] == 1
    assert path.server.stats()["handshakes"] == 1


def test_connections_are_numbered_from_one_and_kept_apart(path: Path) -> None:
    first, second = path.connect(), path.connect()
    echo(path)
    for guest, text in ((first, b"first"), (second, b"second")):
        stream = guest.endpoint.open_stream(CONNECTION, False)
        guest.endpoint.send(CONNECTION, stream, text, fin=True)
    path.run(lambda: first.ended(0) and second.ended(0))
    assert [event[0] for event in path.of(Kind.OPENED)] == [1, 2]
    assert (first.stream(0), second.stream(0)) == (b"first", b"second")
    assert path.server.peer(1) == first.address
    assert path.server.peer(2) == second.address


def test_rfc6066_3_the_named_certificate_is_for_those_who_name_a_server(make: Make) -> None:
    plain, named = pair("192.0.2.1", 1), pair("example.org", 2)
    path = Path(make(plain, named=named))
    path.connect("example.org", trust=[named])
    path.connect("192.0.2.1", trust=[plain])
    assert [event[3] for event in path.of(Kind.OPENED)] == [b"example.org", b""]


def test_rfc7301_3_2_another_protocol_than_h3_is_refused(path: Path) -> None:
    guest = path.join(alpn=["hq-interop"])
    path.run(lambda: Kind.CLOSED in guest.kinds())
    (closed,) = guest.of(Kind.CLOSED)
    assert closed[2] == Ending.TRANSPORT
    assert closed[4] == 0x100 + 120, "no_application_protocol"
    assert not path.of(Kind.OPENED)


def test_a_handshake_that_is_not_finished_in_time_ends(make: Make) -> None:
    path = Path(make(limits=limits(handshake_seconds=3.0)))
    path.join()
    path.run(lambda: bool(path.of(Kind.OPENED)))
    path.guests.clear()
    path.run(lambda: bool(path.of(Kind.CLOSED)), seconds=4.0)
    (closed,) = path.of(Kind.CLOSED)
    assert closed[2] == Ending.TIMEOUT
    path.rest(5.0)
    assert path.server.stats()["connections"] == 0


def test_rfc9000_5_2_2_a_server_that_refuses_lets_the_others_go_on(path: Path) -> None:
    old = path.connect()
    path.server.refuse()
    new = path.join()
    path.run(lambda: Kind.CLOSED in new.kinds(), seconds=2.0)
    (closed,) = new.of(Kind.CLOSED)
    assert (closed[2], closed[4]) == (Ending.TRANSPORT, 2), "CONNECTION_REFUSED"
    echo(path)
    stream = old.endpoint.open_stream(CONNECTION, False)
    old.endpoint.send(CONNECTION, stream, b"still here", fin=True)
    path.run(lambda: old.ended(stream))
    assert path.server.stats()["refused"] == 1


def test_rfc9000_5_2_2_beyond_the_most_connections_new_ones_are_refused(make: Make) -> None:
    path = Path(make(limits=limits(max_connections=2)))
    first, _ = path.connect(), path.connect()
    third = path.join()
    path.run(lambda: Kind.CLOSED in third.kinds(), seconds=2.0)
    assert third.of(Kind.CLOSED)[0][4] == 2
    first.endpoint.close(CONNECTION, 0x100)
    path.run(lambda: path.server.stats()["connections"] == 1, seconds=5.0)
    path.connect()


def test_rfc9000_5_1_connection_ids_begin_with_the_worker(make: Make) -> None:
    path = Path(make(worker=7))
    path.connect()
    long_headers = [data for data, source, _ in path.passed if source == SERVER and data[0] & 0x80]
    for data in long_headers:
        source_at = 7 + data[5]
        assert data[source_at - 1] == 8, "bytes of the id"
        assert data[source_at] == 7


# --- streams --------------------------------------------------------------------------------------------------------


def test_streams_of_both_kinds_from_both_sides(path: Path) -> None:
    guest = path.connect()
    ours = [path.server.open_stream(1, unidirectional) for unidirectional in (False, True, False, True)]
    theirs = [guest.endpoint.open_stream(CONNECTION, unidirectional) for unidirectional in (False, True)]
    assert ours == [1, 3, 5, 7], "RFC 9000 §2.1"
    assert theirs == [0, 2]
    for stream in ours:
        path.server.send(1, stream, b"from the server", fin=True)
    for stream in theirs:
        guest.endpoint.send(CONNECTION, stream, b"from the client", fin=True)
    path.run(lambda: all(map(guest.ended, ours)) and all(path.ended(1, stream) for stream in theirs))
    assert [guest.stream(stream) for stream in ours] == [b"from the server"] * 4
    assert [path.stream(1, stream) for stream in theirs] == [b"from the client"] * 2


def test_an_end_without_data_is_an_event(path: Path) -> None:
    guest = path.connect()
    guest.endpoint.open_stream(CONNECTION, False)
    guest.endpoint.send(CONNECTION, 0, b"", fin=True)
    path.run(lambda: path.ended(1, 0))
    assert path.stream(1, 0) == b""
    path.server.send(1, 0, b"", fin=True)
    path.run(lambda: guest.ended(0))


def test_large_data_comes_back_whole(path: Path) -> None:
    guest = path.connect()
    echo(path)
    data = noise(2_000_000)
    stream = guest.endpoint.open_stream(CONNECTION, False)
    send_all(path, guest, stream, data)
    path.run(lambda: guest.ended(stream), seconds=60.0)
    assert guest.stream(stream) == data


def test_send_says_when_to_wait_and_writable_when_to_go_on(path: Path) -> None:
    guest = path.connect()
    stream = path.server.open_stream(1, False)
    assert path.server.send(1, stream, bytes(HIGH_WATER))
    assert not path.server.send(1, stream, bytes(HIGH_WATER))
    assert path.server.buffered(1, stream) == 2 * HIGH_WATER
    seen: list[int] = []

    def handle(event: Event) -> None:
        if event[1] == Kind.WRITABLE:
            seen.append(path.server.buffered(event[0], event[2]))

    path.handle = handle
    path.run(lambda: len(guest.stream(stream)) == 2 * HIGH_WATER)
    assert len(seen) == 1
    assert seen[0] < LOW_WATER
    assert path.server.buffered(1, stream) == 0


def test_rfc9000_4_1_a_paused_stream_stops_its_peer_and_no_other(path: Path) -> None:
    guest = path.connect()
    echo(path)
    data = noise(2_000_000)
    first = guest.endpoint.open_stream(CONNECTION, True)
    guest.endpoint.send(CONNECTION, first, data[:1000])
    path.run(lambda: len(path.stream(1, first)) == 1000)
    path.server.pause(1, first)
    guest.endpoint.send(CONNECTION, first, data[1000:], fin=True)
    path.rest(5.0)
    assert len(path.stream(1, first)) == 1000, "no event of a paused stream"
    assert guest.endpoint.buffered(CONNECTION, first) > 1_400_000, "what is not read is not sent"
    second = guest.endpoint.open_stream(CONNECTION, False)
    guest.endpoint.send(CONNECTION, second, b"passes", fin=True)
    path.run(lambda: guest.ended(second), seconds=2.0)
    path.server.resume(1, first)
    path.run(lambda: path.ended(1, first), seconds=60.0)
    assert path.stream(1, first) == data


def test_a_stream_that_is_paused_before_it_ends_ends_when_it_is_resumed(path: Path) -> None:
    guest = path.connect()
    guest.endpoint.open_stream(CONNECTION, False)
    guest.endpoint.send(CONNECTION, 0, b"one")
    path.run(lambda: path.stream(1, 0) == b"one")
    path.server.pause(1, 0)
    guest.endpoint.send(CONNECTION, 0, b"two", fin=True)
    path.rest(QUICK)
    assert path.stream(1, 0) == b"one"
    path.server.resume(1, 0)
    path.run(lambda: path.ended(1, 0))
    assert path.stream(1, 0) == b"onetwo"


def test_a_paused_stream_may_be_reset_or_stopped(path: Path) -> None:
    guest = path.connect()
    for stream in (guest.endpoint.open_stream(CONNECTION, False) for _ in range(2)):
        guest.endpoint.send(CONNECTION, stream, b"begin")
    path.run(lambda: path.stream(1, 0) == path.stream(1, 4) == b"begin")
    path.server.pause(1, 0)
    path.server.pause(1, 4)
    for stream in (0, 4):
        guest.endpoint.send(CONNECTION, stream, bytes(50_000))
    path.rest(QUICK)
    guest.endpoint.reset(CONNECTION, 0, 77)
    path.server.stop(1, 4, 78)
    path.run(lambda: bool(path.of(Kind.RESET) and guest.of(Kind.STOPPED)))
    assert path.of(Kind.RESET) == [(1, Kind.RESET, 0, b"", 77)]
    assert guest.of(Kind.STOPPED) == [(1, Kind.STOPPED, 4, b"", 78)]
    path.server.resume(1, 4)
    path.rest(QUICK)
    assert path.stream(1, 4) == b"begin"


def test_rfc9000_19_4_a_reset_tells_its_code_both_ways(path: Path) -> None:
    guest = path.connect()
    guest.endpoint.open_stream(CONNECTION, False)
    guest.endpoint.send(CONNECTION, 0, b"beginning")
    path.run(lambda: path.stream(1, 0) == b"beginning")
    guest.endpoint.reset(CONNECTION, 0, 0x10C)
    path.server.send(1, 0, b"answer")
    path.server.reset(1, 0, 0x10B)
    path.run(lambda: bool(path.of(Kind.RESET) and guest.of(Kind.RESET)))
    assert path.of(Kind.RESET) == [(1, Kind.RESET, 0, b"", 0x10C)]
    assert guest.of(Kind.RESET) == [(1, Kind.RESET, 0, b"", 0x10B)]


def test_rfc9000_19_5_a_stop_tells_its_code_both_ways_and_drops_the_rest(path: Path) -> None:
    guest = path.connect()
    upload = guest.endpoint.open_stream(CONNECTION, True)
    download = path.server.open_stream(1, True)
    guest.endpoint.send(CONNECTION, upload, b"up")
    path.server.send(1, download, b"down")
    path.run(lambda: path.stream(1, upload) == b"up" and guest.stream(download) == b"down")
    path.server.stop(1, upload, 5)
    guest.endpoint.stop(CONNECTION, download, 6)
    assert not path.server.send(1, download, bytes(500_000))
    path.run(lambda: bool(path.of(Kind.STOPPED) and guest.of(Kind.STOPPED)))
    assert path.of(Kind.STOPPED) == [(1, Kind.STOPPED, download, b"", 6)]
    assert guest.of(Kind.STOPPED) == [(1, Kind.STOPPED, upload, b"", 5)]
    assert path.server.buffered(1, download) == 0
    assert path.server.send(1, download, b"nobody reads this"), "a stopped stream never makes anybody wait"
    path.rest(QUICK)
    assert guest.stream(download) == b"down"
    assert not path.of(Kind.RESET), "the reset that answers a stop is no news"
    assert not path.of(Kind.WRITABLE)


def test_rfc9000_4_6_the_number_of_streams_rises_with_use(path: Path) -> None:
    guest = path.connect()
    streams = [guest.endpoint.open_stream(CONNECTION, False) for _ in range(100)]
    for stream in streams:
        guest.endpoint.send(CONNECTION, stream, b"open")
    path.run(lambda: all(path.stream(1, stream) == b"open" for stream in streams), seconds=5.0)


def test_rfc9000_4_6_streams_that_end_make_room_for_others(path: Path) -> None:
    guest = path.connect()
    echo(path)
    for _ in range(10):
        streams = [guest.endpoint.open_stream(CONNECTION, False) for _ in range(100)]
        for stream in streams:
            guest.endpoint.send(CONNECTION, stream, b"ping", fin=True)
        path.run(lambda streams=streams: all(map(guest.ended, streams)))  # type: ignore[misc]
        guest.events.clear()


def test_streams_of_the_server_beyond_the_clients_limit_wait_for_it(path: Path) -> None:
    guest = path.connect()
    streams = [path.server.open_stream(1, True) for _ in range(200)]
    assert streams == list(range(3, 803, 4))
    for stream in streams:
        path.server.send(1, stream, b"pushed", fin=True)
    path.run(lambda: all(map(guest.ended, streams)), seconds=5.0)


# --- datagrams ------------------------------------------------------------------------------------------------------


def test_rfc9221_datagrams_both_ways(path: Path) -> None:
    guest = path.connect()
    size = path.server.max_datagram(1)
    assert size > 1000
    assert path.server.send_datagram(1, bytes(size))
    assert path.server.send_datagram(1, b"")
    assert not path.server.send_datagram(1, bytes(size + 1))
    assert guest.endpoint.send_datagram(CONNECTION, b"up")
    path.run(lambda: len(guest.of(Kind.DATAGRAM)) == 2 and bool(path.of(Kind.DATAGRAM)))
    assert [event[3] for event in guest.of(Kind.DATAGRAM)] == [bytes(size), b""]
    assert path.of(Kind.DATAGRAM) == [(1, Kind.DATAGRAM, 0, b"up", 0)]


def test_rfc9221_5_of_too_many_datagrams_the_old_ones_are_dropped(path: Path) -> None:
    guest = path.connect()
    for number in range(1000):
        assert path.server.send_datagram(1, number.to_bytes(2, "big") * 500)
    path.rest(2.0)
    got = [int.from_bytes(event[3][:2], "big") for event in guest.of(Kind.DATAGRAM)]
    assert got == sorted(got)
    assert got[-1] == 999
    assert 30 < len(got) <= 70, "64 KiB of them"


def test_rfc9221_5_of_too_many_datagrams_that_nobody_takes_the_old_ones_are_dropped(path: Path) -> None:
    guest = path.connect()
    stream = guest.endpoint.open_stream(CONNECTION, True)
    send_all(path, guest, stream, bytes(2_000_000))  # until the congestion window is large
    path.run(lambda: path.ended(1, stream), seconds=60.0)
    path.rest(QUICK)
    sent: list[bytes] = []
    for number in range(150):
        guest.endpoint.send_datagram(CONNECTION, number.to_bytes(2, "big") * 500)
        path.now += 0.002
        sent += [data for data, _ in guest.endpoint.take(path.now)]
    assert len(sent) >= 150
    path.server.feed([(data, guest.address) for data in sent], path.now)
    got = [int.from_bytes(event[3][:2], "big") for event in path.server.poll() if event[1] == Kind.DATAGRAM]
    assert got == list(range(150 - len(got), 150))
    assert 30 < len(got) <= 66


# --- the end --------------------------------------------------------------------------------------------------------


def test_rfc9000_10_2_a_close_tells_its_code_and_reason_to_the_peer(path: Path) -> None:
    guest = path.connect()
    path.server.close(1, 0x102, "that was all")
    path.run(lambda: Kind.CLOSED in guest.kinds())
    assert path.of(Kind.CLOSED) == [(1, Kind.CLOSED, Ending.LOCAL, b"that was all", 0x102)]
    assert guest.of(Kind.CLOSED) == [(1, Kind.CLOSED, Ending.APPLICATION, b"that was all", 0x102)]
    assert path.server.peer(1) is None
    path.rest(5.0)
    assert path.server.stats()["connections"] == 0


def test_rfc9000_10_2_the_client_closes(path: Path) -> None:
    guest = path.connect()
    guest.endpoint.close(CONNECTION, 0x100, "bye")
    path.run(lambda: bool(path.of(Kind.CLOSED)))
    assert path.of(Kind.CLOSED) == [(1, Kind.CLOSED, Ending.APPLICATION, b"bye", 0x100)]
    assert guest.of(Kind.CLOSED) == [(1, Kind.CLOSED, Ending.LOCAL, b"bye", 0x100)]
    path.rest(5.0)
    assert path.server.stats()["connections"] == 0


def test_rfc9000_10_2_1_a_goodbye_that_was_lost_is_said_again(path: Path) -> None:
    guest = path.connect()
    stream = guest.endpoint.open_stream(CONNECTION, False)
    path.server.close(1, 9, "lost")
    path.cut = True
    path.rest(0.001)
    path.cut = False
    guest.endpoint.send(CONNECTION, stream, b"anybody there?")
    path.run(lambda: Kind.CLOSED in guest.kinds(), seconds=3.0)
    (closed,) = guest.of(Kind.CLOSED)
    assert closed[2] in (Ending.APPLICATION, Ending.TRANSPORT)


def test_rfc9000_10_1_a_connection_from_which_nothing_comes_is_over_on_both_sides(make: Make) -> None:
    path = Path(make(limits=limits(idle_seconds=4.0)))
    guest = path.connect()
    begun = path.now
    path.run(lambda: bool(path.of(Kind.CLOSED) and guest.of(Kind.CLOSED)), seconds=6.0)
    assert path.now - begun > 3.5
    assert path.of(Kind.CLOSED)[0][2] == guest.of(Kind.CLOSED)[0][2] == Ending.TIMEOUT
    assert path.server.stats()["connections"] == 0


def test_what_is_gone_is_left_alone(path: Path) -> None:
    guest = path.connect()
    server = path.server
    guest.endpoint.open_stream(CONNECTION, False)
    guest.endpoint.send(CONNECTION, 0, b"x", fin=True)
    path.run(lambda: path.ended(1, 0))
    server.send(1, 0, b"y", fin=True)
    path.run(lambda: guest.ended(0))
    path.rest(QUICK)
    server.close(1, 0)
    path.run(lambda: Kind.CLOSED in guest.kinds())
    told = len(path.events)
    for connection in (1, 99):
        for stream in (0, 1, 2, 400):
            assert server.send(connection, stream, b"more")
            server.reset(connection, stream, 1)
            server.stop(connection, stream, 1)
            server.pause(connection, stream)
            server.resume(connection, stream)
            assert server.buffered(connection, stream) == 0
        assert not server.send_datagram(connection, b"more")
        assert server.max_datagram(connection) == 0
        assert server.open_stream(connection, False) == -1
        assert server.peer(connection) is None
        server.close(connection, 1)
    path.rest(QUICK)
    assert len(path.events) == told


def test_streams_that_are_over_are_left_alone_while_the_connection_lives(path: Path) -> None:
    guest = path.connect()
    for _ in range(2):
        stream = guest.endpoint.open_stream(CONNECTION, False)
        guest.endpoint.send(CONNECTION, stream, b"x", fin=True)
        path.run(lambda stream=stream: path.ended(1, stream))  # type: ignore[misc]
        path.server.send(1, stream, b"y", fin=True)
        path.run(lambda stream=stream: guest.ended(stream))  # type: ignore[misc]
        path.rest(QUICK)
        assert path.server.send(1, stream, b"more")
        path.server.reset(1, stream, 1)
        path.server.stop(1, stream, 1)
        path.server.pause(1, stream)
        path.server.resume(1, stream)
    assert [event[1] for event in guest.events if event[1] in (Kind.RESET, Kind.STOPPED, Kind.CLOSED)] == []


# --- certificates and tickets ---------------------------------------------------------------------------------------


def test_a_reloaded_certificate_is_for_new_connections(path: Path) -> None:
    old, new = pair("localhost", 1), pair("localhost", 2)
    guest = path.connect(trust=[old])
    with pytest.raises(ValueError):
        path.server.reload(b"no certificate", old.key, None)
    with pytest.raises(ValueError):
        path.server.reload(new.chain, old.key, None)
    path.connect(trust=[old])
    path.server.reload(new.chain, new.key, None)
    path.connect(trust=[new])
    echo(path)
    stream = guest.endpoint.open_stream(CONNECTION, False)
    guest.endpoint.send(CONNECTION, stream, b"still here", fin=True)
    path.run(lambda: guest.ended(stream))


def test_rfc8446_2_2_a_ticket_resumes_the_session(path: Path) -> None:
    guest = path.connect()
    ticket = ticket_of(path, guest)
    again = path.connect(session_ticket=ticket)
    assert again.of(Kind.CONNECTED)[0][4] == 1
    assert path.of(Kind.CONNECTED)[-1][4] == 1
    assert path.server.stats()["resumed"] == 1


def test_rfc9001_4_6_1_early_data_comes_between_opened_and_connected(path: Path) -> None:
    guest = path.connect()
    ticket = ticket_of(path, guest)
    early = path.join(session_ticket=ticket, early_data=True)
    stream = early.endpoint.open_stream(CONNECTION, False)
    early.endpoint.send(CONNECTION, stream, b"early", fin=True)
    path.run(lambda: path.stream(2, stream) == b"early" and len(path.of(Kind.CONNECTED)) == 2)
    of_second = [Kind(event[1]) for event in path.events if event[0] == 2]
    assert of_second.index(Kind.OPENED) < of_second.index(Kind.STREAM) < of_second.index(Kind.CONNECTED)


# --- what nobody should send ----------------------------------------------------------------------------------------


def test_bytes_that_are_no_packets_change_nothing(path: Path) -> None:
    guest = path.connect()
    real = [data for data, source, _ in path.passed if source != SERVER]
    for data in real:
        for spoilt in (data[:5], data[:20], data[: len(data) // 2], data[::-1], bytes(1200), b"\xff" * 1200, b"\x40"):
            path.inject(spoilt)
    path.inject(b"")
    echo(path)
    stream = guest.endpoint.open_stream(CONNECTION, False)
    guest.endpoint.send(CONNECTION, stream, b"unharmed", fin=True)
    path.run(lambda: guest.ended(stream))
    path.rest(15.0)
    assert path.server.stats()["connections"] == 1


def test_rfc9000_6_1_an_unknown_version_is_answered_with_ours(path: Path) -> None:
    long = b"\xc0\x1a\x2a\x3a\x4a" + b"\x08destined" + b"\x05sourc"
    (answer,) = path.inject(long.ljust(1200, b"\0"))
    assert answer[0] & 0x80
    assert answer[1:5] == bytes(4), "Version Negotiation"
    assert answer[5:20] == b"\x05sourc" + b"\x08destined", "the ids change places"
    versions = [answer[at : at + 4] for at in range(20, len(answer), 4)]
    assert b"\0\0\0\x01" in versions
    assert len(answer) % 4 == 0


def test_rfc8999_6_a_version_may_have_longer_connection_ids() -> None:
    """Servers SHOULD read them (RFC 9000 §17.2); quinn drops such a packet, so this is the reference engine's alone."""
    path = Path(ENGINES["aioquic"]())
    long = b"\xc0\x1a\x2a\x3a\x4a" + b"\x20" + bytes(range(32)) + b"\x15" + bytes(range(21))
    (answer,) = path.inject(long.ljust(1200, b"\0"))
    assert answer[5 : 5 + 22 + 33] == b"\x15" + bytes(range(21)) + b"\x20" + bytes(range(32))


def test_rfc9000_6_1_small_datagrams_and_version_negotiation_are_not_answered(path: Path) -> None:
    ids = b"\x08destined" + b"\x05sourc"
    assert path.inject((b"\xc0\x1a\x2a\x3a\x4a" + ids).ljust(1199, b"\0")) == []
    assert path.inject((b"\xc0" + bytes(4) + ids).ljust(1200, b"\0")) == []


def test_rfc9000_14_1_an_initial_in_a_small_datagram_is_dropped(path: Path) -> None:
    path.cut = True
    path.join()
    path.rest(0.001)
    initial = path.passed[0][0]
    assert path.inject(initial[:1199]) == []
    assert path.server.stats()["connections"] == 0


def test_rfc9000_10_3_packets_of_unknown_connections_get_less_than_they_are_or_nothing(path: Path) -> None:
    for size in (1, 8, 9, 20, 21, 30, 43, 100, 1200):
        answers = path.inject(b"\x40" + bytes(size - 1))
        assert all(len(answer) < size for answer in answers)
        assert len(answers) <= 1


def test_rfc9000_10_3_after_a_restart_the_client_learns_that_it_is_forgotten(make: Make) -> None:
    path = Path(make(secret=SECRET))
    guest = path.connect()
    path.rest(QUICK)
    path.server = make(secret=SECRET)
    stream = guest.endpoint.open_stream(CONNECTION, False)
    guest.endpoint.send(CONNECTION, stream, bytes(200))
    path.run(lambda: Kind.CLOSED in guest.kinds(), seconds=2.0)
    assert guest.of(Kind.CLOSED)[0][2] == Ending.TRANSPORT


# --- a bad path -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_what_is_lost_is_sent_again(make: Make, seed: int) -> None:
    path = Path(make(), harm=Harm(loss=0.1, delay=0.01), seed=seed)
    guest = path.connect()
    echo(path)
    data = noise(200_000, seed)
    stream = guest.endpoint.open_stream(CONNECTION, False)
    send_all(path, guest, stream, data)
    path.run(lambda: guest.ended(stream), seconds=120.0)
    assert guest.stream(stream) == data
    assert path.server.stats()["lost_packets"] > 0


def test_rfc9000_9_a_client_whose_address_changes_is_followed(path: Path) -> None:
    guest = path.connect()
    echo(path)
    path.move(guest)
    stream = guest.endpoint.open_stream(CONNECTION, False)
    guest.endpoint.send(CONNECTION, stream, b"moved", fin=True)
    path.run(lambda: guest.ended(stream))
    path.run(lambda: path.of(Kind.MOVED) == [(1, Kind.MOVED, 0, b"", 0)])
    assert path.server.peer(1) == guest.address
    assert path.server.stats()["moved"] == 1


# --- keys and addresses ---------------------------------------------------------------------------------------------


def test_rfc9001_6_keys_may_be_updated(path: Path) -> None:
    guest = path.connect()
    assert isinstance(guest.endpoint, ClientEndpoint)
    echo(path)
    for number in range(3):
        path.rest(QUICK)
        guest.endpoint._transport.request_key_update()
        stream = guest.endpoint.open_stream(CONNECTION, False)
        guest.endpoint.send(CONNECTION, stream, b"phase %d" % number, fin=True)
        path.run(lambda stream=stream: guest.ended(stream))  # type: ignore[misc]
        assert guest.stream(stream) == b"phase %d" % number


def test_rfc9000_8_1_before_an_address_is_validated_it_gets_three_times_what_it_sent(path: Path) -> None:
    guest = path.join()
    # The client's second flight never comes, so that its address stays unproven.
    path.run(lambda: bool(path.of(Kind.OPENED)))
    path.guests.clear()
    path.server.open_stream(1, False)
    path.server.send(1, 1, bytes(100_000))
    path.rest(30.0)
    received = sum(len(data) for data, source, _ in path.passed if source == guest.address)
    sent = sum(len(data) for data, source, target in path.passed if target == guest.address)
    assert 0 < sent <= 3 * received


def test_rfc9001_4_6_2_early_data_that_the_server_cannot_read_is_sent_again(make: Make) -> None:
    path = Path(make())
    guest = path.connect()
    ticket = ticket_of(path, guest)
    # Another server, which has other ticket keys.
    path.server = make(ticket_key=bytes(32))
    path.events.clear()
    early = path.join(session_ticket=ticket, early_data=True)
    stream = early.endpoint.open_stream(CONNECTION, False)
    early.endpoint.send(CONNECTION, stream, b"early", fin=True)
    path.run(lambda: path.ended(1, stream))
    assert path.stream(1, stream) == b"early"
    assert path.of(Kind.CONNECTED)[0][4] == 0
