"""HTTP/3 over each engine of QUIC, with a path between that may harm datagrams."""

from __future__ import annotations

import pytest
from datagram_proxy import Harm
from quic_path import CONNECTION, ENGINES, Guest, Make, Path

from chiron.protocols.http3 import (
    Aborted,
    BodyReceived,
    Closed,
    Connection,
    ErrorCode,
    Event,
    RequestReceived,
    ResponseReceived,
    SessionClosed,
    SessionData,
    SessionDatagram,
    SessionStream,
    SettingsReceived,
    TrailersReceived,
    Writable,
)
from chiron.protocols.quic import endpoint as quic
from chiron.protocols.quic.endpoint import Ending, Kind

HARM = Harm(delay=0.005, loss=0.05, repeat=0.05, late=0.1, corrupt=0.02)


class Site:
    """A server on a path, and a client whose HTTP/3 begins with its handshake's end."""

    def __init__(self, make: Make, harm: Harm = Harm(delay=0.005), **options: object) -> None:  # noqa: B008
        self.path = Path(make(), harm=harm, seed=7)
        self.servers: dict[int, Connection] = {}
        self.told: list[Event] = []
        """What the server was told."""
        self.answers: list[Event] = []
        """What the client was told."""
        self.client: Connection
        self.path.handle = self.serve
        self.guest: Guest = self.path.join(**options)  # type: ignore[arg-type]
        self.guest.handle = self.take
        self.path.run(lambda: any(isinstance(event, SettingsReceived) for event in self.answers))

    def serve(self, event: quic.Event) -> None:
        connection = event[0]
        if event[1] == Kind.OPENED:
            self.servers[connection] = Connection(self.path.server, connection, now=self.path.now)
        self.told += self.servers[connection].receive(event, self.path.now)

    def take(self, event: quic.Event) -> None:
        if event[1] == Kind.OPENED:
            self.client = Connection(self.guest.endpoint, CONNECTION, client=True, now=self.path.now)
        self.answers += self.client.receive(event, self.path.now)

    @property
    def server(self) -> Connection:
        (server,) = self.servers.values()
        return server

    def told_of(self, kind: type[Event], count: int = 1) -> list[Event]:
        """Wait until the server was told of so many."""
        self.path.run(lambda: sum(isinstance(event, kind) for event in self.told) >= count)
        return [event for event in self.told if isinstance(event, kind)]

    def answered_with(self, kind: type[Event], count: int = 1) -> list[Event]:
        self.path.run(lambda: sum(isinstance(event, kind) for event in self.answers) >= count)
        return [event for event in self.answers if isinstance(event, kind)]

    def body(self, stream: int, told: list[Event]) -> bytes:
        """The whole of a body, once it has come."""
        self.path.run(
            lambda: any(isinstance(e, BodyReceived) and e.stream == stream and e.end for e in told), seconds=60
        )
        return b"".join(event.data for event in told if isinstance(event, BodyReceived) and event.stream == stream)


@pytest.fixture(params=ENGINES)
def make(request: pytest.FixtureRequest) -> Make:
    return ENGINES[request.param]


@pytest.fixture(params=[Harm(delay=0.005), HARM], ids=["smooth", "harmed"])
def site(make: Make, request: pytest.FixtureRequest) -> Site:
    return Site(make, request.param)


def test_requests_side_by_side(site: Site) -> None:
    streams = [site.client.request("GET", "https", "localhost", f"/{number}") for number in range(40)]
    answered: set[int] = set()
    while len(answered) < len(streams):
        site.told_of(RequestReceived, len(answered) + 1)
        for event in site.told:
            if isinstance(event, RequestReceived) and event.stream not in answered:
                answered.add(event.stream)
                site.server.respond(event.stream, 200, [], event.path.encode())
    for number, stream in enumerate(streams):
        assert site.body(stream, site.answers) == b"/%d" % number
    assert site.client.requests == site.server.requests == 0


def test_bodies_both_ways_with_backpressure_and_trailers(site: Site) -> None:
    stream = site.client.request("POST", "https", "localhost", "/", end=False)
    (request,) = site.told_of(RequestReceived)
    assert isinstance(request, RequestReceived)
    up = bytes(range(256)) * 400
    assert not site.client.send_data(stream, up, end=True)
    assert site.body(stream, site.told) == up
    site.server.respond(stream, 200, [], end=False)
    down, sent = bytes(range(255, -1, -1)) * 2000, 0
    while sent < len(down):
        more = site.server.send_data(stream, down[sent : sent + 20_000])
        sent += 20_000
        if not more:
            site.told_of(Writable, sum(isinstance(event, Writable) for event in site.told) + 1)
    site.server.send_trailers(stream, [("x-sum", "1")])
    assert site.answered_with(TrailersReceived) == [TrailersReceived(stream, [("x-sum", "1")])]
    assert b"".join(event.data for event in site.answers if isinstance(event, BodyReceived)) == down


