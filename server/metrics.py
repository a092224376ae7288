"""What a worker tells of itself at `/metrics`: each metric by name, and the part that it is read from.

Parts count in plain attributes, on the loop's thread, and know nothing of metrics; they are read when somebody asks.
So a request costs the same whether anybody does. `docs/operate.md` has the table of all of them.

Labels are of few values: routes by their templates, codes of the tables, never a person, an address or an id.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    SummaryMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from chiron.db.pool import Pool
from chiron.server.chat.service import Chat
from chiron.server.edge.engine import Engine
from chiron.server.edge.quic import QuicListener
from chiron.server.gateway.gateway import Gateway
from chiron.server.gateway.limits import Limits
from chiron.server.gateway.requests import Requests
from chiron.server.identity.passwords import Passwords
from chiron.server.moderation.screening import Screening
from chiron.server.platform.lag import LoopLag
from chiron.server.platform.mail import Mailer
from chiron.server.ports import Distribution
from chiron.server.realtime.links import Links

TRANSPORTS = ("plain", "tls", "webtransport", "websocket-h3")
LANES = ("begun", "control", "durable", "ephemeral")

QUIC_COUNTS = {
    "handshakes": "Handshakes that were completed.",
    "resumed": "Of these, resumptions of earlier sessions.",
    "refused": "Connections that there was no room for.",
    "retries": "Clients that had to prove their address first.",
    "received_datagrams": "Read from UDP sockets.",
    "sent_datagrams": "Given to UDP sockets.",
    "received_bytes": "Read from UDP sockets.",
    "sent_bytes": "Given to UDP sockets.",
    "lost_packets": "Packets that were taken for lost, and their content sent again.",
    "moved": "Connections whose client has changed its address.",
}
"""Of `protocols.quic.Endpoint.stats`."""

CLOSE_CODES = frozenset({*range(1000, 1016), *range(4000, 4007)})
"""RFC 6455 §7.4.1 and `docs/protocol.md`, "Closing". Any other code is a client's own invention."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Of one worker."""

    engine: Engine
    gateway: Gateway
    requests: Requests
    limits: Limits
    links: Links
    chat: Chat
    pool: Pool
    passwords: Passwords
    mailer: Mailer
    lag: LoopLag
    quic: QuicListener
    screening: Screening | None


def registry(parts: Parts, version: str) -> CollectorRegistry:
    """A worker's own, with the metrics of its process as they are called everywhere."""
    made = CollectorRegistry(auto_describe=False)
    made.register(_Worker(parts, version))
    ProcessCollector(registry=made)
    GCCollector(registry=made)
    return made


