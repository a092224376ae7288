"""The document that the gateway makes of routes, whoever wrote them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
import schemathesis

from chiron.errors import CODES
from chiron.server.gateway import Pages, openapi
from chiron.server.ports import ANYONE, SIGNED_IN, VERIFIED, Call, Route, Rule


class Basket(msgspec.Struct, rename={"best_before": "bestBefore"}):
    """What somebody picked."""

    apples: Annotated[int, msgspec.Meta(ge=0, le=9)]
    """How many; the rotten ones
    do not count."""
    best_before: int | None = None
    """Day of the year."""
    plain: str = ""


class Ripe(Basket):
    """A basket for today."""

    colour: str = "red"
    """As it looks from outside."""


class Orchard(msgspec.Struct):
    baskets: list[Ripe]
    by_name: dict[str, Basket | None]


class Picking(msgspec.Struct):
    tree: str
    """Which tree."""
    since: int | None = None
    most: Annotated[int, msgspec.Meta(ge=1, le=5)] = 3


async def answer(_call: Call) -> None: ...


def route(method: str = "GET", path: str = "/v1/baskets", rule: Rule = SIGNED_IN, **more: Any) -> Route:
    return Route(method, path, answer, rule, **more)


def described(*routes: Route) -> dict[str, Any]:
    return openapi.describe(routes, "1.2.3")


def operation(route: Route) -> dict[str, Any]:
    (methods,) = (methods for path, methods in described(route)["paths"].items() if path != "/v1/realtime")
    (found,) = methods.values()
    assert isinstance(found, dict)
    return found


def test_it_is_openapi_3_1() -> None:
    document = described(
        route("GET", "/v1/orchards/{orchard:uuid}/trees/{tree:int}/{name:str}", query=Picking, result=Orchard),
        route("POST", "/v1/baskets", VERIFIED, body=Basket, result=Ripe, status=201, also=(200,)),
        route("DELETE", "/v1/baskets", status=204),
        route("GET", "/pear", ANYONE, result=str, media="text/html"),
    )
    assert (document["openapi"], document["info"]["version"]) == ("3.1.1", "1.2.3")
    schemathesis.openapi.from_dict(document).validate()  # against the schema of the specification


def test_places_and_queries_are_parameters() -> None:
    found = operation(route("GET", "/v1/orchards/{orchard:uuid}/{tree:int}/{name:str}", query=Picking))
    assert found["operationId"] == "get_orchards_orchard_tree_name"
    by_name = {(each["in"], each["name"]): each for each in found["parameters"]}
    assert list(by_name) == [
        ("path", "orchard"),
        ("path", "tree"),
        ("path", "name"),
        ("query", "tree"),
        ("query", "since"),
        ("query", "most"),
    ]
    assert by_name["path", "orchard"]["schema"]["format"] == "uuid"
    assert by_name["path", "tree"]["schema"] == {"type": "integer", "minimum": 0, "maximum": 2**53 - 1}
    assert by_name["query", "tree"] == {
        "name": "tree",
        "in": "query",
        "required": True,
        "schema": {"type": "string"},
        "description": "Which tree.",
    }
    # What is not asked for is left out; a query cannot say null.
    assert by_name["query", "since"]["schema"] == {"type": "integer"}
    assert by_name["query", "most"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 5, "default": 3}


def test_types_are_described_by_their_docstrings_however_deep() -> None:
    schemas = described(route(result=Orchard))["components"]["schemas"]
    assert schemas["Basket"]["description"] == "What somebody picked."
    assert schemas["Basket"]["properties"]["apples"]["description"] == "How many; the rotten ones do not count."
    assert schemas["Basket"]["properties"]["bestBefore"]["description"] == "Day of the year."
    assert "description" not in schemas["Basket"]["properties"]["plain"]
    assert schemas["Ripe"]["properties"]["colour"]["description"] == "As it looks from outside."
    assert schemas["Ripe"]["properties"]["apples"]["description"] == "How many; the rotten ones do not count."


def test_a_type_inside_a_function_is_described() -> None:
    class Local(msgspec.Struct):
        size: int
        """In cubits."""

    # Where it stands in the source cannot be told from its name: its members go without their docs.
    schemas = described(route(result=Local))["components"]["schemas"]
    assert schemas["Local"]["properties"]["size"] == {"type": "integer"}


def test_two_types_of_one_name_stay_two() -> None:
    other = msgspec.defstruct("Basket", [("eggs", int)], module="coop")
    schemas = described(route(body=Basket, result=other, method="POST"))["components"]["schemas"]
    members = [set(schema["properties"]) for name, schema in schemas.items() if name.endswith("Basket")]
    assert sorted(members, key=len) == [{"eggs"}, {"apples", "bestBefore", "plain"}]


def test_who_may_and_what_it_costs_is_said() -> None:
    found = operation(route(rule=VERIFIED, cost=5.0))
    assert found["security"] == [{"bearer": []}]
    assert (found["x-rule"], found["x-verified"], found["x-cost"]) == ("verified", True, 5.0)
    assert operation(route(rule=ANYONE))["security"] == []


def test_every_refusal_has_its_place() -> None:
    rule = Rule("gardener", check=None, refusals=("not_found",))
    document = described(route("POST", rule=rule, body=Basket, status=204, refusals=("already_member",)))
    answers = document["paths"]["/v1/baskets"]["post"]["responses"]
    found: dict[str, set[str]] = {}
    for status, reference in answers.items():
        if status != "204":
            response = document["components"]["responses"][reference["$ref"].rpartition("/")[2]]
            schema = response["content"]["application/problem+json"]["schema"]
            assert schema["allOf"] == [{"$ref": "#/components/schemas/Problem"}]
            found[status] = set(schema["properties"]["code"]["enum"])
    assert found == {
        "400": {"bad_request"},
        "401": {"unauthenticated", "token_expired", "login_ended"},
        "403": {"origin"},
        "404": {"not_found"},
        "409": {"already_member"},
        "413": {"too_large"},
        "415": {"unsupported"},
        "422": {"invalid"},
        "429": {"limited"},
        "500": {"internal"},
        "503": {"busy", "unavailable", "unknown", "draining"},
        "default": {
            "too_large",
            "timeout",
            "target_too_long",
            "too_early",
            "headers_too_large",
            "not_implemented",
            "version",
        },
    }
    assert answers["204"] == {"description": "Done."}
    assert document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"] == list(CODES)
    anybody = openapi.refusals(route(rule=ANYONE))
    assert not {"unauthenticated", "unverified", "invalid", "not_found"} & set(anybody)
    assert "unverified" in openapi.refusals(route(rule=VERIFIED))


def test_what_is_done_once_takes_a_key() -> None:
    kept = operation(route("POST", once="kept"))
    assert [(each["in"], each["name"]) for each in kept["parameters"]] == [("header", "Idempotency-Key")]
    assert "idempotency_key_reused" in openapi.refusals(route("POST", once="kept"))
    assert "parameters" not in operation(route("POST", once="needless"))
    # A key that cannot be heeded is refused, not ignored.
    assert "invalid" in openapi.refusals(route("POST"))
    assert "invalid" not in openapi.refusals(route("GET"))


def test_a_status_may_carry_a_result_or_a_problem() -> None:
    answers = operation(route(result=Basket, also=(503,)))["responses"]
    assert set(answers["503"]["content"]) == {"application/json", "application/problem+json"}


def test_routes_that_would_be_one_operation_are_refused() -> None:
    with pytest.raises(ValueError, match="one operation"):
        described(route("GET", "/v1/trees/{tree:uuid}"), route("GET", "/v1/trees/{tree:int}"))
    with pytest.raises(ValueError, match="one operation"):
        described(route("GET", "/v1/trees"), route("GET", "/trees"))


async def test_it_is_served_with_the_routes_beside_it_and_conditionally(house: Any, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<!doctype html><title>Chiron</title>")
    (tmp_path / "docs.html").write_text("<!doctype html><title>Docs</title>")
    theirs = [route("GET", "/v1/orchards/{orchard:uuid}", result=Orchard)]
    pages = Pages(tmp_path)
    built = house([*theirs, *openapi.routes(theirs, pages, "1.2.3")], pages=pages)
    first = await built.ask("GET", "/openapi.json")
    assert (first.status, first.headers["content-type"]) == (200, "application/json")
    assert set(first.json["paths"]) == {"/", "/docs", "/openapi.json", "/v1/orchards/{orchard}", "/v1/realtime"}
    assert first.json["paths"]["/docs"]["get"]["responses"]["200"]["content"] == {
        "text/html": {"schema": {"type": "string"}}
    }
    again = await built.ask("GET", "/openapi.json", headers={"if-none-match": first.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    page = await built.ask("GET", "/docs")
    assert (page.status, page.body) == (200, b"<!doctype html><title>Docs</title>")
    assert "'unsafe-inline'" not in page.headers["content-security-policy"]
    assert page.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")


async def test_without_a_built_page_the_docs_say_how_to_build_it(house: Any, tmp_path: Path) -> None:
    pages = Pages(tmp_path)
    page = await house(openapi.routes([], pages, "1"), pages=pages).ask("GET", "/docs")
    assert (page.status, b"make web" in page.body) == (503, True)
