"""What changes while a server runs: its configuration by itself, on a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography import x509

from chiron.errors import SetupError
from chiron.server import admin
from chiron.server.config import LimitSettings, Settings, TlsSettings, WorkerConfig
from chiron.server.edge import certificates
from chiron.server.live import ACCEPTED, LiveConfig, certificates_of, keys_file, load_keys
from chiron.server.platform import keys
from chiron.server.settings.fields import build

BEGIN = datetime(2027, 1, 1, tzinfo=UTC)


@dataclass
class SetClock:
    time: datetime = BEGIN

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()


@dataclass
class Place:
    """A data folder, what its operator says now, and a worker that notes what it is told."""

    settings: Settings
    clock: SetClock = field(default_factory=SetClock)
    said: Callable[[], Settings] = Settings
    told: list[WorkerConfig] = field(default_factory=list)
    on_disk: list[keys.Keys] = field(default_factory=list)
    """The keys that were written when the worker was told."""
    problem: str = ""

    def live(self) -> LiveConfig:
        held = load_keys(self.settings, self.clock)
        bare = WorkerConfig(database="d", keys=held, tls_chain=b"", tls_key=b"", settings=self.settings)
        config = certificates_of(self.settings, self.clock.now()).put_into(bare)
        self.said = lambda: self.settings
        return LiveConfig(config, read_again=lambda: self.said(), tell=self.tell, clock=self.clock)

    async def tell(self, config: WorkerConfig) -> str:
        self.told.append(config)
        self.on_disk.append(keys.load_or_create(keys_file(self.settings)))
        return self.problem

    def say(self, **changes: object) -> None:
        changed = msgspec.structs.replace(self.settings, **changes)
        self.said = lambda: changed


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(Settings(data_dir=tmp_path))


async def test_what_did_not_change_is_not_told(place: Place) -> None:
    live = place.live()
    assert await live.reload() == admin.Reloaded([], [], False)
    await live.refresh()
    assert place.told == []


async def test_a_reload_is_followed_but_for_what_takes_a_restart(place: Place) -> None:
    live = place.live()
    place.say(limits=LimitSettings(person_burst=5.0), port=1)
    assert await live.reload() == admin.Reloaded(["limits.person_burst"], ["port"], False)
    [told] = place.told
    assert (told.settings.limits.person_burst, told.settings.port) == (5.0, 8443)
    assert live.current == told, "the next worker starts with it"
    # Until the restart it is named each time.
    assert await live.reload() == admin.Reloaded([], ["port"], False)


async def test_a_certificate_is_read_again_and_a_bad_one_changes_nothing(place: Place, tmp_path: Path) -> None:
    folder, other = tmp_path / "one", tmp_path / "other"
    certificates.development(folder, BEGIN)
    another = certificates.development(other, BEGIN)
    files = (folder / "leaf.pem", folder / "leaf.key")
    place.settings = build({"data_dir": tmp_path, "tls.certificate": files[0], "tls.key": files[1]})
    live = place.live()
    before = live.current

    files[0].write_bytes(another.chain)  # as in the middle of a copy
    refusal = await live.answer(admin.ReloadRequest())
    assert isinstance(refusal, admin.Refusal)
    assert refusal.exit_status == 78
    assert str(files[0]) in refusal.message
    assert (live.current, place.told) == (before, [])

    files[1].write_bytes(another.key)
    assert await live.answer(admin.ReloadRequest()) == admin.Reloaded([], [], True)
    assert (place.told[0].tls_chain, place.told[0].tls_key) == (another.chain, another.key)


async def test_settings_may_name_another_certificate(place: Place, tmp_path: Path) -> None:
    live = place.live()
    own = certificates.development(tmp_path / "own", BEGIN)
    place.say(tls=TlsSettings(certificate=tmp_path / "own" / "leaf.pem", key=tmp_path / "own" / "leaf.key"))
    assert await live.reload() == admin.Reloaded(["tls.certificate", "tls.key"], [], True)
    assert place.told[0].tls_chain == own.chain


async def test_wrong_settings_are_refused_and_the_old_ones_stay(place: Place) -> None:
    live = place.live()

    def wrong() -> Settings:
        raise SetupError("chiron.toml:1: prot: there is no such setting.")

    place.said = wrong
    assert await live.answer(admin.ReloadRequest()) == admin.Refusal(
        "chiron.toml:1: prot: there is no such setting.", 78
    )
    assert place.told == []
    place.say(log_level="error")
    assert await live.reload() == admin.Reloaded(["log_level"], [], False)


async def test_what_the_worker_does_not_follow_is_refused(place: Place) -> None:
    live = place.live()
    before = live.current
    place.problem = "it is stopping"
    place.say(log_level="error")
    assert await live.answer(admin.ReloadRequest()) == admin.Refusal(
        "The server goes on as before: it is stopping.", 70
    )
    assert live.current == before


async def test_a_rotation_is_on_disk_before_anybody_uses_it(place: Place) -> None:
    live = place.live()
    old = live.current.keys.signing[0].kid
    assert await live.answer(admin.RotateRequest(["signing", "sealing"])) == admin.Rotated(["signing", "sealing"])
    [on_disk] = place.on_disk
    assert on_disk == place.told[0].keys
    assert [key.kid for key in on_disk.signing][1:] == [old]
    assert [key.id for key in on_disk.sealing] == [2, 1]


async def test_a_key_that_cannot_be_written_is_not_used(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    live = place.live()
    before = live.current

    def full(path: Path, held: keys.Keys) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keys, "write", full)
    refusal = await live.answer(admin.RotateRequest(["signing"]))
    assert isinstance(refusal, admin.Refusal)
    assert "No space left on device" in refusal.message
    assert (live.current, place.told) == (before, [])


async def test_keys_change_by_themselves_over_a_year_and_each_change_is_told(place: Place) -> None:
    live = place.live()
    signed: list[str] = []
    while place.clock.time < BEGIN + timedelta(days=365):
        place.clock.time += timedelta(hours=6)
        await live.refresh()
        newest = live.current.keys.signing[0].kid
        if newest not in signed:
            signed.append(newest)
            announced = [config.keys.upcoming.kid for config in place.told if config.keys.upcoming is not None]
            assert len(signed) == 1 or newest in announced, "it was published before it signed"
    assert len(signed) == 5
    assert len(live.current.keys.signing) == 1
    assert place.told[-1] == live.current
    tickets = [config.keys.tickets[0] for config in place.told]
    assert len(set(tickets)) >= 364
    # The development certificate of 90 days was renewed, too.
    assert len({config.tls_chain for config in place.told}) >= 5
    assert load_keys(place.settings, place.clock) == live.current.keys


async def test_the_certificate_of_quic_changes_under_hashes_that_were_told_before(place: Place) -> None:
    live = place.live()
    used = {live.current.quic_chain: place.clock.time}
    while place.clock.time < BEGIN + timedelta(days=90):
        told_before = set(live.current.quic_hashes)
        place.clock.time += timedelta(hours=6)
        await live.refresh()
        now, next_one = live.current.quic_hashes
        leaf = x509.load_pem_x509_certificate(live.current.quic_chain)
        assert now == certificates.fingerprint(leaf)
        assert now in told_before
        assert next_one != now
        if live.current.quic_chain not in used:
            assert place.told[-1] == live.current
            used[live.current.quic_chain] = place.clock.time
    assert len(used) >= 90 / 7


async def test_without_quic_there_is_no_certificate_for_it_and_the_operators_needs_no_hash(
    place: Place, tmp_path: Path
) -> None:
    place.settings = msgspec.structs.replace(place.settings, quic=False)
    assert (place.live().current.quic_chain, place.live().current.quic_hashes) == (b"", [])
    own = certificates.development(tmp_path / "own", BEGIN)
    files = {"certificate": tmp_path / "own" / "leaf.pem", "key": tmp_path / "own" / "leaf.key"}
    place.settings = msgspec.structs.replace(place.settings, quic=True, tls=TlsSettings(**files))
    current = place.live().current
    assert (current.quic_chain, current.quic_key, current.quic_hashes) == (own.chain, own.key, [])
    assert not list(tmp_path.rglob("quic*"))


async def test_what_was_due_while_no_server_ran_is_done_at_the_start(place: Place) -> None:
    first = load_keys(place.settings, place.clock)
    place.clock.time += timedelta(days=2)
    assert load_keys(place.settings, place.clock).tickets[1:] == first.tickets
    place.clock.time += timedelta(days=88)
    upcoming = load_keys(place.settings, place.clock).upcoming
    assert upcoming is not None
    place.clock.time += timedelta(days=2)
    assert [key.kid for key in load_keys(place.settings, place.clock).signing] == [upcoming.kid, first.signing[0].kid]
    place.clock.time += timedelta(seconds=ACCEPTED)
    assert [key.kid for key in load_keys(place.settings, place.clock).signing] == [upcoming.kid]


async def test_changes_come_one_after_the_other(place: Place) -> None:
    live = place.live()
    place.say(log_level="error")
    await asyncio.gather(live.reload(), *(live.rotate(["signing"]) for _ in range(5)), live.refresh())
    assert len(live.current.keys.signing) == 6
    assert live.current.settings.log_level == "error"
    assert live.current == place.told[-1]
