"""The client believes whom it should, and says in words why not."""

from __future__ import annotations

import datetime

import pytest
from quic_path import CONNECTION, ENGINES, Guest, Path, limits, pair

from chiron.protocols.quic.client import ClientEndpoint
from chiron.protocols.quic.endpoint import Ending, Event, Kind


@pytest.fixture
def path() -> Path:
    return Path(ENGINES["aioquic"]())


def refusal(path: Path, guest: Guest) -> Event:
    """The one event of a connection that never opened."""
    path.run(lambda: bool(guest.events))
    (closed,) = guest.events
    assert closed[1] == Kind.CLOSED
    path.rest(1.0)
    assert guest.events == [closed]
    assert Kind.CONNECTED not in [event[1] for event in path.events]
    return closed


def test_a_certificate_of_an_unknown_authority_is_refused(path: Path) -> None:
    closed = refusal(path, path.join(ca=pair("localhost", 2)))
    assert closed[2] == Ending.TRANSPORT
    assert closed[3] == b"the server's certificate is not to be trusted: self-signed certificate"


def test_the_public_authorities_do_not_know_it_either(path: Path) -> None:
    guest = path.admit(ClientEndpoint("localhost", ("192.0.2.1", 443), now=path.now))
    guest.endpoint.connect(path.now)  # type: ignore[attr-defined]
    assert b"self-signed certificate" in refusal(path, guest)[3]


def test_rfc6125_6_a_certificate_of_another_name_is_refused(path: Path) -> None:
    reason = refusal(path, path.join("example.org"))[3]
    assert b"hostname 'example.org' doesn't match 'localhost'" in reason


def test_without_verification_any_certificate_will_do(path: Path) -> None:
    path.connect("example.org", ca=pair("localhost", 2), verify=False)


def test_a_known_hash_is_enough_whatever_the_name(path: Path) -> None:
    path.connect("example.org", trust=[pair("localhost", 2), pair("localhost")])


def test_another_hash_is_refused(path: Path) -> None:
    reason = refusal(path, path.join(trust=[pair("localhost", 2)]))[3]
    assert reason == (b"the server's certificate is not to be trusted: it is not the certificate whose hash is known")


def test_a_known_hash_of_a_certificate_that_has_expired_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=11)
    monkeypatch.setattr("aioquic.tls.utcnow", lambda: later)
    assert refusal(path, path.join(trust=[pair("localhost")]))[3].endswith(b"it is not valid now")


def test_nothing_of_the_application_leaves_before_the_server_is_believed(path: Path) -> None:
    guest = path.join(trust=[pair("localhost", 2)])
    stream = guest.endpoint.open_stream(CONNECTION, False)
    guest.endpoint.send(CONNECTION, stream, b"secret")
    refusal(path, guest)
    assert path.of(Kind.STREAM) == []


def test_a_server_that_does_not_answer_is_given_up() -> None:
    path = Path(ENGINES["aioquic"]())
    path.cut = True
    guest = path.join(handshake_seconds=4.0)
    closed = refusal(path, guest)
    assert closed[2] == Ending.TIMEOUT
    assert 4.0 <= path.now < 6.0
    assert closed[3] == b"the handshake took too long"
    path.rest(5.0)
    assert guest.endpoint.next_timeout() is None


def test_a_server_that_refuses_says_so(path: Path) -> None:
    path.server.refuse()
    assert refusal(path, path.join())[3] == b"the server takes no connections now"


def test_a_server_that_speaks_something_else_says_so(path: Path) -> None:
    assert refusal(path, path.join(alpn=["smtp"]))[3] == b"the server does not speak smtp"


def test_a_ticket_is_kept_for_the_next_connection(path: Path) -> None:
    first = path.connect()
    client = first.endpoint
    assert isinstance(client, ClientEndpoint)
    path.run(lambda: client.session_ticket is not None)
    second = path.connect(session_ticket=client.session_ticket)
    assert second.of(Kind.CONNECTED)[0][4] == 1
    assert isinstance(second.endpoint, ClientEndpoint)
    assert second.endpoint.session_ticket is not client.session_ticket


def test_a_ping_keeps_a_connection(path: Path) -> None:
    path = Path(ENGINES["aioquic"](limits=limits(idle_seconds=4.0)))
    guest = path.connect()
    assert isinstance(guest.endpoint, ClientEndpoint)
    for _ in range(5):
        path.rest(3.0)
        guest.endpoint.ping()
    assert Kind.CLOSED not in guest.kinds()
    assert not path.of(Kind.CLOSED)


def test_rfc9000_9_5_a_client_that_moved_goes_on_under_another_connection_id(path: Path) -> None:
    guest = path.connect()
    assert isinstance(guest.endpoint, ClientEndpoint)
    path.rest(0.2)
    before = [data[1:9] for data, source, _ in path.passed if source == guest.address and not data[0] & 0x80]
    path.move(guest)
    guest.endpoint.moved()
    path.run(lambda: bool(path.of(Kind.MOVED)))
    after = [data[1:9] for data, source, _ in path.passed if source == guest.address and not data[0] & 0x80]
    assert after
    assert not set(before) & set(after)


def test_datagrams_of_strangers_are_ignored(path: Path) -> None:
    guest = path.connect()
    mine = [data for data, source, target in path.passed if target == guest.address]
    guest.endpoint.feed([(data, ("203.0.113.66", 6666)) for data in mine], path.now)
    guest.endpoint.feed([(bytes(range(40)), ("192.0.2.1", 443)), (b"", ("192.0.2.1", 443))], path.now)
    path.rest(0.5)
    assert Kind.CLOSED not in guest.kinds()
