"""`/openapi.json` (OpenAPI 3.1.1) and `/docs`, made of the routes that the gateway serves.

The document is made when it is first asked for, so that a server which nobody asks pays nothing. What it says of a
route follows from the route alone: the types of body, query and result, and the refusals that its rule, its body and
its query bring with them. Descriptions are the docstrings of the types and of their members.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from chiron.errors import CODES
from chiron.server.gateway.problems import CONTENT_TYPE
from chiron.server.gateway.static import File, Pages
from chiron.server.ports import ANYONE, Call, Handler, Request, Response, Route

SPECIFICATION = "3.1.1"
PAGE = "/docs.html"
"""The file of the build that shows the document."""

_PLACE = re.compile(r"\{([a-z_]+):([a-z]+)\}")
_REF = "#/components/schemas/{name}"
_JSON = "application/json"
_PLACES: dict[str, dict[str, Any]] = {
    "uuid": {
        "type": "string",
        "format": "uuid",
        "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
    },
    "int": {"type": "integer", "minimum": 0, "maximum": 2**53 - 1},
    "str": {"type": "string", "minLength": 1},
}

_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Of the client's choice. The same request under the same key is done once and answered alike.",
    "schema": {"type": "string", "pattern": '^"[A-Za-z0-9._~-]{1,255}"$'},
}

ALWAYS = ("bad_request", "origin", "limited", "internal", "busy", "unavailable", "unknown", "draining")
"""What may answer any request that reaches a route."""
BEFORE = ("too_large", "timeout", "target_too_long", "too_early", "headers_too_large", "not_implemented", "version")
"""What may answer before there is a request: its bytes came too late, were too many, are no HTTP/1.1 (RFC 9112), or may
be a recording of somebody else's (RFC 8470)."""
SIGNED_IN = ("unauthenticated", "token_expired", "login_ended")
BODY = ("unsupported", "invalid", "too_large")
QUERY = ("invalid",)
PLACED = ("not_found",)
KEYED = ("invalid",)
"""Whatever may carry an `Idempotency-Key` may carry a bad one."""
KEPT = ("idempotency_key_reused",)

DESCRIPTION = """
One JSON document in, one out. Times are integers: milliseconds since the Unix epoch. Ids are UUIDs in lower case.

Who may ask is the operation's rule (`x-rule`), what it weighs in the limits its cost (`x-cost`). Every error is a
[problem document](https://www.rfc-editor.org/rfc/rfc9457) whose `code` is one of those that the operation lists.
Unknown members of a body and unknown parameters of a query are ignored.

What is written in a conversation arrives over `/v1/realtime`; its frames are in `docs/protocol.md`.
""".strip()


class Problem(msgspec.Struct, frozen=True):
    """An error, as RFC 9457 has it. `code` is what programs look at; `title` is the sentence for a person."""

    type: str
    """`about:blank#` and the code."""
    title: str
    status: int
    code: str
    params: dict[str, Any]
    """What the sentence was made of, such as the `field` that is `invalid` and the `reason`."""
    request_id: str
    """The header `X-Request-Id`: what the server's logs know the request by."""


class Document:
    """The document of these routes, made once."""

    def __init__(self, routes: Sequence[Route], version: str) -> None:
        self._routes = routes
        self._version = version
        self._made: File | None = None

    def respond(self, request: Request) -> Response:
        if self._made is None:
            self._made = File.of("openapi.json", msgspec.json.encode(describe(self._routes, self._version)))
        return self._made.respond(request)


def routes(others: Sequence[Route], pages: Pages, version: str) -> list[Route]:
    """The document of `others`, its own routes among them, and the page that shows it."""

    async def openapi(call: Call) -> Response:
        assert call.request is not None, "it is no command"
        return document.respond(call.request)

    async def docs(call: Call) -> Response:
        assert call.request is not None, "it is no command"
        return pages.page(call.request, PAGE)

    own = [
        Route("GET", "/openapi.json", openapi, ANYONE, result=dict[str, Any], also=(304,), summary="This document"),
        _page("/docs", docs, "This document, to read"),
    ]
    document = Document([*others, *own, _page("/", docs, "The browser client")], version)
    return own


def _page(path: str, handler: Handler, summary: str) -> Route:
    """503 where the installation has no built page."""
    return Route("GET", path, handler, ANYONE, result=str, also=(304, 503), media="text/html", summary=summary)


def describe(routes: Iterable[Route], version: str) -> dict[str, Any]:
    """The document as builtins. Raises ValueError where two routes would be one operation."""
    routes = sorted(routes, key=lambda route: (_shown_path(route.path), route.method))
    schemas = _Schemas(routes)
    responses: dict[str, Any] = {}
    paths: dict[str, dict[str, Any]] = {}
    operations: set[str] = set()
    for route in routes:
        operation = _operation(route, schemas, responses)
        name = operation["operationId"]
        methods = paths.setdefault(_shown_path(route.path), {})
        if name in operations or route.method.lower() in methods:
            raise ValueError(f"{route.method} {route.path} and another route are one operation: {name}")
        operations.add(name)
        methods[route.method.lower()] = operation
    paths["/v1/realtime"] = {"get": _realtime(responses)}
    return {
        "openapi": SPECIFICATION,
        "info": {
            "title": "Chiron",
            "version": version,
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in sorted({_tag(path) for path in paths})],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(schemas.components.items())),
            "responses": dict(sorted(responses.items())),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "The `access_token` of a session (RFC 6750).",
                }
            },
        },
    }


