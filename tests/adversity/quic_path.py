"""Both QUIC engines on a path in memory, with virtual time, that harms datagrams by chance from a seed."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import heapq
import ipaddress
import itertools
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from datagram_proxy import Harm

from chiron._core import Quic
from chiron.protocols.quic.client import CONNECTION, ClientEndpoint
from chiron.protocols.quic.endpoint import Address, DatagramEndpoint, Event, Kind, ServerEndpoint
from chiron.protocols.quic.limits import Limits
from chiron.protocols.quic.reference import ReferenceEndpoint

SERVER: Address = ("192.0.2.1", 443)
SECRET = bytes(range(32))
TICKET_KEY = bytes(range(32, 64))


class Pair(NamedTuple):
    """A self-signed certificate and its key, in PEM."""

    chain: bytes
    key: bytes

    @property
    def hash(self) -> bytes:
        return hashlib.sha256(x509.load_pem_x509_certificate(self.chain).public_bytes(Encoding.DER)).digest()


def pair(name: str, number: int = 1) -> Pair:
    """For a host name or an IP address, valid now; another one for each `number`."""
    return _pair(name, number)


@lru_cache
def _pair(name: str, number: int) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    try:
        alternative: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        alternative = x509.DNSName(name)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(number)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=10))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Pair(
        certificate.public_bytes(Encoding.PEM),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )


class Make(Protocol):
    """Makes an endpoint of one engine, at the time 0."""

    def __call__(
        self,
        certificate: Pair = ...,
        *,
        named: Pair | None = None,
        worker: int = 0,
        secret: bytes = SECRET,
        ticket_key: bytes = TICKET_KEY,
        limits: Limits = ...,
    ) -> ServerEndpoint: ...


def make_reference(
    certificate: Pair | None = None,
    *,
    named: Pair | None = None,
    worker: int = 0,
    secret: bytes = SECRET,
    ticket_key: bytes = TICKET_KEY,
    limits: Limits = Limits(),  # noqa: B008
) -> ServerEndpoint:
    chain, key = certificate or pair("localhost")
    return ReferenceEndpoint(
        chain, key, named=named, secret=secret, ticket_keys=[ticket_key], worker=worker, limits=limits, now=0.0
    )


def make_native(
    certificate: Pair | None = None,
    *,
    named: Pair | None = None,
    worker: int = 0,
    secret: bytes = SECRET,
    ticket_key: bytes = TICKET_KEY,
    limits: Limits = Limits(),  # noqa: B008
) -> ServerEndpoint:
    chain, key = certificate or pair("localhost")
    taken = dataclasses.asdict(limits)
    del taken["max_stream_window"]  # its windows of streams do not rise
    return Quic(chain, key, named=named, secret=secret, ticket_keys=[ticket_key], worker=worker, now=0.0, **taken)


ENGINES: dict[str, Make] = {"aioquic": make_reference, "native": make_native}


class Guest:
    """A client on the path, and what it saw."""

    def __init__(self, endpoint: DatagramEndpoint, address: Address) -> None:
        self.endpoint = endpoint
        self.address = address
        self.events: list[Event] = []
        self.handle: Callable[[Event], None] | None = None

    def kinds(self) -> list[Kind]:
        return [Kind(event[1]) for event in self.events]

    def of(self, kind: Kind) -> list[Event]:
        return [event for event in self.events if event[1] == kind]

    def stream(self, number: int) -> bytes:
        return b"".join(event[3] for event in self.of(Kind.STREAM) if event[2] == number)

    def ended(self, number: int) -> bool:
        return any(event[2] == number and event[4] for event in self.of(Kind.STREAM))


class Path:
    """Between one server and its clients. Datagrams take `harm.delay` seconds, 5 ms when it says nothing.

    Clients that say nothing else trust `authority`: by default the certificate of `localhost`.
    """

    def __init__(
        self,
        server: ServerEndpoint,
        *,
        harm: Harm = Harm(delay=0.005),  # noqa: B008
        seed: int = 0,
        authority: Pair | None = None,
    ) -> None:
        self.server = server
        self.authority = authority or pair("localhost")
        self.harm = harm
        self.now = 0.0
        self.guests: dict[Address, Guest] = {}
        self.events: list[Event] = []
        """What the server saw."""
        self.handle: Callable[[Event], None] | None = None
        """What the server does about an event."""
        self.cut = False
        self.passed: list[tuple[bytes, Address, Address]] = []
        """Every datagram with its sender and receiver, before any harm."""
        self._rng = random.Random(seed)
        self._travelling: list[tuple[float, int, bytes, Address, Address]] = []
        self._numbers = itertools.count()
        self._ports = itertools.count(50_000)

    def join(
        self,
        name: str = "localhost",
        *,
        ca: Pair | None = None,
        trust: Sequence[Pair] = (),
        address: Address | None = None,
        **options: object,
    ) -> Guest:
        """A client that starts its handshake. `trust` pins certificates; by default `ca` is the path's authority."""
        authorities = None if trust else (ca or self.authority).chain
        client = ClientEndpoint(
            name,
            SERVER,
            now=self.now,
            ca=authorities,
            hashes=[one.hash for one in trust],
            **options,  # type: ignore[arg-type]
        )
        client.connect(self.now)
        return self.admit(client, address)

    def admit(self, endpoint: DatagramEndpoint, address: Address | None = None) -> Guest:
        guest = Guest(endpoint, address or ("198.51.100.7", next(self._ports)))
        self.guests[guest.address] = guest
        return guest

    def move(self, guest: Guest) -> None:
        """The client's address changes on its way, as behind a NAT that forgot it."""
        del self.guests[guest.address]
        guest.address = ("198.51.100.8", next(self._ports))
        self.guests[guest.address] = guest

    def connect(self, name: str = "localhost", **options: object) -> Guest:
        """A client whose handshake is complete on both sides."""
        guest = self.join(name, **options)  # type: ignore[arg-type]
        seen = len(self.of(Kind.CONNECTED))
        self.run(lambda: Kind.CONNECTED in guest.kinds() and len(self.of(Kind.CONNECTED)) > seen)
        return guest

    def of(self, kind: Kind) -> list[Event]:
        return [event for event in self.events if event[1] == kind]

    def stream(self, connection: int, number: int) -> bytes:
        return b"".join(e[3] for e in self.of(Kind.STREAM) if e[0] == connection and e[2] == number)

    def ended(self, connection: int, number: int) -> bool:
        return any(e[0] == connection and e[2] == number and e[4] for e in self.of(Kind.STREAM))

    def inject(self, data: bytes, source: Address = ("203.0.113.66", 6666)) -> list[bytes]:
        """A datagram of a stranger, and what the server answers at once."""
        self.server.feed([(data, source)], self.now)
        answers = self.server.take(self.now)
        for datagram, target in answers:
            if target != source:
                self._launch(datagram, SERVER, target)
        return [datagram for datagram, target in answers if target == source]

    def send(self, guest: Guest, data: bytes) -> None:
        """A datagram that the client's engine would not send."""
        self._launch(data, guest.address, SERVER)

    def run(self, until: Callable[[], bool], *, seconds: float = 20.0) -> None:
        """Let time pass until a condition holds. Fails when it does not within `seconds`, or nothing can happen."""
        deadline = self.now + seconds
        self._settle()
        while not until():
            if not self._step(deadline):
                raise AssertionError(f"still waiting at {self.now:.3f} s; server: {self.events[-5:]}")

    def rest(self, seconds: float) -> None:
        """Let time pass, whatever happens."""
        deadline = self.now + seconds
        self._settle()
        while self._step(deadline):
            pass
        self.now = deadline

    def _step(self, deadline: float) -> bool:
        times = [end.next_timeout() for end in (self.server, *(guest.endpoint for guest in self.guests.values()))]
        if self._travelling:
            times.append(self._travelling[0][0])
        at = min((time for time in times if time is not None), default=deadline)
        if at >= deadline:
            return False
        # Half a millisecond past a timer, as a loop is: comparing times that were added up in another order than
        # they are compared would otherwise never come to an end.
        self.now = max(self.now, at) + 0.0005
        self._deliver()
        if (due := self.server.next_timeout()) is not None and due <= self.now + 0.001:
            self.server.handle_timeouts(self.now)
        for guest in self.guests.values():
            if (due := guest.endpoint.next_timeout()) is not None and due <= self.now + 0.001:
                guest.endpoint.handle_timeouts(self.now)
        self._settle()
        return True

    def _deliver(self) -> None:
        arrived: dict[Address, list[tuple[bytes, Address]]] = defaultdict(list)
        while self._travelling and self._travelling[0][0] <= self.now:
            _, _, data, source, target = heapq.heappop(self._travelling)
            arrived[target].append((data, source))
        for target, datagrams in arrived.items():
            if target == SERVER:
                self.server.feed(datagrams, self.now)
            elif (guest := self.guests.get(target)) is not None:
                guest.endpoint.feed(datagrams, self.now)

    def _settle(self) -> None:
        """Handle all events, then send: until neither makes the other."""
        busy = True
        while busy:
            busy = False
            for end, events, handle in [
                (self.server, self.events, self.handle),
                *((guest.endpoint, guest.events, guest.handle) for guest in self.guests.values()),
            ]:
                while happened := end.poll():
                    busy = True
                    events += happened
                    for event in happened:
                        if handle is not None:
                            handle(event)
            for data, target in self.server.take(self.now):
                busy = True
                self._launch(data, SERVER, target)
            for guest in self.guests.values():
                for data, target in guest.endpoint.take(self.now):
                    busy = True
                    self._launch(data, guest.address, target)

    def _launch(self, data: bytes, source: Address, target: Address) -> None:
        self.passed.append((data, source, target))
        rng, harm = self._rng, self.harm
        if self.cut or rng.random() < harm.loss:
            return
        for _ in range(2 if rng.random() < harm.repeat else 1):
            late = rng.uniform(0.001, 0.03) if rng.random() < harm.late else 0.0
            if rng.random() < harm.corrupt:
                spoilt = bytearray(data)
                spoilt[rng.randrange(len(spoilt))] ^= 1 << rng.randrange(8)
                data = bytes(spoilt)
            item = (self.now + harm.delay + late, next(self._numbers), data, source, target)
            heapq.heappush(self._travelling, item)


def limits(**changes: object) -> Limits:
    return dataclasses.replace(Limits(), **changes)  # type: ignore[arg-type]


__all__ = ["CONNECTION", "ENGINES", "SECRET", "SERVER", "Guest", "Make", "Pair", "Path", "limits", "pair"]
