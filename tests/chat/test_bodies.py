from __future__ import annotations

import contextlib
import json
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chiron._core import Hub, Publish
from chiron.errors import Refused
from chiron.server.chat import bodies

REF = UUID("0193f0a0-0000-7000-8000-000000000001")


def refusal(kind: str, body: bytes) -> tuple[str, dict[str, object]]:
    with pytest.raises(Refused) as caught:
        bodies.canonical(kind, body)
    return caught.value.code, caught.value.params


def test_unknown_members_are_dropped_and_spelling_does_not_matter() -> None:
    plain = bodies.canonical("text", b'{"text":"h\xc3\xa9"}')
    assert bodies.canonical("text", b' {"later": [1, {}], "text" : "h\\u00e9" } ') == plain
    assert json.loads(plain) == {"text": "hé"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"text":""}', "text"),
        (b'{"text":"a\\u0000b"}', "text"),
        (b'{"text":1}', "body"),
        (b"{}", "body"),
        (b"[]", "body"),
        (b"", "body"),
        (b'{"text":"\\ud800"}', "body"),
        (b'{"text":"\\udc00x"}', "body"),
        (b'{"text":"\xed\xa0\x80"}', "body"),
        (b'{"text":"\xff"}', "body"),
        (b'{"x":' + b"[" * 200_000, "body"),
        (b'{"text":"a"}}', "body"),
    ],
)
def test_what_is_no_text_is_refused_with_its_field(body: bytes, field: str) -> None:
    code, params = refusal("text", body)
    assert (code, params["field"]) == ("invalid", field)


def test_length_is_counted_in_bytes_of_utf_8() -> None:
    bodies.canonical("text", json.dumps({"text": "é" * 8192}).encode())
    assert refusal("text", json.dumps({"text": "é" * 8192 + "x"}).encode()) == ("too_large", {"limit": 16_384})


@pytest.mark.parametrize("kind", ["member.added", "membership.added", "", "TEXT"])
def test_clients_publish_text_alone(kind: str) -> None:
    code, params = refusal(kind, b'{"text":"a"}')
    assert (code, params["field"]) == ("invalid", "kind")


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=200))
def test_every_text_survives(text: str) -> None:
    assert json.loads(bodies.canonical("text", json.dumps({"text": text}).encode())) == {"text": text}


@given(st.binary(max_size=60))
def test_any_bytes_are_either_text_or_refused(body: bytes) -> None:
    with contextlib.suppress(Refused):
        assert bodies.canonical("text", body).startswith(b'{"text":')


def test_the_digest_tells_kind_ref_and_body_apart() -> None:
    digests = [
        bodies.digest("text", None, b"a"),
        bodies.digest("text", REF, b"a"),
        bodies.digest("text", None, b"b"),
        bodies.digest("other", None, b"a"),
    ]
    assert len(set(digests)) == 4
    assert bodies.digest("text", REF, b"a") == digests[1]


@pytest.mark.parametrize("client_id", ["01JDZZZZZZZZZZZZZZZZZZZZZZ", "0" * 26, "01jdzzzzzzzzzzzzzzzzzzzzzz"])
def test_a_ulid_in_either_case_is_a_client_id(client_id: str) -> None:
    assert bodies.checked_client_id(client_id) == client_id.upper()


@given(st.text("0789aAzZ", min_size=26, max_size=26) | st.text("07890aAoOiIlLuUzZ\n", max_size=27))
@example("81JD3K8Q4ZV5W6X7Y8Z9ABCDEF")
def test_rest_and_links_take_the_same_client_ids(client_id: str) -> None:
    """The author's second try may come by the other way."""
    hub = Hub(bytearray(1 << 16))
    link = hub.open_link(0.0)
    connect, publish = (
        json.dumps(frame).encode()
        for frame in (
            {"op": "connect", "id": 1, "token": "t"},
            {"op": "publish", "id": 2, "channel": "conv:1", "client_id": client_id, "n": 1, "kind": "text", "body": {}},
        )
    )
    for record in (connect, publish):
        hub.feed_link(link, (len(record) | 1 << 14).to_bytes(2, "big") + record, 0.0)
    (event,) = hub.bind(link, "ada", 0.0, rate=1.0, burst=1.0)
    if isinstance(event, Publish):
        assert bodies.checked_client_id(client_id) == event.client_id
    else:
        with pytest.raises(Refused):
            bodies.checked_client_id(client_id)


@pytest.mark.parametrize("client_id", ["", "0" * 25, "0" * 27, "8" + "0" * 25, "0" * 26 + "\n", "I" * 26, "é" * 26])
def test_what_is_no_ulid_is_refused(client_id: str) -> None:
    with pytest.raises(Refused, match="client_id"):
        bodies.checked_client_id(client_id)
