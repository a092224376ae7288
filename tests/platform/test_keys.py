from __future__ import annotations

import base64
import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiron._core import Signer
from chiron.errors import SetupError
from chiron.server.platform import keys


def test_the_first_start_makes_keys_that_the_next_finds(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    made = keys.load_or_create(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert keys.load_or_create(file) == made
    assert list(tmp_path.iterdir()) == [file]


def test_keys_that_others_may_read_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    keys.load_or_create(file)
    file.chmod(0o640)
    with pytest.raises(SetupError, match="chmod 600"):
        keys.load_or_create(file)


def test_a_damaged_file_is_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.touch(mode=0o600)
    file.write_text('{"signing": [')
    with pytest.raises(SetupError, match="cannot be read"):
        keys.load_or_create(file)
    assert file.read_text() == '{"signing": ['


def test_keys_do_not_show_in_a_traceback_or_log() -> None:
    made = keys.generate()
    assert repr(made.cursor)[2:-1] not in repr(made)
    assert "seed" not in repr(made)


@given(st.binary(max_size=200), st.binary(max_size=40))
def test_what_was_sealed_opens(plaintext: bytes, context: bytes) -> None:
    sealer = keys.Sealer(keys.generate().sealing)
    assert sealer.open(sealer.seal(plaintext, context), context) == plaintext


def test_a_value_that_was_moved_or_changed_does_not_open() -> None:
    sealer = keys.Sealer(keys.generate().sealing)
    sealed = sealer.seal(b"secret", b"row 1")
    with pytest.raises(ValueError, match="changed or moved"):
        sealer.open(sealed, b"row 2")
    for place in range(1, len(sealed)):
        with pytest.raises(ValueError, match="changed or moved"):
            sealer.open(sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :], b"row 1")
    for end in range(len(sealed)):
        with pytest.raises(ValueError):
            sealer.open(sealed[:end], b"row 1")


def test_an_older_key_still_opens_and_the_newest_seals() -> None:
    old = keys.SealingKey(1, b"a" * 32)
    sealed = keys.Sealer([old]).seal(b"secret", b"")
    rotated = keys.Sealer([keys.SealingKey(2, b"b" * 32), old])
    assert rotated.open(sealed, b"") == b"secret"
    assert rotated.seal(b"secret", b"")[0] == 2
    with pytest.raises(ValueError, match="gone"):
        keys.Sealer([keys.SealingKey(2, b"b" * 32)]).open(sealed, b"")


# --- how keys change --------------------------------------------------------------------------------------------------

ACCEPTED = 660.0
BEGIN = 1_900_000_000.0


def kids(held: keys.Keys) -> list[str]:
    return [key.kid for key in held.signing]


def test_a_signing_key_is_published_before_it_signs_and_leaves_when_its_tokens_have_expired() -> None:
    first = keys.generate(BEGIN)
    due = BEGIN + keys.SIGNING_LIFE
    day_before = keys.rotated(first, due - keys.PUBLISHED_BEFORE, ACCEPTED)
    assert (kids(day_before), day_before.upcoming is not None) == (kids(first), True)
    assert day_before.upcoming is not None
    upcoming = day_before.upcoming.kid

    turn = keys.rotated(day_before, due, ACCEPTED)
    assert (kids(turn), turn.upcoming) == ([upcoming, *kids(first)], None)
    assert kids(keys.rotated(turn, due + ACCEPTED - 1, ACCEPTED)) == [upcoming, *kids(first)]
    assert kids(keys.rotated(turn, due + ACCEPTED, ACCEPTED)) == [upcoming]


def test_a_server_that_was_off_for_a_year_publishes_first_and_then_signs() -> None:
    late = BEGIN + 365 * keys.DAY
    woken = keys.rotated(keys.generate(BEGIN), late, ACCEPTED)
    assert woken.upcoming is not None
    assert woken.upcoming.since == late + keys.PUBLISHED_BEFORE
    much_later = late + 30 * keys.DAY
    turn = keys.rotated(woken, much_later, ACCEPTED)
    # The old key signed until now, whatever the plan was.
    assert len(keys.rotated(turn, much_later + ACCEPTED - 1, ACCEPTED).signing) == 2


def test_ticket_keys_change_daily_and_two_are_accepted() -> None:
    held = keys.generate(BEGIN)
    assert keys.rotated(held, BEGIN + keys.DAY - 1, ACCEPTED).tickets == held.tickets
    second = keys.rotated(held, BEGIN + keys.DAY, ACCEPTED)
    assert second.tickets[1:] == held.tickets
    third = keys.rotated(second, BEGIN + 2 * keys.DAY, ACCEPTED)
    assert third.tickets[1:] == second.tickets[:1]


def test_what_is_told_to_change_changes_at_once_and_nothing_else() -> None:
    first = keys.rotated(keys.generate(BEGIN), BEGIN + keys.SIGNING_LIFE - 1, ACCEPTED)
    assert first.upcoming is not None
    now = BEGIN + keys.SIGNING_LIFE
    changed = keys.replaced(first, ["signing"], now)
    assert kids(changed)[1:] == kids(first)
    assert changed.upcoming is None, "who lost the file lost the next key too"
    assert first.upcoming.kid not in kids(changed)
    assert (changed.sealing, changed.tickets) == (first.sealing, first.tickets)
    sealing = keys.replaced(first, ["sealing"], now).sealing
    assert [key.id for key in sealing] == [2, 1]
    assert len(keys.rotated(keys.replaced(first, ["sealing"], now), now + 900 * keys.DAY, ACCEPTED).sealing) == 2


def test_sealing_keys_end_with_their_ids() -> None:
    held = keys.generate(BEGIN)
    for _ in range(keys.SEALING_KEYS - 1):
        held = keys.replaced(held, ["sealing"], BEGIN)
    oldest = keys.Sealer(held.sealing[-1:]).seal(b"secret", b"")
    assert keys.Sealer(held.sealing).open(oldest, b"") == b"secret"
    with pytest.raises(SetupError, match="255 sealing keys"):
        keys.replaced(held, ["sealing"], BEGIN)


def test_keys_of_earlier_versions_count_from_when_they_are_found(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    made = keys.generate()
    old = {
        "signing": [{"kid": key.kid, "seed": base64.b64encode(key.seed).decode()} for key in made.signing],
        "sealing": [{"id": key.id, "key": base64.b64encode(key.key).decode()} for key in made.sealing],
        "tickets": [base64.b64encode(key).decode() for key in made.tickets],
        "cursor": base64.b64encode(made.cursor).decode(),
    }
    file.touch(mode=0o600)
    file.write_text(json.dumps(old))
    found = keys.rotated(keys.load_or_create(file), BEGIN, ACCEPTED)
    assert (kids(found), found.tickets, found.upcoming) == (kids(made), made.tickets, None)
    assert found.signing[0].since == BEGIN
    assert len(found.quic) == 32
    assert keys.rotated(found, BEGIN + 200 * keys.DAY, ACCEPTED).quic == found.quic
    keys.write(file, found)
    assert keys.load_or_create(file) == found


def test_a_file_without_a_key_of_each_kind_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    keys.write(file, msgspec.structs.replace(keys.generate(), signing=[]))
    with pytest.raises(SetupError, match="lacks"):
        keys.load_or_create(file)


@given(st.lists(st.floats(0, 200 * keys.DAY), max_size=20), st.booleans())
def test_at_any_times_somebody_signs_and_no_token_dies_before_it_expires(steps: list[float], back: bool) -> None:
    held = keys.generate(BEGIN)
    now = BEGIN
    signed: dict[str, float] = {}
    for step in steps:
        signed[held.signing[0].kid] = now  # the newest token of the key that signs
        now += step
        held = keys.rotated(held, now, ACCEPTED)
        assert keys.rotated(held, now, ACCEPTED) == held
        accepted = set(kids(held))
        assert all(kid in accepted or last + ACCEPTED <= now for kid, last in signed.items())
        assert held.signing[0].since <= now
        assert 1 <= len(held.tickets) <= keys.TICKET_KEYS
    if back and steps:  # a clock that was wrong and is set right stops nothing
        now = BEGIN - 400 * keys.DAY
        for _ in range(3):
            before = kids(held)
            held = keys.rotated(held, now, ACCEPTED)
            now += keys.SIGNING_LIFE
        assert kids(held) != before or held.upcoming is not None


def test_who_holds_the_ring_follows_it() -> None:
    first = keys.generate(BEGIN)
    ring = keys.KeyRing(first, Signer)
    sign, sealer, public_keys = ring.sign, ring.sealer, ring.public_keys
    old, sealed = sign(b"{}"), sealer.seal(b"secret", b"")
    second = keys.replaced(first, keys.PURPOSES, BEGIN + 1)
    ring.replace(second)
    assert [kid for kid, _ in public_keys()] == kids(second)
    assert sign(b"{}").split(".")[0] != old.split(".")[0]
    assert sealer.open(sealed, b"") == b"secret"
    assert sealer.seal(b"secret", b"")[0] == 2
    upcoming = keys.rotated(second, BEGIN + keys.SIGNING_LIFE, ACCEPTED)
    assert upcoming.upcoming is not None
    ring.replace(upcoming)
    assert [kid for kid, _ in public_keys()] == [*kids(upcoming), upcoming.upcoming.kid]
