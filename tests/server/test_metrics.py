"""What a server tells of itself, and whom it takes for whom behind proxies: a whole worker on the test's own loop."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from database import MigratedDatabase
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from serving import Server
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from chiron.protocols.proxy.frames import SIGNATURE
from chiron.server import app
from chiron.server.config import IdentitySettings, LimitSettings, Settings, WorkerConfig
from chiron.server.metrics import CLOSE_CODES
from chiron.server.platform import keys

SECONDS = 60.0
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "operate.md").read_text()
PROTOCOL = (Path(__file__).resolve().parents[2] / "docs" / "protocol.md").read_text()
ACCOUNT = {"email": "ada@example.org", "password": "correct horse battery", "name": "Ada"}


class House:
    """A worker, a client of it, and one of its metrics."""

    def __init__(self, port: int, metrics: int) -> None:
        self.port, self.metrics = port, metrics
        self.http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=SECONDS)
        self.watch = httpx.AsyncClient(base_url=f"http://127.0.0.1:{metrics}", trust_env=False, timeout=SECONDS)

    async def families(self) -> dict[str, Metric]:
        answer = await self.watch.get("/metrics")
        assert answer.status_code == 200
        return {family.name: family for family in parse_text(answer.text)}

    async def value(self, name: str, **labels: str) -> float:
        """Sum of the samples of this name that have these labels."""
        samples = [sample for family in (await self.families()).values() for sample in family.samples]
        return sum(
            sample.value for sample in samples if sample.name == name and labels.items() <= sample.labels.items()
        )

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(SECONDS):
            while not await condition():
                await asyncio.sleep(0.01)


@asynccontextmanager
async def serving(database: MigratedDatabase, **settings: Any) -> AsyncIterator[House]:
    config = WorkerConfig(
        database=database.dsn,
        keys=keys.generate(),
        tls_chain=b"",
        tls_key=b"",
        settings=Settings(identity=IdentitySettings(verification="off"), **settings),
    )
    server = app.build(config)
    plain, watched = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
    await server.start([(plain, False)], metrics_sockets=[watched])
    house = House(plain.getsockname()[1], watched.getsockname()[1])
    try:
        yield house
    finally:
        await house.http.aclose()
        await house.watch.aclose()
        await server.drain(2.0)
        await server.stop()


# --- where, and in which format --------------------------------------------------------------------------------------


async def test_metrics_are_told_at_their_own_address_and_nothing_else_is(database: MigratedDatabase) -> None:
    async with serving(database) as house:
        assert (await house.http.get("/metrics")).status_code == 404
        for path in ("/", "/livez", "/v1/me", "/metrics/"):
            answer = await house.watch.get(path)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path
        answer = await house.watch.post("/metrics")
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
        answer = await house.watch.head("/metrics")
        assert (answer.status_code, answer.content) == (200, b"")
        assert int(answer.headers["content-length"]) > 1000
        assert answer.headers["cache-control"] == "no-store"


async def test_who_accepts_openmetrics_gets_it(database: MigratedDatabase) -> None:
    async with serving(database) as house:
        answer = await house.watch.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
        assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
        parse: Callable[[str], Iterable[Metric]] = parse_openmetrics
        names = {family.name for family in parse(answer.text)}
        assert {"chiron_build", "chiron_http_request_duration_seconds", "process_cpu_seconds"} <= names
        for accept in ("*/*", "text/plain", "text/html"):
            answer = await house.watch.get("/metrics", headers={"accept": accept})
            assert answer.headers["content-type"].startswith("text/plain; version=")


# --- what ------------------------------------------------------------------------------------------------------------


def documented() -> dict[str, tuple[str, frozenset[str]]]:
    """Of the table: name → (type, labels)."""
    section = PAGE.partition("\n## Metrics\n")[2].partition("\n## ")[0]
    found = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `"):
            found[cells[0].strip("`")] = (cells[1], frozenset(re.findall(r"`(\w+)`", cells[2])))
    return found


def served(families: Iterable[Metric]) -> dict[str, tuple[str, frozenset[str]]]:
    """Counters by the name of their samples, which is the one to ask for."""
    found = {}
    for family in families:
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        info = family.name == "chiron_build_info"
        name = f"{family.name}_total" if family.type == "counter" else family.name
        found[name] = ("info" if info else family.type, frozenset(labels))
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the process cannot be looked at in /proc")
async def test_the_table_of_metrics_is_what_is_told(database: MigratedDatabase) -> None:
    async with serving(database, limits=SOON_LIMITED) as house:
        await limited(house, await busy(house))
        assert served((await house.families()).values()) == documented()


def test_the_codes_that_are_told_apart_are_those_of_the_protocol() -> None:
    closing = PROTOCOL.partition("\n## Closing\n")[2].partition("\n## ")[0]
    codes = {int(code) for code in re.findall(r"^\| (\d{4}) \|", closing, re.MULTILINE)}
    assert codes
    assert codes <= CLOSE_CODES
    assert {code for code in CLOSE_CODES if code >= 3000} == {code for code in codes if code >= 3000}


async def busy(house: House) -> dict[str, Any]:
    """Something of everything that is counted; who did it."""
    session: dict[str, Any] = (await house.http.post("/v1/people", json=ACCOUNT)).json()
    bearer = {"authorization": f"Bearer {session['access_token']}"}
    assert (await house.http.get("/v1/me", headers=bearer)).status_code == 200
    assert (await house.http.get("/v1/me")).status_code == 401
    assert (await house.http.request("BREW", "/v1/me")).status_code == 405
    group = await house.http.post(
        "/v1/conversations", headers=bearer, json={"kind": "group", "title": "G", "people": []}
    )
    assert group.status_code == 201
    url = f"ws://127.0.0.1:{house.port}/v1/realtime"
    async with connect(url, subprotocols=[Subprotocol("chiron.v1.json")], proxy=None) as link:
        await link.send(json.dumps({"op": "connect", "id": 1, "token": session["access_token"]}))
        await link.recv()
        await link.send(json.dumps({"op": "command", "id": 2, "name": "nothing"}))
        await link.recv()
        assert await house.value("chiron_links", transport="plain") == 1
    await house.until(lambda: house.value("chiron_link_closes_total", code="1000"))
    return session


SOON_LIMITED = LimitSettings(person_per_second=0.001, person_burst=20.0)


async def limited(house: House, session: dict[str, Any]) -> None:
    """Ask until it is too much."""
    bearer = {"authorization": f"Bearer {session['access_token']}"}
    async with asyncio.timeout(SECONDS):
        while (await house.http.get("/v1/me", headers=bearer)).status_code != 429:
            pass


async def test_what_happens_is_counted(database: MigratedDatabase) -> None:
    async with serving(database, limits=SOON_LIMITED) as house:
        await limited(house, await busy(house))
        duration = "chiron_http_request_duration_seconds"
        assert await house.value(f"{duration}_count", route="/v1/people", method="POST", status="201") == 1
        assert await house.value(f"{duration}_count", route="/v1/me", method="GET", status="401") == 1
        assert await house.value(f"{duration}_count", method="other", status="405") == 1
        assert await house.value(f"{duration}_count", route="/v1/realtime", status="101") == 1
        assert 0 < await house.value(f"{duration}_sum") < SECONDS
        assert await house.value("chiron_http_errors_total", code="limited") == 1
        assert await house.value("chiron_limiter_denials_total", scope="person") == 1
        assert await house.value("chiron_http_requests_in_flight") == 0
        assert await house.value("chiron_links") == 0
        assert await house.value("chiron_link_errors_total", code="unknown_command") == 1
        assert await house.value("chiron_link_frames_received_total") == 2
        assert await house.value("chiron_link_frames_sent_total") >= 2
        assert await house.value("chiron_commit_batch_units_count") == 1
        assert await house.value("chiron_commit_batch_units_sum") == 1
        assert 0 < await house.value("chiron_commit_duration_seconds_sum") < SECONDS
        assert await house.value("chiron_commit_waiting_units") == 0
        assert (
            1
            <= await house.value("chiron_postgres_connections")
            <= await house.value("chiron_postgres_connections_max")
        )
        assert await house.value("chiron_postgres_acquire_seconds_count") > 3
        assert await house.value("chiron_feed_seconds_count") > 5
        assert await house.value("chiron_received_bytes_total") > 1000
        assert await house.value("chiron_sent_bytes_total") > 1000
        assert await house.value("chiron_build_info") == 1


async def test_histograms_are_cumulative_and_end_with_everything(database: MigratedDatabase) -> None:
    async with serving(database) as house:
        await busy(house)
        await house.until(lambda: house.value("chiron_loop_lag_seconds_count"))
        families = await house.families()
        for family in families.values():
            if family.type != "histogram":
                continue
            series: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = {}
            counts = {}
            for sample in family.samples:
                labels = tuple(sorted((key, value) for key, value in sample.labels.items() if key != "le"))
                if sample.name.endswith("_bucket"):
                    series.setdefault(labels, []).append((float(sample.labels["le"]), sample.value))
                elif sample.name.endswith("_count"):
                    counts[labels] = sample.value
            assert series, family.name
            for labels, buckets in series.items():
                assert [bound for bound, _ in buckets] == sorted({bound for bound, _ in buckets})
                assert [count for _, count in buckets] == sorted(count for _, count in buckets)
                assert buckets[-1] == (float("inf"), counts[labels])


async def test_nobody_can_be_found_in_metrics(database: MigratedDatabase) -> None:
    async with serving(database) as house:
        session = await busy(house)
        await house.http.get(f"/v1/conversations/{session['person']['person']}?token=secret")
        await house.http.get("/made-up-address")
        text = (await house.watch.get("/metrics")).text
        for private in (session["person"]["person"], "ada", "127.0.0.1", "secret", "made-up"):
            assert private not in text.lower(), private


async def test_a_client_cannot_add_series_at_will(database: MigratedDatabase) -> None:
    async with serving(database) as house:
        await busy(house)

        async def series() -> int:
            return sum(len(family.samples) for family in (await house.families()).values())

        for _ in range(2):  # the first round makes the series of what is asked in the second
            before = await series()
            for n in range(30):
                await house.http.request(f"VERB{n}", f"/path/{n}")
        assert await series() == before


# --- health ----------------------------------------------------------------------------------------------------------


async def test_a_database_without_this_versions_migrations_is_not_ready(database: MigratedDatabase) -> None:
    async with serving(database) as house:
        assert (await house.http.get("/readyz")).json() == {"status": "ok", "trouble": {}}

        async def forget(tx: Any) -> None:
            await tx.execute("DELETE FROM schema_migration WHERE name = (SELECT max(name) FROM schema_migration)")

        await database.pool.run(forget)

        async def unready() -> bool:
            answer = await house.http.get("/readyz")
            return answer.status_code == 503 and "has not got" in answer.json()["trouble"]["migrations"]

        await house.until(unready)
        assert (await house.http.get("/livez")).status_code == 200


# --- proxies ---------------------------------------------------------------------------------------------------------

FEW = LimitSettings(address_per_second=0.001, address_burst=3.0)


async def test_behind_a_trusted_proxy_each_client_has_its_own_limit(database: MigratedDatabase) -> None:
    async with serving(database, trusted_proxies=("127.0.0.0/8",), limits=FEW) as house:

        async def ask(headers: dict[str, str]) -> int:
            return (await house.http.get("/v1/jwks", headers=headers)).status_code

        first, second = {"x-forwarded-for": "192.0.2.7"}, {"forwarded": 'for="[2001:db8::1]:8080";proto=https'}
        neighbour = {"x-forwarded-for": "198.51.100.9, 2001:db8::2"}
        limited = [await ask(first) for _ in range(5)]
        assert limited.count(429) >= 2
        assert limited[0] != 429
        assert await ask(second) != 429
        assert [await ask(neighbour) for _ in range(3)][-1] == 429, "one /64 counts as one"


async def test_nobody_else_may_say_who_they_are(database: MigratedDatabase) -> None:
    async with serving(database, trusted_proxies=("192.0.2.0/24",), limits=FEW) as house:
        statuses = [
            (await house.http.get("/v1/jwks", headers={"x-forwarded-for": f"192.0.2.{n}"})).status_code
            for n in range(5)
        ]
        assert statuses[-1] == 429


async def test_behind_the_proxy_protocol_each_client_has_its_own_limit(database: MigratedDatabase) -> None:
    async with serving(database, proxy_protocol=True, limits=FEW) as house:

        async def ask(source: bytes | None) -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
            if source is not None:
                writer.write(SIGNATURE + b"\x21\x11\x00\x0c" + source + bytes([10, 0, 0, 1, 0x9C, 0x40, 0, 80]))
            writer.write(b"GET /v1/jwks HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            try:
                return (await reader.read(-1))[:12]
            except ConnectionError:
                return b""
            finally:
                writer.close()

        first, second = bytes([192, 0, 2, 7]), bytes([192, 0, 2, 8])
        assert [await ask(first) for _ in range(5)][-1] == b"HTTP/1.1 429"
        assert await ask(second) != b"HTTP/1.1 429"
        assert await ask(None) == b""


# --- many servers ----------------------------------------------------------------------------------------------------


async def test_a_server_whose_metrics_address_is_taken_says_so_and_serves(new_server: Callable[[], Server]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = new_server()
        server.settings["CHIRON_METRICS"] = f"127.0.0.1:{port}"
        await server.start()
        assert "Metrics are not served: 127.0.0.1, port" in server.log.read_text()
        await server.stop()
    await server.start()
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"http://127.0.0.1:{port}/metrics")
        assert "chiron_build_info{" in answer.text
        assert server.kill_worker()

        async def served_again() -> bool:
            try:
                return (await http.get(f"http://127.0.0.1:{port}/metrics")).status_code == 200
            except httpx.HTTPError:
                return False

        async with asyncio.timeout(SECONDS):
            while not await served_again():
                await asyncio.sleep(0.02)
