"""The results of a run for people: tables, what was wanted of them, and charts."""

from __future__ import annotations

from collections.abc import Sequence

from bench import quic, s1, s3, score
from bench.measure import Spread
from bench.plot import Bars

MOST_SEND = {("plain", "1 room"): 1.5, ("TLS", "1 room"): 1.8, ("plain", "rooms"): 3.0, ("TLS", "rooms"): 3.0}
"""How often the C loop's CPU a delivery may cost, one message at a time, by transport and rooms."""
MOST_KIB = {"plain": 12.0, "TLS": 20.0}
LEAST_OF_BARE = 0.4
MOST_KIB_QUIC = 60.0
MOST_SCORE_US = {f"{score.SHORT} characters": (15.0, 60.0), f"{score.LONG >> 10} KiB": (None, 1000.0)}
"""p50 and p99 of one call."""
MOST_SCORED = 1.2
"""CPU of a server that scores, by that of one that does not."""


def text(
    machine: dict[str, str],
    fan_out: s1.Result | None,
    publish: s3.Result | None,
    http3: quic.Result | None,
    scores: score.Result | None,
    *,
    judged: bool,
) -> str:
    """`judged`: with what was wanted and whether it was met."""
    parts = [", ".join(f"{name} {value}" for name, value in machine.items())]
    if fan_out is not None:
        parts += [
            "S1 fan-out: CPU in microseconds a delivery, median (lowest-highest)",
            _fan_out(fan_out, judged),
            "S1 memory: resident bytes of the worker",
            _memory(fan_out, judged),
        ]
    if publish is not None:
        parts += ["S3 durable publish: median (lowest-highest)", _publish(publish, judged)]
        if publish.scoring is not None:
            parts += ["S3 direct conversations: CPU in microseconds a message", _scoring(publish.scoring, judged)]
    if http3 is not None:
        parts += ["QUIC: CPU of the server, median (lowest-highest)", _quic(http3, judged), _quic_memory(http3, judged)]
    if scores is not None:
        parts += ["Score: microseconds a call from Python, median of rounds (lowest-highest)", _scores(scores, judged)]
    for line in wrong(fan_out, publish, http3):
        parts.append(f"WRONG: {line}")
    return "\n\n".join(parts)


def wrong(fan_out: s1.Result | None, publish: s3.Result | None, http3: quic.Result | None) -> list[str]:
    """What must never happen, where it did. Datagrams may be lost."""
    rows: list[tuple[str, s1.Row | s3.Row | s3.Scoring | quic.Row]] = []
    if fan_out is not None:
        rows += [(f"S1 {row.transport} {row.pattern}", row) for row in fan_out.rows]
    if publish is not None:
        rows += [(f"S3 {row.links} links", row) for row in publish.rows]
        rows += [("S3 direct", publish.scoring)] if publish.scoring is not None else []
    if http3 is not None:
        rows += [(f"QUIC {row.what}", row) for row in http3.rows]
    return [
        f"{name}: {count} {what}"
        for name, row in rows
        for what in ("lost", "repeated", "disordered")
        if (count := getattr(row, what, 0))
    ]


def charts(fan_out: s1.Result | None, publish: s3.Result | None, http3: quic.Result | None) -> list[Bars]:
    made = []
    if fan_out is not None:
        groups = [
            (f"{row.pattern}, {row.transport}", [row.cpu_us, row.send_us, row.websockets_us]) for row in fan_out.rows
        ]
        series = ("Chiron", "C send loop", "websockets.broadcast")
        made.append(Bars("CPU a delivery", "microseconds; less is better", series, groups))
        memory = [(f"{one.transport}, {one.links} links", [Spread.of([one.kib_per_link])]) for one in fan_out.memory]
        made.append(Bars("Memory an idle link", "KiB; less is better", ("Chiron",), memory))
    if publish is not None:
        rows = [(f"{row.links} links", [row.acked_per_second, row.bare_per_second]) for row in publish.rows]
        made.append(Bars("Durable messages a second", "more is better", ("Chiron", "bare grouped inserts"), rows))
    if http3 is not None:
        bars = [(f"{row.what}, {row.unit}", [row.cpu, row.bare]) for row in http3.rows if row.unit.startswith("us")]
        made.append(Bars("CPU over HTTP/3", "microseconds; less is better", ("Chiron", "bare aioquic"), bars))
    return made


