"""The client has every REST operation of the server, and its types say what the server's document says."""

from __future__ import annotations

import re
from typing import Any, cast, get_type_hints

import pytest
from scripted import Answer, Asked, Rest

from chiron.client import Api, model
from chiron.server.chat.api import ChatApi
from chiron.server.gateway import openapi
from chiron.server.identity.api import IdentityApi

SESSION = {"access_token": "a", "refresh_token": "r", "expires_in": 600, "person": {"person": "0193", "verified": True}}
ID = "0193a1b2-0000-7000-8000-000000000001"
ULID = "01JDTESTTESTTESTTEST000001"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """Of what the domains offer. Nothing of it is called, so nothing needs to be behind it."""
    unused = cast(Any, None)
    routes = [*ChatApi(unused, "e1").routes(), *IdentityApi(unused, unused, unused, list).routes()]
    return openapi.describe(routes, "1")


async def call_everything(api: Api) -> None:
    await api.register("ada@example.org", "correct horse battery", "Ada")
    await api.log_in("ada@example.org", "correct horse battery")
    await api.resume("r")
    await api.jwks()
    await api.me()
    await api.change_me(name="Ada")
    await api.change_password("old", "new")
    await api.send_verification()
    await api.verify("t")
    await api.request_reset("ada@example.org")
    await api.reset_password("t", "new")
    await api.logins()
    await api.name_login(ID, "desk")
    await api.end_login(ID)
    await api.end_other_logins()
    await api.profiles()
    await api.set_profile("mentor", "active")
    await api.conversations(cursor="c", limit=5)
    await api.direct("bob@example.org")
    await api.group("Astronomy", [ID], key="k")
    await api.conversation(ID)
    await api.members(ID)
    await api.add(ID, "bob@example.org", key="k")
    await api.remove(ID, ID, key="k")
    await api.leave(ID, key="k")
    await api.publish(ID, ULID, "Hello")
    await api.history(ID, after=1)
    await api.watermark(ID, read=1)
    await api.log_out()


async def test_every_operation_has_a_method(rest: Rest, document: dict[str, Any]) -> None:
    asked: set[str] = set()

    async def answer(request: Asked) -> Answer:
        asked.add(f"{request.method} {request.target.partition('?')[0]}")
        return 200, SESSION | {"items": []}, {}

    rest.answer = answer
    api = Api(rest.address)
    await call_everything(api)
    await api.close()
    paths = {
        f"{method.upper()} {path}": re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path))
        for path, methods in document["paths"].items()
        for method in methods
        if path.startswith(("/v1/", "/.well-known/"))
    }
    missing = {
        operation
        for operation, path in paths.items()
        if not any(
            one.partition(" ")[0] == operation.partition(" ")[0] and path.fullmatch(one.partition(" ")[2])
            for one in asked
        )
    }
    assert missing - {"GET /v1/realtime"} == set()


@pytest.mark.parametrize(
    ("schema", "type"),
    [
        ("Me", model.Me),
        ("Session", model.Session),
        ("Login", model.Login),
        ("Profile", model.Profile),
        ("Conversation", model.Conversation),
        ("Peer", model.Peer),
        ("Last", model.Last),
        ("Member", model.Member),
        ("Acknowledged", model.Acknowledged),
        ("Delivery", model.Delivery),
        ("History", model.History),
    ],
)
def test_types_are_those_of_the_document(document: dict[str, Any], schema: str, type: Any) -> None:
    described = document["components"]["schemas"][schema]
    hints = get_type_hints(type, include_extras=True)
    # A delivery's `op` tells frames apart; here there is nothing to tell apart.
    assert hints.keys() == described["properties"].keys() - {"op"}
    required = set(described.get("required", [])) - {"op"}
    assert required <= type.__required_keys__, "what is always there is not said to be optional"
    for name in hints:
        assert json_type(described["properties"][name], document) == python_type(get_type_hints(type)[name]), name


def json_type(schema: dict[str, Any], document: dict[str, Any]) -> str:
    for choice in schema.get("anyOf", [schema]):
        if "$ref" in choice:
            return json_type(document["components"]["schemas"][choice["$ref"].rpartition("/")[2]], document)
        if "enum" in choice or "const" in choice:
            return "string"
        if choice.get("type") not in (None, "null"):
            return str(choice["type"])
    return "object"


def python_type(hint: Any) -> str:
    names = {"str": "string", "int": "integer", "bool": "boolean", "list": "array", "dict": "object"}
    name = getattr(hint, "__name__", str(hint))
    if name == "Literal" or "Literal" in str(hint):
        return "string"
    return names.get(name, "object")
