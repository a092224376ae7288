"""For whom a request is made, and who may say so."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from chiron.server.gateway.proxies import Proxies

PEER = "10.0.0.1"
OURS = ["10.0.0.0/8", "127.0.0.1", "2001:db8:1::/48", "::1"]
CLIENT = "192.0.2.7"


def seen(*headers: tuple[str, str], peer: str = PEER, trusted: list[str] = OURS) -> tuple[str, str]:
    proxies = Proxies(trusted)
    assert proxies.trusts(peer)
    return proxies.client(peer, "http", headers)


def forwarded(*values: str) -> str:
    return seen(*(("forwarded", value) for value in values))[0]


def x_forwarded(*values: str) -> str:
    return seen(*(("x-forwarded-for", value) for value in values))[0]


def test_networks_are_of_both_families_and_addresses_as_sockets_write_them() -> None:
    proxies = Proxies(OURS)
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "127.0.0.1", "2001:db8:1::9", "::1"):
        assert proxies.trusts(address), address
    for address in ("11.1.2.3", "127.0.0.2", "2001:db8:2::9", "::ffff:192.0.2.1", "", "a name"):
        assert not proxies.trusts(address), address


def test_nobody_is_trusted_by_default_and_then_anybody_may_announce() -> None:
    proxies = Proxies([])
    assert not proxies.trusts(PEER)
    assert proxies.may_announce(PEER)
    assert not Proxies(OURS).may_announce(CLIENT)
    assert Proxies(OURS).may_announce(PEER)


def test_a_network_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError):
        Proxies(["10.0.0.1/8"])


# --- Forwarded -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("for=192.0.2.7", CLIENT),
        ('For="192.0.2.7:47011"', CLIENT),
        ('for="192.0.2.7:_port"', CLIENT),
        ('for="[2001:db8:cafe::17]:4711"', "2001:db8:cafe::17"),
        ('For="[2001:DB8:CAFE:0::17]"', "2001:db8:cafe::17"),
        ("for=192.0.2.7;proto=http;by=203.0.113.43", CLIENT),
        ("for=192.0.2.7; proto=http ;by=203.0.113.43", CLIENT),
        (', , for=192.0.2.7;host="a,b;for=203.0.113.9"', CLIENT),
        (r'for="\1\92.0.2.7"', CLIENT),
        ("for=unknown", PEER),
        ("for=_SEVKISEK", PEER),
        ('for="_gazonk:_1"', PEER),
        ("proto=https", PEER),
    ],
)
def test_rfc7239_4_and_6_an_element_names_the_client_or_nobody(value: str, address: str) -> None:
    with capture_logs() as lines:
        assert forwarded(value) == address
    assert lines == []


def test_rfc7239_7_1_the_walk_ends_at_the_first_stranger_from_the_right() -> None:
    assert forwarded("for=203.0.113.1, for=192.0.2.7, for=10.0.0.3") == CLIENT
    assert forwarded("for=203.0.113.1", "for=192.0.2.7", "for=10.0.0.3, for=10.0.0.2") == CLIENT
    assert forwarded("for=10.0.0.4, for=10.0.0.3") == "10.0.0.4"
    assert forwarded("for=192.0.2.7, for=unknown, for=10.0.0.3") == "10.0.0.3"


def test_rfc7239_5_4_the_scheme_is_that_of_the_clients_connection() -> None:
    assert seen(("forwarded", "for=192.0.2.7;proto=https, for=10.0.0.3;proto=http")) == (CLIENT, "https")
    assert seen(("forwarded", "for=203.0.113.1;proto=https, for=192.0.2.7;proto=http")) == (CLIENT, "http")
    assert seen(("forwarded", "for=_hidden;proto=HTTPS")) == (PEER, "https")
    assert seen(("forwarded", "for=192.0.2.7")) == (CLIENT, "http")


@pytest.mark.parametrize(
    "value",
    [
        "for=",
        "192.0.2.7",
        "for = 192.0.2.7",
        "for=192.0.2.7:47011",
        "for=[2001:db8::1]",
        'for="[2001:db8::1"',
        'for="[2001:db8::1%eth0]"',
        'for="192.0.2.7:123456"',
        "for=192.0.2.256",
        'for="unclosed',
        "for=192.0.2.7;for=192.0.2.8",
        "for=192.0.2.7;proto=gopher",
        "for=nobody",
        'for=""',
        "for=192.0.2.7 proto=http",
    ],
)
def test_rfc7239_4_what_is_malformed_is_not_believed_and_said_once(value: str) -> None:
    with capture_logs() as lines:
        assert seen(("forwarded", value), ("user-agent", "x")) == (PEER, "http")
    (line,) = lines
    assert (line["log_level"], line["peer"]) == ("warning", PEER)


def test_what_a_stranger_wrote_further_left_is_not_even_read() -> None:
    with capture_logs() as lines:
        assert forwarded('for="unclosed', "for=192.0.2.7") == CLIENT
        assert x_forwarded("<script>, 192.0.2.7, 10.0.0.3") == CLIENT
    assert lines == []


# --- X-Forwarded-… ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("192.0.2.7", CLIENT),
        ("203.0.113.1, 192.0.2.7,10.0.0.3", CLIENT),
        ("192.0.2.7:47011", CLIENT),
        ("2001:db8:cafe::17", "2001:db8:cafe::17"),
        ("[2001:db8:cafe::17]", "2001:db8:cafe::17"),
        ("[2001:db8:cafe::17]:4711", "2001:db8:cafe::17"),
        ("192.0.2.9, 2001:db8:1::5", "192.0.2.9"),
        ("::ffff:192.0.2.7", CLIENT),
        ("unknown", PEER),
        ("192.0.2.7, unknown", PEER),
        ("10.0.0.9", "10.0.0.9"),
        ("", PEER),
        (",", PEER),
    ],
)
def test_x_forwarded_for_is_walked_the_same_way(value: str, address: str) -> None:
    assert x_forwarded(value) == address


def test_x_forwarded_proto_speaks_of_the_client_or_of_each_hop() -> None:
    of = ("x-forwarded-for", "203.0.113.1, 192.0.2.7, 10.0.0.3")
    assert seen(of, ("x-forwarded-proto", "https")) == (CLIENT, "https")
    assert seen(of, ("x-forwarded-proto", "wss")) == (CLIENT, "https")
    assert seen(of, ("x-forwarded-proto", "http, https, http")) == (CLIENT, "https")
    assert seen(of, ("x-forwarded-proto", "http, https")) == (CLIENT, "https")
    assert seen(("x-forwarded-proto", "https")) == (PEER, "https")
    assert seen(of, ("x-forwarded-proto", "gopher")) == (PEER, "http")


@pytest.mark.parametrize("value", ["192.0.2", "a.example", "192.0.2.7 192.0.2.8", "fe80::1%eth0", "[", "1.2.3.4:"])
def test_a_malformed_address_is_not_believed(value: str) -> None:
    with capture_logs() as lines:
        assert x_forwarded(value) == PEER
    assert len(lines) == 1


def test_a_kind_of_field_that_the_proxy_only_hands_on_deceives_nobody() -> None:
    made_up, written = ("forwarded", "for=203.0.113.1"), ("x-forwarded-for", CLIENT)
    assert seen(made_up, written) == (PEER, "http")
    assert seen(("forwarded", "for=192.0.2.7;proto=https"), written) == (PEER, "http")
    assert seen(("forwarded", "for=192.0.2.7"), written) == (CLIENT, "http")


# --- properties ------------------------------------------------------------------------------------------------------

ADDRESSES = st.ip_addresses().map(str)


@given(st.lists(ADDRESSES, max_size=5), st.text('abc123.:,;="[]\\ _-', max_size=30), st.integers(0, 1 << 30))
def test_a_client_cannot_be_taken_for_somebody_else(trail: list[str], made_up: str, seed: int) -> None:
    """Whatever the client sends, a proxy of ours adds the client's address on the right: only that, or the proxy's
    own, may come out of it."""
    rng = random.Random(seed)
    claims = ", ".join([*trail, made_up]) if rng.random() < 0.5 else made_up
    own = [("x-forwarded-for", f"{claims}, {CLIENT}")] if rng.random() < 0.5 else [
        ("x-forwarded-for", claims), ("x-forwarded-for", CLIENT)
    ]  # fmt: skip
    assert seen(*own)[0] == CLIENT
    appended = [("forwarded", f"{claims}, for={CLIENT}")]
    assert seen(*appended)[0] in (CLIENT, PEER)
    assert seen(("forwarded", claims), ("forwarded", f"for={CLIENT}"))[0] == CLIENT
    assert seen(("forwarded", claims), *own)[0] in (CLIENT, PEER)


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=20))
def test_nothing_raises(one: str, two: str, three: str) -> None:
    address, scheme = seen(("forwarded", one), ("x-forwarded-for", two), ("x-forwarded-proto", three))
    assert address
    assert scheme in ("http", "https")