def test_a_paused_request_holds_its_client_back(make: Make) -> None:
    site = Site(make)
    stream = site.client.request("POST", "https", "localhost", "/", end=False)
    site.told_of(RequestReceived)
    site.server.pause(stream)
    site.client.send_data(stream, bytes(1_000_000), end=True)
    site.path.rest(2.0)
    assert not any(isinstance(event, BodyReceived) for event in site.told)
    assert site.guest.endpoint.buffered(CONNECTION, stream) > 0
    site.server.resume(stream)
    assert len(site.body(stream, site.told)) == 1_000_000


def test_a_cancelled_request_is_told_once(site: Site) -> None:
    stream = site.client.request("POST", "https", "localhost", "/", end=False)
    site.told_of(RequestReceived)
    site.client.reset(stream, ErrorCode.H3_REQUEST_CANCELLED)
    site.told_of(Aborted)
    site.path.rest(1.0)
    assert [e for e in site.told if isinstance(e, Aborted)] == [Aborted(stream, ErrorCode.H3_REQUEST_CANCELLED)]
    assert site.server.requests == 0


def test_a_session_with_streams_and_datagrams(site: Site) -> None:
    session = site.client.request("CONNECT", "https", "localhost", "/", protocol="webtransport", end=False)
    site.told_of(RequestReceived)
    site.told += site.server.accept_session(session)
    site.answered_with(ResponseReceived)
    stream = site.client.open_session_stream(session, False)
    site.client.send_stream(stream, b"there")
    assert site.told_of(SessionStream) == [SessionStream(session, stream, True)]
    site.told_of(SessionData)
    site.server.send_stream(stream, b"and back", True)
    assert site.answered_with(SessionData)[0] == SessionData(session, stream, b"and back", True)
    single = site.server.open_session_stream(session, True)
    site.server.send_stream(single, b"hello", True)
    assert site.answered_with(SessionStream) == [SessionStream(session, single, False)]
    assert site.server.max_session_datagram(session) > 1000
    for _ in range(20):
        assert site.server.send_session_datagram(session, b"d")
    assert site.answered_with(SessionDatagram)[0] == SessionDatagram(session, b"d")
    site.server.close_session(session, 7, "over")
    assert site.answered_with(SessionClosed) == [SessionClosed(session, 7, "over", True)]
    assert site.server.requests == site.client.requests == 0


def test_a_websocket_ends_in_both_directions(site: Site) -> None:
    stream = site.client.request("CONNECT", "https", "localhost", "/", protocol="websocket", end=False)
    site.told_of(RequestReceived)
    site.server.respond(stream, 200, [], end=False)
    site.client.send_data(stream, b"ping")
    site.told_of(BodyReceived)
    site.server.send_data(stream, b"pong", end=True)
    assert site.body(stream, site.answers) == b"pong"
    site.client.send_data(stream, b"bye", end=True)
    assert site.body(stream, site.told) == b"pingbye"
    assert site.server.requests == site.client.requests == 0


def test_a_broken_connection_closes_with_its_code(make: Make) -> None:
    site = Site(make)
    control = 2
    site.guest.endpoint.send(CONNECTION, control, b"\x00\x00")
    (closed,) = site.answered_with(Closed)
    assert isinstance(closed, Closed)
    assert (closed.code, closed.ending) == (ErrorCode.H3_FRAME_UNEXPECTED, Ending.APPLICATION)
    (closed,) = site.told_of(Closed)
    assert isinstance(closed, Closed)
    assert closed.ending == Ending.LOCAL


def test_rfc8470_a_request_in_early_data_says_so(make: Make) -> None:
    path = Path(make())
    first = path.connect()
    path.run(lambda: first.endpoint.session_ticket is not None)  # type: ignore[attr-defined]
    ticket = first.endpoint.session_ticket  # type: ignore[attr-defined]
    told: list[Event] = []
    servers: dict[int, Connection] = {}

    def serve(event: quic.Event) -> None:
        if event[1] == Kind.OPENED:
            servers[event[0]] = Connection(path.server, event[0], now=path.now)
        told.extend(servers[event[0]].receive(event, path.now))

    clients: list[Connection] = []

    def take(event: quic.Event) -> None:
        if event[1] == Kind.OPENED:
            clients.append(Connection(again.endpoint, CONNECTION, client=True, now=path.now))
            clients[0].request("GET", "https", "localhost", "/early")
        if event[1] == Kind.CONNECTED:
            clients[0].request("GET", "https", "localhost", "/late")
        clients[0].receive(event, path.now)

    path.handle = serve
    again = path.join(session_ticket=ticket, early_data=True)
    again.handle = take
    path.run(lambda: sum(isinstance(event, RequestReceived) for event in told) == 2)
    requests = [event for event in told if isinstance(event, RequestReceived)]
    assert [(event.path, event.early) for event in requests] == [("/early", True), ("/late", False)]


def test_goaway_then_close(make: Make) -> None:
    site = Site(make)
    stream = site.client.request("GET", "https", "localhost", "/")
    site.told_of(RequestReceived)
    site.server.goaway()
    site.server.respond(stream, 200, [])
    site.answered_with(ResponseReceived)
    assert site.client.draining
    site.server.close()
    (closed,) = site.answered_with(Closed)
    assert isinstance(closed, Closed)
    assert closed.code == ErrorCode.H3_NO_ERROR
