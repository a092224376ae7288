"""What HTTP/3 stands on: the UDP port, the certificate for it, and how the kernel treats datagrams."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import struct
import sys
import time
from datetime import UTC, datetime

from cryptography import x509

from chiron.server.doctor import processes
from chiron.server.doctor.certificate import left
from chiron.server.doctor.findings import Fault, Found, problem, warning
from chiron.server.doctor.subject import Subject
from chiron.server.edge import certificates, udp

OFF = "off"
ATTEMPTS = 3
ANSWER_SECONDS = 1.0
"""To each of them: on one machine nothing takes longer but a server that does not answer."""
DO_WITHOUT = "quic = false   (serves over TCP alone)"

LEAST_DATAGRAM = 1200
"""RFC 9000 §14.1: a server answers nothing smaller."""
UNKNOWN_VERSION = 0x1A2A3A4A
"""One of those that are reserved for this (RFC 9000 §15, §6.3)."""
_KIBIBYTE = 1 << 10


async def reachable(subject: Subject) -> Found:
    """Whether a server answers at the UDP port, or one could be bound there."""
    settings = subject.settings
    if not settings.quic:
        return OFF, []
    if settings.port == 0:
        return "at a port that is found at the start", []
    pid = subject.server
    if pid is None:
        return _free(subject)
    host = settings.host or "127.0.0.1"
    began = time.monotonic()
    versions = await _ask(host, settings.port)
    if versions is not None:
        took = (time.monotonic() - began) * 1e3
        return f"UDP {settings.port} answers in {took:.1f} ms, QUIC {', '.join(map(_version, versions))}", []
    ours = processes.family(pid)
    holders = _holders(settings.port)
    if holders & ours or not processes.PROC.is_dir():
        return f"UDP {settings.port} does not answer", [
            problem(
                f"The server does not answer over UDP at {host}, port {settings.port}: something on this machine drops "
                "the datagrams, or the server is stuck.",
                "nft list ruleset | grep -n udp   (iptables -S, where that is used)",
                f"kill {pid}   (then start it again)",
            )
        ]
    return f"the running server has no UDP {settings.port}", [
        warning(
            f"The running server does not serve HTTP/3 on port {settings.port}: it was told something else than these "
            "settings.",
            f"kill {pid}   (then start it again, with these)",
            DO_WITHOUT,
        )
    ]


def _free(subject: Subject) -> Found:
    settings = subject.settings
    try:
        udp.bind(settings.host, settings.port).close()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            # The TCP port is refused alike, and told by `ports`.
            return f"UDP {settings.port} refused: {error.strerror or error}", []
        holders = _holders(settings.port)
        who = " and ".join(processes.name(pid) for pid in sorted(holders)) or "a program that this user may not see"
        stop = f"kill {' '.join(map(str, sorted(holders)))}" if holders else f"sudo ss -lunp 'sport = :{settings.port}'"
        return f"UDP {settings.port} taken", [
            problem(f"UDP port {settings.port} is in use by {who}.", stop, "port = …   (or another port)", DO_WITHOUT)
        ]
    return f"UDP {settings.port} free", []


def _holders(port: int) -> set[int]:
    owners = processes.owners({sock.inode for sock in processes.receiving() if sock.port == port})
    return set().union(*owners.values()) if owners else set()


async def _ask(host: str, port: int) -> list[int] | None:
    """The QUIC versions that are spoken there; None without an answer."""
    loop = asyncio.get_running_loop()
    address = (await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM))[0]
    with socket.socket(address[0], socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        for _ in range(ATTEMPTS):
            ours, theirs = os.urandom(8), os.urandom(8)
            # Where nobody receives, the kernel says so to the next call.
            with contextlib.suppress(TimeoutError, ConnectionRefusedError):
                async with asyncio.timeout(ANSWER_SECONDS):
                    sock.connect(address[4])
                    sock.send(probe(theirs, ours))
                    while (versions := negotiated(await loop.sock_recv(sock, 65_536), theirs, ours)) is None:
                        pass
                    return versions
    return None


def probe(destination: bytes, source: bytes) -> bytes:
    """A packet of a version that nobody speaks (RFC 8999 §5.1): whoever speaks another answers with those it does."""
    head = struct.pack("!BI", 0xC0, UNKNOWN_VERSION)
    ids = bytes([len(destination)]) + destination + bytes([len(source)]) + source
    return (head + ids).ljust(LEAST_DATAGRAM, b"\0")


def negotiated(datagram: bytes, destination: bytes, source: bytes) -> list[int] | None:
    """The versions of a Version Negotiation packet (RFC 8999 §6) that answers such a probe; None: it is none."""
    ids = bytes([len(source)]) + source + bytes([len(destination)]) + destination
    if len(datagram) < 5 or not datagram[0] & 0x80 or datagram[1:5] != bytes(4) or not datagram[5:].startswith(ids):
        return None
    versions = datagram[5 + len(ids) :]
    return [number for (number,) in struct.iter_unpack("!I", versions[: len(versions) // 4 * 4])]


def _version(number: int) -> str:
    return {1: "v1", 0x6B3343CF: "v2"}.get(number, f"0x{number:08x}")


def certificate(subject: Subject) -> Found:
    settings = subject.settings
    if not settings.quic:
        return OFF, []
    if settings.tls.certificate is not None:
        return "that of TLS, which browsers must trust by themselves", []
    chain, key = subject.folder / "tls" / "quic.pem", subject.folder / "tls" / "quic.key"
    if not chain.is_file():
        return "none yet: one that pages trust by its hash is made at the first start", []
    leaf = x509.load_pem_x509_certificate(chain.read_bytes())
    remaining = leaf.not_valid_after_utc - datetime.now(UTC)
    faults: list[Fault] = []
    if key.is_file() and key.stat().st_mode & 0o077:
        faults.append(problem(f"Others may read the private key {key}.", f"chmod 600 {key}"))
    late = remaining < certificates.HASHED_SPARE / 2
    if subject.server is not None and late:
        faults.append(
            problem(
                f"The certificate of QUIC has {left(remaining)}, and should have been changed before: the running "
                f"server cannot write {chain.parent}, or its clock is wrong.",
                subject.command("reload"),
                "timedatectl",
            )
        )
    note = "; the next start makes another" if late and subject.server is None else ""
    return f"self-signed, {left(remaining)}{note}; pages trust it by SHA-256 {certificates.fingerprint(leaf)}", faults


def buffers(subject: Subject) -> Found:
    """What the kernel grants a socket such as the server's."""
    if not subject.settings.quic:
        return OFF, []
    with udp.bind("127.0.0.1", 0) as sock:
        granted = dict(zip(("rmem_max", "wmem_max"), udp.enlarge(sock), strict=True))
    said = " and ".join(
        f"{size // _KIBIBYTE:,} KiB to {verb}" for size, verb in zip(granted.values(), ("receive", "send"), strict=True)
    )
    short = [name for name, size in granted.items() if size < udp.BUFFER_BYTES]
    if not short or sys.platform != "linux":
        return said, []
    settings = [f"net.core.{name}={udp.BUFFER_BYTES}" for name in short]
    return said, [
        warning(
            f"The kernel holds {said} for HTTP/3 where {udp.BUFFER_BYTES // _KIBIBYTE:,} KiB are asked for: under load "
            "it drops datagrams, which are then sent again.",
            *(f"sysctl -w {setting}" for setting in settings),
            f"printf '%s\\n' {' '.join(settings)} > /etc/sysctl.d/chiron-quic.conf   (to keep it)",
            "chiron serve   (again: the buffers are asked for at the start)",
        )
    ]