def _fan_out(result: s1.Result, judged: bool) -> str:
    head = ("transport", "pattern", "Chiron", "C send loop", "websockets", "times C", "wanted", "PostgreSQL", "p99 ms")
    rows = []
    for row in result.rows:
        rooms = "1 room" if row.pattern.startswith("1 room ") else "rooms"
        most = MOST_SEND.get((row.transport, rooms)) if judged and row.pattern.endswith(" 1 at a time") else None
        rows.append(
            (
                row.transport,
                row.pattern,
                row.cpu_us.show(),
                row.send_us.show(),
                row.websockets_us.show(),
                f"{row.times_send:.2f}",
                _verdict(row.times_send, most, at_most=True),
                row.postgres_us.show(),
                f"{row.delivery_ms.p99:.0f}",
            )
        )
    return _table(head, rows)


def _memory(result: s1.Result, judged: bool) -> str:
    rows = [
        (
            one.transport,
            str(one.links),
            f"{one.kib_per_link:.1f}",
            _verdict(one.kib_per_link, MOST_KIB[one.transport] if judged else None, at_most=True),
        )
        for one in result.memory
    ]
    return _table(("transport", "idle links", "KiB a link", "wanted"), rows)


def _publish(result: s3.Result, judged: bool) -> str:
    head = (
        *("links", "acked/s", "bare rows/s", "share", "wanted", "ack p99 ms", "bare p99 ms", "rows a batch"),
        *("CPU us", "bare CPU us", "PostgreSQL us", "bare PostgreSQL us", "refused"),
    )
    rows = [
        (
            str(row.links),
            row.acked_per_second.show(0),
            row.bare_per_second.show(0),
            f"{row.of_bare:.2f}",
            _verdict(row.of_bare, LEAST_OF_BARE if judged else None, at_most=False),
            f"{row.ack_ms.p99:.0f}",
            row.bare_p99_ms.show(0),
            f"{row.batch_rows:.0f}",
            row.cpu_us.show(1),
            row.bare_cpu_us.show(1),
            row.postgres_us.show(1),
            row.bare_postgres_us.show(1),
            str(row.refused),
        )
        for row in result.rows
    ]
    return _table(head, rows)


def _scoring(scoring: s3.Scoring, judged: bool) -> str:
    head = ("links", "scored", "not scored", "ratio", "wanted")
    verdict = _verdict(scoring.ratio.median, MOST_SCORED if judged else None, at_most=True)
    row = (str(scoring.links), scoring.on_us.show(1), scoring.off_us.show(1), scoring.ratio.show(), verdict)
    return _table(head, [row])


def _scores(result: score.Result, judged: bool) -> str:
    head = (
        *("text", "length", "p50", "wanted", "p99", "wanted", "CPU p50", "CPU p99"),
        *("SHA-256 p50", "SHA-256 p99", "SHA-256 CPU p50", "times SHA-256", "explain"),
    )
    rows = []
    for row in result.rows:
        middle, worst = MOST_SCORE_US[row.length] if judged else (None, None)
        rows.append(
            (
                row.kind,
                row.length,
                row.ours.p50.show(1),
                _verdict(row.ours.p50.median, middle, at_most=True),
                row.ours.p99.show(1),
                _verdict(row.ours.p99.median, worst, at_most=True),
                row.ours.cpu_p50.show(1),
                row.ours.cpu_p99.show(1),
                row.sha.p50.show(1),
                row.sha.p99.show(1),
                row.sha.cpu_p50.show(1),
                f"{row.times_sha:.1f}",
                f"{row.explain_us:.0f}",
            )
        )
    return _table(head, rows)


def _quic(result: quic.Result, judged: bool) -> str:
    head = ("what", "unit", "Chiron", "bare aioquic", "times less", "wanted", "hypercorn", "p99 ms", "came")
    rows = [
        (
            row.what,
            row.unit,
            row.cpu.show(),
            row.bare.show(),
            f"{row.times:.1f}",
            _verdict(row.times, row.wanted if judged else None, at_most=False),
            "" if row.hypercorn is None else row.hypercorn.show(),
            f"{row.latency_ms.p99:.1f}",
            f"{row.came} of {row.expected}",
        )
        for row in result.rows
    ]
    return _table(head, rows)


def _quic_memory(result: quic.Result, judged: bool) -> str:
    verdict = _verdict(result.kib_per_link, MOST_KIB_QUIC if judged else None, at_most=True)
    head = ("idle WebTransport links", "KiB a link", "bare aioquic", "wanted")
    rows = [(str(result.idle_links), f"{result.kib_per_link:.1f}", f"{result.bare_kib_per_link:.1f}", verdict)]
    return _table(head, rows)


def _verdict(value: float, bound: float | None, *, at_most: bool) -> str:
    if bound is None:
        return ""
    met = value <= bound if at_most else value >= bound
    return f"{'<=' if at_most else '>='} {bound:g}: {'met' if met else 'missed'}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, ["-" * width for width in widths], *rows)
    ]
    return "\n".join(lines)
