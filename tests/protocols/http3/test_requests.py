"""Requests and responses, both halves of HTTP/3 against each other."""

from __future__ import annotations

from http3_pair import Pair

from chiron.protocols.http3 import BodyReceived, RequestReceived, ResponseReceived


def test_a_get_and_its_answer() -> None:
    pair = Pair()
    stream = pair.client.request("GET", "https", "chiron.test", "/a?b=1", [("x-y", "z")])
    (request,) = pair.served()
    assert request == RequestReceived(
        stream, "GET", "https", "chiron.test", "/a?b=1", None, [("x-y", "z")], True, False
    )
    assert pair.server.respond(stream, 200, [("content-type", "text/plain")], b"hello")
    assert pair.server.requests == 0
    pair.client_told.clear()
    assert pair.answered() == [
        ResponseReceived(stream, 200, [("content-type", "text/plain"), ("content-length", "5")], False),
        BodyReceived(stream, b"hello", True),
    ]
    assert pair.client.requests == 0