class _Worker(Collector):
    def __init__(self, parts: Parts, version: str) -> None:
        self._parts = parts
        self._version = version

    def collect(self) -> Iterator[Metric]:
        yield from self._build()
        yield from self._http()
        yield from self._realtime()
        yield from self._quic()
        yield from self._chat()
        yield from self._verdicts()
        yield from self._database()
        yield from self._rest()

    def _build(self) -> Iterator[Metric]:
        labels = {"version": self._version, "python": platform.python_version()}
        yield InfoMetricFamily("chiron_build", "The version that serves.", value=labels)

    def _http(self) -> Iterator[Metric]:
        parts = self._parts
        seconds = HistogramMetricFamily(
            "chiron_http_request_duration_seconds",
            "From the head of a request to its answer.",
            labels=["route", "method", "status"],
        )
        for (route, method, status), found in parts.requests.seconds.items():
            _add(seconds, found, [route, method, str(status)])
        yield seconds
        yield _gauge("chiron_http_requests_in_flight", "Requests that are being answered.", parts.gateway.in_flight)
        yield _counters("chiron_http_errors", "Answers that were errors, by their code.", "code", parts.gateway.refused)
        yield _counters(
            "chiron_limiter_denials",
            "Requests and commands over a limit, by whose it was.",
            "scope",
            parts.limits.denied,
        )

    def _realtime(self) -> Iterator[Metric]:
        parts, engine = self._parts, self._parts.engine
        stats = engine.hub.stats()
        # The hub knows a WebSocket over HTTP/3 as a connection.
        open_connections = stats["connections"] - engine.links["websocket-h3"]
        yield _gauge("chiron_connections", "TCP connections that are open.", open_connections)
        links = GaugeMetricFamily("chiron_links", "Links that are open.", labels=["transport"])
        for transport in TRANSPORTS:
            links.add_metric([transport], engine.links[transport])
        yield links
        yield _gauge("chiron_attachments", "Attachments of links to channels.", stats["attachments"])
        closes: dict[str, int] = {}
        for code, count in engine.closes.items():
            name = str(code) if code in CLOSE_CODES else "other"
            closes[name] = closes.get(name, 0) + count
        yield _counters("chiron_link_closes", "Links that ended, by WebSocket close code.", "code", closes)
        yield _counters(
            "chiron_link_errors", "Errors that links were sent, by their code.", "code", parts.links.failures
        )
        yield _counter("chiron_link_frames_received", "Frames of clients.", engine.frames)
        yield _counter("chiron_link_frames_sent", "Frames of the server, as they left for one link.", stats["frames"])
        queued = GaugeMetricFamily(
            "chiron_queued_bytes", "What waits to leave, by lane; begun is the rest of cut frames.", labels=["lane"]
        )
        for lane in LANES:
            queued.add_metric([lane], stats[f"queued_{lane}_bytes"])
        yield queued
        yield _counter("chiron_dropped_events", "Ephemeral events that found no room.", stats["dropped_events"])
        yield _counter(
            "chiron_lagged_attachments", "Attachments whose link was too slow for live delivery.", stats["lagged"]
        )
        for name, work, what in (("feed", engine.feeds, "Reads"), ("flush", engine.flushes, "Flushes")):
            yield SummaryMetricFamily(
                f"chiron_{name}_seconds", f"{what} of the hub.", count_value=work.calls, sum_value=work.seconds
            )
        yield _counter("chiron_received_bytes", "Read from connections.", engine.feeds.bytes)
        yield _counter("chiron_sent_bytes", "Given to connections.", engine.flushes.bytes)

    def _quic(self) -> Iterator[Metric]:
        stats = self._parts.quic.stats()
        yield _gauge("chiron_quic_connections", "QUIC connections, handshakes included.", stats["connections"])
        for name, text in QUIC_COUNTS.items():
            yield _counter(f"chiron_quic_{name}", text, stats[name])

    def _chat(self) -> Iterator[Metric]:
        committer = self._parts.chat.committer
        yield _histogram("chiron_commit_batch_units", "Units of each transaction of the committer.", committer.batches)
        yield _histogram("chiron_commit_duration_seconds", "Of each of its transactions.", committer.commits)
        yield _gauge("chiron_commit_waiting_units", "Units that wait for their answer.", committer.waiting)
        yield _gauge(
            "chiron_commit_aside_conversations", "Conversations that wait for somebody else's lock.", committer.aside
        )

    def _verdicts(self) -> Iterator[Metric]:
        verdicts = CounterMetricFamily(
            "chiron_verdicts",
            "Messages that were written or blocked, by kind of conversation, verdict, and what was done.",
            labels=["kind", "verdict", "done"],
        )
        # What nearly everything gets is told from the start, so that a rate has a zero to begin from.
        nothing = {(kind, "allow", "allow"): 0 for kind in ("direct", "group")}
        for labels, count in {**nothing, **self._parts.chat.committer.screened}.items():
            verdicts.add_metric(list(labels), count)
        yield verdicts
        if self._parts.screening is not None:
            scoring = self._parts.screening.scoring
            yield SummaryMetricFamily(
                "chiron_scorer_seconds",
                "Texts scored or explained beside links, which score theirs where they are read.",
                count_value=scoring.calls,
                sum_value=scoring.seconds,
            )

    def _database(self) -> Iterator[Metric]:
        pool = self._parts.pool.connections
        connections = GaugeMetricFamily(
            "chiron_postgres_connections", "Connections of the pool that are open.", labels=["state"]
        )
        connections.add_metric(["idle"], pool.idle)
        connections.add_metric(["used"], pool.open - pool.idle)
        yield connections
        yield _gauge("chiron_postgres_connections_max", "As many as the pool may open.", pool.size)
        yield _gauge("chiron_postgres_waiting", "Units of work that wait for a connection.", pool.waiting)
        yield _histogram("chiron_postgres_acquire_seconds", "Until a unit of work has a connection.", pool.acquired)

    def _rest(self) -> Iterator[Metric]:
        parts = self._parts
        yield _histogram("chiron_loop_lag_seconds", "How late a timer of the event loop is.", parts.lag.seconds)
        yield _gauge(
            "chiron_password_hashes_waiting", "Passwords that wait to be hashed, or are.", parts.passwords.waiting
        )
        yield _gauge("chiron_mail_waiting", "Mails that wait to be sent.", parts.mailer.waiting)
        counts = {"sent": parts.mailer.sent, "failed": parts.mailer.failed, "dead": parts.mailer.dead}
        yield _counters(
            "chiron_mail_attempts", "Mails by outcome: sent, failed and tried again, or given up.", "outcome", counts
        )


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)


def _counters(name: str, text: str, label: str, counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=[label])
    for value, count in counts.items():
        family.add_metric([value], count)
    return family


def _histogram(name: str, text: str, found: Distribution) -> Metric:
    family = HistogramMetricFamily(name, text, labels=[])
    _add(family, found, [])
    return family


def _add(family: HistogramMetricFamily, found: Distribution, labels: Iterable[str]) -> None:
    """Buckets of the format are cumulative."""
    below = 0
    buckets = []
    for bound, count in zip((*found.bounds, float("inf")), found.counts, strict=True):
        below += count
        buckets.append(("+Inf" if bound == float("inf") else str(bound), below))
    family.add_metric(list(labels), buckets, found.total)
