from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
