"""What `chiron doctor` says of HTTP/3: its port, its certificate, and the kernel's buffers."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiron.db.lock import FolderLock
from chiron.server.config import Settings, TlsSettings
from chiron.server.doctor import Subject, processes, quic
from chiron.server.edge import certificates, udp

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

IDS = st.binary(min_size=8, max_size=8)


def subject(folder: Path, port: int = 0, **more: object) -> Subject:
    return Subject(Settings(data_dir=folder, host="127.0.0.1", port=port, quic=True, **more))  # type: ignore[arg-type]


@pytest.fixture
def bound() -> Iterator[socket.socket]:
    with contextlib.closing(udp.bind("127.0.0.1", 0)) as sock:
        yield sock


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Path]:
    """A data folder whose server is this process."""
    with FolderLock(tmp_path):
        yield tmp_path


def answer(probe: bytes, *versions: int) -> bytes:
    """A Version Negotiation packet (RFC 8999 §6) to a packet with ids of 8 bytes."""
    theirs, ours = probe[6:14], probe[15:23]
    return b"\xea" + bytes(4) + b"\x08" + ours + b"\x08" + theirs + b"".join(struct.pack("!I", v) for v in versions)


@contextlib.contextmanager
def answering(sock: socket.socket, *, drop: int = 0) -> Iterator[list[bytes]]:
    """Somebody who speaks QUIC there, but for the first `drop` packets."""
    got: list[bytes] = []

    def serve() -> None:
        sock.settimeout(30.0)
        while True:
            datagram, peer = sock.recvfrom(65_536)
            if datagram == b"enough":
                return
            got.append(datagram)
            if len(got) > drop:
                sock.sendto(b"\x40 something else", peer)
                sock.sendto(answer(datagram, 1, 0x6B3343CF, 0x5A6A7A8A), peer)

    server = threading.Thread(target=serve)
    server.start()
    try:
        yield got
    finally:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"enough", sock.getsockname())
        server.join()


async def test_where_http3_is_off_there_is_nothing_to_find(tmp_path: Path) -> None:
    off = Subject(Settings(data_dir=tmp_path, quic=False))
    assert await quic.reachable(off) == ("off", [])
    for look in (quic.certificate, quic.buffers, quic.batches):
        assert look(off) == ("off", [])


@linux
@pytest.mark.parametrize("drop", [0, 1])
async def test_a_server_that_answers_over_udp_is_reachable(
    held: Path, bound: socket.socket, drop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quic, "ANSWER_SECONDS", 1.0 if drop == 0 else 0.2)
    with answering(bound, drop=drop) as got:
        summary, faults = await quic.reachable(subject(held, bound.getsockname()[1]))
    assert faults == []
    assert summary.startswith(f"UDP {bound.getsockname()[1]} answers in ")
    assert summary.endswith("QUIC v1, v2, 0x5a6a7a8a")
    assert all(len(datagram) == 1200 for datagram in got), "RFC 9000 §14.1"


@linux
async def test_a_server_that_is_deaf_is_a_problem(
    held: Path, bound: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quic, "ANSWER_SECONDS", 0.05)
    port = bound.getsockname()[1]
    summary, [fault] = await quic.reachable(subject(held, port))
    assert summary == f"UDP {port} does not answer"
    assert fault.state == "problem"
    assert f"kill {os.getpid()}   (then start it again)" in fault.mend


@linux
async def test_a_server_that_was_told_something_else_is_a_warning(
    held: Path, bound: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quic, "ANSWER_SECONDS", 0.05)
    port = bound.getsockname()[1]
    bound.close()
    summary, [fault] = await quic.reachable(subject(held, port))
    assert summary == f"the running server has no UDP {port}"
    assert fault.state == "warning"
    assert quic.DO_WITHOUT in fault.mend


@linux
async def test_without_a_server_the_port_is_looked_at_and_not_taken(tmp_path: Path, bound: socket.socket) -> None:
    port = bound.getsockname()[1]
    summary, [fault] = await quic.reachable(subject(tmp_path, port))
    assert summary == f"UDP {port} taken"
    assert fault.sentence == f"UDP port {port} is in use by {processes.name(os.getpid())}."
    assert f"kill {os.getpid()}" in fault.mend
    bound.close()
    for _ in range(2):
        assert await quic.reachable(subject(tmp_path, port)) == (f"UDP {port} free", [])
    assert await quic.reachable(subject(tmp_path, 0)) == ("at a port that is found at the start", [])


@given(IDS, IDS, st.lists(st.integers(0, 2**32 - 1), max_size=20), st.binary(max_size=3))
def test_rfc8999_6_the_versions_of_an_answer_are_read(
    theirs: bytes, ours: bytes, versions: list[int], rest: bytes
) -> None:
    probe = quic.probe(theirs, ours)
    assert quic.negotiated(answer(probe, *versions) + rest, theirs, ours) == versions


@given(st.binary(max_size=60), IDS, IDS)
def test_what_is_no_answer_is_not_taken_for_one(datagram: bytes, theirs: bytes, ours: bytes) -> None:
    assert quic.negotiated(datagram, theirs, ours) is None
    assert quic.negotiated(answer(quic.probe(ours, theirs), 1), theirs, ours) in (None, [1] if theirs == ours else None)


def test_the_certificate_is_told_with_its_hash_and_its_days(tmp_path: Path) -> None:
    summary, faults = quic.certificate(subject(tmp_path))
    assert summary.startswith("none yet")
    made = certificates.hashed(tmp_path / "tls", datetime.now(UTC))
    assert quic.certificate(subject(tmp_path)) == (
        f"self-signed, 12 days left; pages trust it by SHA-256 {made.hashes[0]}",
        [],
    )
    (tmp_path / "tls" / "quic.key").chmod(0o644)
    _, [fault] = quic.certificate(subject(tmp_path))
    assert fault.mend == (f"chmod 600 {tmp_path / 'tls' / 'quic.key'}",)
    own = TlsSettings(certificate=tmp_path / "own.pem", key=tmp_path / "own.key")
    summary, faults = quic.certificate(subject(tmp_path, tls=own))
    assert summary.startswith("that of TLS")
    assert faults == []


@linux
def test_a_certificate_that_should_have_been_changed_is_a_problem_while_a_server_runs(tmp_path: Path) -> None:
    certificates.hashed(tmp_path / "tls", datetime.now(UTC) - timedelta(days=12))
    summary, faults = quic.certificate(subject(tmp_path))
    assert "the next start makes another" in summary
    assert faults == []
    with FolderLock(tmp_path):
        _, [fault] = quic.certificate(subject(tmp_path))
    assert fault.state == "problem"
    assert f"chiron reload --data-dir {tmp_path}" in fault.mend


@linux
def test_small_buffers_are_a_warning_with_what_raises_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp, "BUFFER_BYTES", 1 << 10)
    _, faults = quic.buffers(subject(tmp_path))
    assert faults == []
    monkeypatch.setattr(udp, "BUFFER_BYTES", 1 << 30)
    summary, [fault] = quic.buffers(subject(tmp_path))
    assert "KiB to receive and" in summary
    assert "1,048,576 KiB" in fault.sentence
    assert fault.mend[:2] == ("sysctl -w net.core.rmem_max=1073741824", "sysctl -w net.core.wmem_max=1073741824")


@linux
def test_batches_are_tried_for_real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert quic.batches(subject(tmp_path)) == ("one call sends many datagrams (UDP_SEGMENT)", [])
    monkeypatch.setattr(quic, "_UDP_SEGMENT", 9999)
    summary, [fault] = quic.batches(subject(tmp_path))
    assert summary == "refused"
    assert fault.state == "warning"
