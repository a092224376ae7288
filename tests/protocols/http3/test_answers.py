"""What responses are written as, read by another decoder."""

from __future__ import annotations

import re

import pylsqpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chiron.protocols.http3 import LocalProtocolError, fields
from chiron.protocols.http3.errors import Malformed
from chiron.protocols.http3.heads import answer
from chiron.protocols.http3.limits import Limits
from chiron.protocols.quic import varint

TOKEN = st.text("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=300)
KNOWN = st.sampled_from(
    ["content-type", "date", "x-request-id", "etag", "location", "set-cookie", "vary", "x-frame-options", "age"]
)
VALUE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=700)
HEADERS = st.lists(
    st.tuples(st.one_of(KNOWN, TOKEN.filter(lambda name: name not in fields.CONNECTION_SPECIFIC)), VALUE)
)
VALID = re.compile(rb"(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?")


def decoded(answer: bytes) -> tuple[list[tuple[str, str]], bytes]:
    """Fields and content, by a decoder that allows no dynamic table, so that a reference into it is an error."""
    frames: list[tuple[int, bytes]] = []
    at = 0
    while at < len(answer):
        kind, begin = varint.decode(answer, at) or (0, 0)
        length, begin = varint.decode(answer, begin) or (0, 0)
        at = begin + length
        frames.append((kind, answer[begin:at]))
    assert at == len(answer)
    assert [kind for kind, _ in frames] == [1, 0][: len(frames)]
    instructions, headers = pylsqpack.Decoder(0, 0).feed_header(0, frames[0][1])
    assert not instructions
    fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
    return fields, b"".join(data for _, data in frames[1:])


def head(status: int, headers: list[tuple[str, str]], length: int | None = None) -> list[tuple[str, str]]:
    fields, content = decoded(answer(status, headers, length, b""))
    assert not content
    return fields


@given(st.integers(200, 599), HEADERS, st.one_of(st.none(), st.integers(0, 1 << 40)), st.binary())
@example(204, [("x-frame-options", "DENY"), ("date", ""), ("age", "0"), ("vary", "origin"), ("vary", "a")], None, b"")
@example(200, [("x-request-id", "v" * 126)], 0, b"")
@example(200, [("x-request-id", "v" * 127), ("etag", "v" * 254), ("etag", "v" * 255), ("etag", "v" * 16511)], 0, b"x")
@example(200, [], 1 << 14, b"x" * (1 << 14))
def test_rfc9204_4_5_an_answer_says_the_fields_in_order_and_the_content(
    status: int, headers: list[tuple[str, str]], length: int | None, content: bytes
) -> None:
    told = [(":status", str(status)), *headers]
    if length is not None and all(name != "content-length" for name, _ in headers):
        told.append(("content-length", str(length)))
    for _ in range(2):  # the second time from what was kept
        assert decoded(answer(status, headers, length, content)) == (told, content)


def test_a_head_is_the_same_bytes_whatever_was_sent_before() -> None:
    headers = [("content-type", "application/json"), ("x-request-id", "r-1"), ("server", "s" * 40)]
    first = answer(200, headers, 5, b"")
    for number in range(3_000):  # more than is kept
        head(200, [("x-number", str(number))])
    assert answer(200, headers, 5, b"") == first


def test_rfc9110_8_6_a_given_content_length_stays_the_only_one() -> None:
    assert head(200, [("content-length", "9")], 5) == [(":status", "200"), ("content-length", "9")]


def test_rfc9114_4_2_fields_of_a_connection_are_left_out() -> None:
    headers = [(name, "x") for name in sorted(fields.CONNECTION_SPECIFIC)]
    for _ in range(2):
        assert head(200, [*headers, ("Age", "1")]) == [(":status", "200"), ("age", "1")]


@pytest.mark.parametrize(
    "field", [("a b", "x"), (":status", "200"), ("ä", "x"), ("x", "a\nb"), ("x", "\0"), ("x", "☃")]
)
def test_rfc9114_4_2_what_would_break_a_message_is_not_sent(field: tuple[str, str]) -> None:
    for _ in range(2):
        with pytest.raises(LocalProtocolError):
            head(200, [field])


@given(st.binary(max_size=40), st.sampled_from([b"x-some", b"authorization"]))
@example(b"a b", b"x-some")
@example(b" a", b"x-some")
@example(b"a\t", b"x-some")
@example(b"\x7f", b"x-some")
@example(b"a\x80", b"x-some")
def test_rfc9110_5_5_a_received_value_is_taken_when_the_grammar_allows_it(value: bytes, name: bytes) -> None:
    raw = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"a"), (b":path", b"/"), (name, value)]
    if VALID.fullmatch(value):
        assert fields.request(raw, Limits()).headers[1:] == [(name.decode(), value.decode("latin-1"))]
    else:
        with pytest.raises(Malformed):
            fields.request(raw, Limits())