_SOL_UDP = 17
_UDP_SEGMENT = 103
"""linux/udp.h: one call sends many datagrams (generic segmentation offload)."""
_SEGMENTS = 3


def batches(subject: Subject) -> Found:
    """Whether one call can send several datagrams: three are, to ourselves."""
    if not subject.settings.quic:
        return OFF, []
    if sys.platform != "linux":
        return "not offered by this system", []
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(ANSWER_SECONDS)
        size = struct.pack("=H", LEAST_DATAGRAM)
        try:
            sender.sendmsg(
                [bytes(LEAST_DATAGRAM * _SEGMENTS)], [(_SOL_UDP, _UDP_SEGMENT, size)], 0, receiver.getsockname()
            )
            arrived = [len(receiver.recv(65_536)) for _ in range(_SEGMENTS)]
        except OSError as error:
            return "refused", [
                warning(
                    f"The kernel does not send several datagrams with one call ({error.strerror or error}): downloads "
                    "over HTTP/3 cost several times the processor time.",
                    "uname -r   (Linux 4.18 or newer is needed; gVisor and some virtual network cards lack it)",
                )
            ]
    if arrived != [LEAST_DATAGRAM] * _SEGMENTS:
        return f"wrong: {arrived}", [
            problem("One call with several datagrams sent something else than these.", "uname -r   (and update)")
        ]
    return "one call sends many datagrams (UDP_SEGMENT)", []
