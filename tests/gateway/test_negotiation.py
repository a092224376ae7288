"""Which content coding is sent for which wish."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiron.server.gateway.negotiation import coding, parse_accept_encoding
from chiron.server.ports import Request


def chosen(*values: str, offered: tuple[str, ...] = ("gzip",)) -> str:
    return coding(Request("GET", "/", [("accept-encoding", value) for value in values], b"", "192.0.2.1"), offered)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("gzip", "gzip"),
        ("GZip", "gzip"),
        ("x-gzip", "gzip"),
        ("gzip, deflate, br, zstd", "gzip"),
        ("gzip;q=0.1", "gzip"),
        ("gzip ; Q=1.000", "gzip"),
        ("*", "gzip"),
        ("br, *;q=0.1", "gzip"),
        ("identity;q=0.5, gzip;q=0.5", "gzip"),
        ("identity;q=0, *", "gzip"),
        ("", "identity"),
        ("br", "identity"),
        ("gzip;q=0", "identity"),
        ("gzip;q=0.000, *", "identity"),
        ("*;q=0", "identity"),
        ("identity, gzip;q=0.9", "identity"),
        ("identity;q=0", "identity"),
        ("gzip;q=2", "identity"),
        ("gzip;q=0.1234", "identity"),
        ("gzip;q=", "identity"),
        ("gzip;level=9", "identity"),
        ("not gzip", "identity"),
        ("gzip;q=0, gzip", "identity"),
    ],
)
def test_rfc9110_12_5_3_accept_encoding(value: str, expected: str) -> None:
    assert chosen(value) == expected


def test_without_the_field_nothing_is_coded() -> None:
    assert chosen() == "identity"


def test_several_fields_are_one_list() -> None:
    assert chosen("br", "gzip") == "gzip"
    assert chosen("gzip;q=0", "*") == "identity"


def test_of_several_codings_the_heaviest_and_then_our_favourite() -> None:
    assert chosen("gzip, br;q=0.5", offered=("br", "gzip")) == "gzip"
    assert chosen("gzip, br", offered=("br", "gzip")) == "br"


WEIGHT = st.integers(0, 1000).map(lambda thousandths: thousandths / 1000)
NAMES = st.sampled_from(["gzip", "br", "identity", "*", "deflate"])


@given(st.dictionaries(NAMES, WEIGHT), st.lists(st.sampled_from([" ", "\t", ""]), min_size=4, max_size=4))
def test_every_list_of_the_grammar_is_read(weights: dict[str, float], blanks: list[str]) -> None:
    a, b, c, d = blanks
    value = ",".join(f"{a}{name}{b};{c}q={weight:.3f}{d}" for name, weight in weights.items())
    assert parse_accept_encoding(value) == weights


@given(st.text(alphabet=st.characters(max_codepoint=255), max_size=60))
def test_whatever_a_client_writes_is_answered_with_something_it_has_not_refused(value: str) -> None:
    weights = parse_accept_encoding(value)
    assert all(0 <= weight <= 1 and not math.isnan(weight) for weight in weights.values())
    if chosen(value) == "gzip":
        assert weights.get("gzip", weights.get("*", 0.0)) > 0
