"""What the native engine has and the reference has not."""

from __future__ import annotations

from quic_path import SECRET, SERVER, TICKET_KEY, Path, pair

from chiron._core import Quic
from chiron.protocols.quic.endpoint import Kind


def native(*, worker: int = 0, retry_handshakes: int = 256) -> Quic:
    chain, key = pair("localhost")
    return Quic(
        chain, key, secret=SECRET, ticket_keys=[TICKET_KEY], worker=worker, now=0.0, retry_handshakes=retry_handshakes
    )


def retries(path: Path) -> list[bytes]:
    return [data for data, source, _ in path.passed if source == SERVER and data[0] & 0xF0 == 0xF0]


def test_rfc9000_8_1_2_under_pressure_a_client_proves_its_address_first() -> None:
    path = Path(native(retry_handshakes=0))
    path.connect()
    assert len(retries(path)) == 1
    assert path.server.stats()["retries"] == 1


def test_rfc9000_8_1_2_without_pressure_it_need_not() -> None:
    path = Path(native(retry_handshakes=1))
    path.connect()
    path.connect()
    assert retries(path) == []


def test_rfc9000_8_1_2_a_flood_of_hellos_makes_no_connections() -> None:
    path = Path(native(retry_handshakes=4))
    for _ in range(20):
        path.join()
    path.run(lambda: path.server.stats()["received_datagrams"] >= 20)
    assert path.server.stats()["connections"] <= 5
    assert path.server.stats()["retries"] >= 15


def test_rfc9001_5_sessions_resume_at_another_worker_and_after_a_restart() -> None:
    path = Path(native(worker=1))
    guest = path.connect()
    client = guest.endpoint
    path.run(lambda: client.session_ticket is not None)  # type: ignore[attr-defined]
    path.server = native(worker=2)
    path.events.clear()
    again = path.connect(session_ticket=client.session_ticket)  # type: ignore[attr-defined]
    assert again.of(Kind.CONNECTED)[0][4] == 1