# --- one operation ----------------------------------------------------------------------------------------------------


def _operation(route: Route, schemas: _Schemas, responses: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": _operation_id(route.method, route.path),
        "tags": [_tag(route.path)],
        "summary": route.summary,
    }
    if route.description:
        found["description"] = route.description
    found["security"] = [{"bearer": []}] if route.rule.signed_in else []
    found |= {"x-rule": route.rule.name, "x-verified": route.rule.verified, "x-cost": route.cost}
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": _PLACES[kind]}
        for name, kind in _PLACE.findall(route.path)
    ]
    if route.query is not None:
        parameters += schemas.parameters(route.query)
    if route.once == "kept":
        parameters.append(_IDEMPOTENCY_KEY)
    if parameters:
        found["parameters"] = parameters
    if route.body is not None:
        found["requestBody"] = {"required": True, "content": {_JSON: {"schema": schemas.of(route.body)}}}
    found["responses"] = _answers(route, schemas, responses)
    return found


def _answers(route: Route, schemas: _Schemas, responses: dict[str, Any]) -> dict[str, Any]:
    """By status, in rising order; what comes before there is a request last."""
    answers: dict[str, Any] = {}
    for status in (route.status, *route.also):
        answer: dict[str, Any] = {"description": _MEANING.get(status, "Done.")}
        if route.result is not None and status not in (204, 304):
            answer["content"] = {route.media: {"schema": schemas.of(route.result)}}
        answers[str(status)] = answer
    for status, codes in sorted(_by_status(refusals(route)).items()):
        problem = _problem(codes, responses)
        if str(status) in answers:  # both may come: which one, the media type says
            content = responses[problem["$ref"].rpartition("/")[2]]["content"]
            answers[str(status)].setdefault("content", {}).update(content)
        else:
            answers[str(status)] = problem
    answers["default"] = _problem(BEFORE, responses)
    return dict(sorted(answers.items()))


def refusals(route: Route) -> tuple[str, ...]:
    """Codes of all refusals that the route may answer with, each once, as the table orders them."""
    rule = route.rule
    codes = {*ALWAYS, *rule.refusals, *route.refusals}
    if rule.signed_in:
        codes.update(SIGNED_IN)
    if rule.verified:
        codes.add("unverified")
    if route.body is not None:
        codes.update(BODY)
    if route.query is not None:
        codes.update(QUERY)
    if "{" in route.path:
        codes.update(PLACED)
    if route.method != "GET":
        codes.update(KEYED)
    if route.once == "kept":
        codes.update(KEPT)
    return tuple(code for code in CODES if code in codes)


_MEANING = {200: "Done.", 201: "Made.", 202: "Accepted.", 204: "Done.", 304: "Unchanged.", 503: "Not now."}


def _problem(codes: Sequence[str], responses: dict[str, Any]) -> dict[str, str]:
    """A response that carries one of these codes, kept among `responses` under their names."""
    name = "-".join(codes)
    rows = [CODES[code] for code in codes]
    response: dict[str, Any] = {
        "description": "\n".join(f"- `{code}`: {row.text}" for code, row in zip(codes, rows, strict=True)),
        "content": {
            CONTENT_TYPE: {
                "schema": {
                    "allOf": [{"$ref": _REF.format(name="Problem")}],
                    "properties": {"code": {"enum": list(codes)}},
                }
            }
        },
    }
    headers: dict[str, Any] = {}
    if any(row.temporary for row in rows):
        headers["Retry-After"] = {"description": "Seconds until a repeat may succeed.", "schema": {"type": "integer"}}
    if "unauthenticated" in codes:
        headers["WWW-Authenticate"] = {"description": "RFC 6750 §3.", "schema": {"type": "string"}}
    if headers:
        response["headers"] = headers
    responses.setdefault(name, response)
    return {"$ref": f"#/components/responses/{name}"}


