"""Whatever of a request does not fit, the answer names it."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiron.errors import Refused
from chiron.server.gateway.decoding import decode_json, decode_query
from chiron.server.ports import SIGNED_IN, Call, Route


class Window(msgspec.Struct, frozen=True):
    after: Annotated[int, msgspec.Meta(ge=0)] | None = None
    before: Annotated[int, msgspec.Meta(ge=0)] | None = None
    name: str = ""
    whole: bool = False

    def __post_init__(self) -> None:
        if self.after is not None and self.before is not None:
            raise ValueError("Give either after or before")


class Inner(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    count: int


class Outer(msgspec.Struct, frozen=True):
    inner: list[Inner]


async def echo(call: Call) -> Any:
    return call.query or call.body


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("after=x", "after"),
        ("after=-1", "after"),
        ("after=", "after"),
        ("after=1&before=2", "query"),
        ("after=1&after=1", "after"),
        ("name=%00", "name"),
        ("whole=maybe", "whole"),
        ("x" * 500 + "=1&" + "x" * 500 + "=2", "x" * 100),
    ],
)
def test_a_query_that_does_not_fit(query: str, field: str) -> None:
    with pytest.raises(Refused) as caught:
        decode_query(f"/x?{query}", Window)
    assert (caught.value.code, caught.value.params["field"]) == ("invalid", field)
    assert caught.value.params["reason"]


@pytest.mark.parametrize("query", ["name=%ff", "&".join(f"n{n}=1" for n in range(101))])
def test_a_query_that_cannot_be_read(query: str) -> None:
    with pytest.raises(Refused) as caught:
        decode_query(f"/x?{query}", Window)
    assert caught.value.code == "bad_request"


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "after": st.integers(0, 2**53 - 1),
            "name": st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
            "whole": st.booleans(),
        },
    ),
    st.dictionaries(st.sampled_from(["utm_source", "_", "Name"]), st.text("abc")),
)
def test_what_fits_is_meant_so_and_unknown_names_are_ignored(wanted: dict[str, Any], more: dict[str, str]) -> None:
    text = {name: str(value).lower() if value in (True, False) else str(value) for name, value in wanted.items()}
    if "name" in wanted:
        text["name"] = wanted["name"]
    assert decode_query(f"/x?{urlencode({**text, **more})}", Window) == Window(**wanted)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"[]", "params"),
        (b"null", "params"),
        (b"{}", "inner"),
        (b'{"inner": [{"count": 1}, {"count": "1"}]}', "inner[1].count"),
        (b'{"inner": [{"count": 1, "more": 2}]}', "inner[0].more"),
        (b'{"inner": [{}]}', "inner[0].count"),
    ],
)
def test_params_of_a_command_are_named_as_such(body: bytes, field: str) -> None:
    with pytest.raises(Refused) as caught:
        decode_json(body, Outer, whole="params")
    assert (caught.value.code, caught.value.params["field"]) == ("invalid", field)


async def test_a_coded_body_is_not_taken_for_json(house: Any) -> None:
    built = house([Route("POST", "/x", echo, SIGNED_IN, body=Inner)])
    for coding, status in (("gzip", 415), ("identity", 200), ("Identity", 200)):
        headers = {"content-encoding": coding}
        answer = await built.ask("POST", "/x", token="ada", json={"count": 1}, headers=headers)
        assert answer.status == status
        if status == 415:
            assert answer.code == "unsupported"


async def test_a_place_that_does_not_fit_is_another_address(house: Any) -> None:
    built = house([Route("GET", "/x/{n:int}", echo, SIGNED_IN)])
    answer = await built.ask("GET", "/x/one", token="ada")
    assert (answer.status, answer.code, answer.json["params"]["what"]) == (404, "not_found", "address")