def _by_status(codes: Iterable[str]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for code in codes:
        found.setdefault(CODES[code].status, []).append(code)
    return found


def _realtime(responses: dict[str, Any]) -> dict[str, Any]:
    """The address of links, which is no route: the edge takes it over."""
    answers: dict[str, Any] = {"101": {"description": "The WebSocket is open (RFC 6455); send `connect`."}}
    codes = ("bad_request", "origin", "upgrade_required", "limited", "internal", "busy", "draining")
    for status, some in _by_status(codes).items():
        answers[str(status)] = _problem(some, responses)
    answers["default"] = _problem(BEFORE, responses)
    return {
        "operationId": "get_realtime",
        "tags": ["realtime"],
        "summary": "Open a link: a WebSocket with subprotocol chiron.v1.json",
        "description": "Its frames are in `docs/protocol.md`. The token travels in the first frame.",
        "security": [],
        "x-rule": ANYONE.name,
        "x-verified": False,
        "x-cost": 1.0,
        "responses": dict(sorted(answers.items())),
    }


def _shown_path(path: str) -> str:
    return _PLACE.sub(r"{\1}", path)


def _segments(path: str) -> list[str]:
    segments = [segment for segment in _shown_path(path).split("/") if segment]
    return segments[1:] if segments[:1] == ["v1"] else segments


def _operation_id(method: str, path: str) -> str:
    """`PUT /v1/conversations/{conversation:uuid}/watermark` is `put_conversations_conversation_watermark`."""
    words = [re.sub(r"[^A-Za-z0-9]+", "_", segment).strip("_") for segment in _segments(path)]
    return "_".join([method.lower(), *(words or ["page"])])


def _tag(path: str) -> str:
    """The first segment behind the version; what has no version is about the server itself."""
    segments = _segments(path)
    return segments[0] if path.startswith("/v1/") and segments else "server"


# --- types ------------------------------------------------------------------------------------------------------------


class _Schemas:
    """JSON Schema of every type that the routes name. Queries are no components: their members are parameters."""

    def __init__(self, routes: Iterable[Route]) -> None:
        types: list[Any] = [Problem]
        self._queries: list[Any] = []
        for route in routes:
            for type in (route.body, route.result):
                if type is not None and type not in types:
                    types.append(type)
            if route.query is not None and route.query not in self._queries:
                self._queries.append(route.query)
        structs = _structs(types)
        named = [*types, *(struct for struct in structs if struct not in types)]
        found, self.components = msgspec.json.schema_components(named, ref_template=_REF)
        self._found = list(zip(named, found, strict=True))
        for struct in structs:
            self._add_docs(struct, self.components[self.of(struct)["$ref"].rpartition("/")[2]])
        self.components["Problem"]["properties"]["code"] = {
            "enum": list(CODES),
            "description": "\n".join(
                f"- `{code}` ({row.status}): {row.text}{' Temporary.' if row.temporary else ''}"
                for code, row in CODES.items()
            ),
        }

    def of(self, type: Any) -> dict[str, Any]:
        schema: dict[str, Any] = next(schema for known, schema in self._found if known == type)
        return schema

    def parameters(self, type: Any) -> list[dict[str, Any]]:
        """The members of a query. A name that is not given is absent, never null."""
        ((ref,), components) = msgspec.json.schema_components([type], ref_template=_REF)
        schema = components.pop(ref["$ref"].rpartition("/")[2])
        self._add_docs(type, schema)
        self.components |= components
        required = schema.get("required", ())
        parameters = []
        for name, member in schema["properties"].items():
            about = member.pop("description", None)
            found = {"name": name, "in": "query", "required": name in required, "schema": _without_null(member)}
            if about:
                found["description"] = about
            parameters.append(found)
        return parameters

    def _add_docs(self, type: Any, schema: dict[str, Any]) -> None:
        docs: dict[str, str] = {}
        for ancestor in reversed(type.__mro__):
            docs |= _member_docs(ancestor)
        encoded = dict(zip(type.__struct_fields__, type.__struct_encode_fields__, strict=True))
        for field, text in docs.items():
            if (member := schema["properties"].get(encoded.get(field, ""))) is not None:
                member.setdefault("description", text)


def _without_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in schema.items() if name != "anyOf" and (name, value) != ("default", None)}
    variants = [variant for variant in schema.get("anyOf", ()) if variant != {"type": "null"}]
    if len(variants) == 1:
        return {**variants[0], **rest}
    return {"anyOf": variants, **rest} if variants else rest


def _structs(types: Iterable[Any]) -> list[Any]:
    """Every `msgspec.Struct` that is in these types, however deep."""
    found: list[Any] = []

    def look(info: Any) -> None:
        if isinstance(info, msgspec.inspect.StructType):
            if info.cls not in found:
                found.append(info.cls)
                for field in info.fields:
                    look(field.type)
        elif isinstance(info, msgspec.inspect.Type):
            for name in info.__struct_fields__:
                inner = getattr(info, name)
                for each in inner if isinstance(inner, tuple) else (inner,):
                    look(each)

    for info in msgspec.inspect.multi_type_info(types):
        look(info)
    return found


def _member_docs(type: Any) -> dict[str, str]:
    """The strings below the members of a class, as its source has them; none where there is no source."""
    module = sys.modules.get(type.__module__)
    try:
        source = inspect.getsource(module) if module is not None else ""
    except (OSError, TypeError):
        return {}
    node: Any = ast.parse(source)
    for name in type.__qualname__.split("."):
        node = next((each for each in ast.iter_child_nodes(node) if getattr(each, "name", "") == name), None)
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            return {}
    found: dict[str, str] = {}
    for member, behind in zip(node.body, node.body[1:], strict=False):
        match member, behind:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = " ".join(text.split())
            case _:
                pass
    return found
