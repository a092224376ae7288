"""What `/openapi.json` promises, for tests that hold the server to it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from jsonschema import Draft202012Validator

from chiron.errors import CODES

PROBLEM = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Operation:
    id: str
    method: str
    path: str
    described: Mapping[str, Any]

    @property
    def signed_in(self) -> bool:
        return bool(self.described["security"])

    @property
    def takes_body(self) -> bool:
        return "requestBody" in self.described

    def target(self, places: Mapping[str, Any]) -> str:
        return re.sub(r"\{([a-z_]+)\}", lambda place: quote(str(places[place[1]]), safe=""), self.path)


class Document:
    """Operations by their id. JSON Schema is draft 2020-12, as OpenAPI 3.1 says."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.root = document
        self.operations: dict[str, Operation] = {}
        for path, methods in document["paths"].items():
            for method, described in methods.items():
                operation = Operation(described["operationId"], method.upper(), path, described)
                self.operations[operation.id] = operation

    def check(self, operation: Operation, status: int, media: str, body: bytes) -> None:
        """Raises AssertionError for an answer that the document does not have."""
        media = media.partition(";")[0].strip()
        said = f"{operation.id} answered {status} {media}: {body[:300]!r}"
        answers = operation.described["responses"]
        answer = self._resolved(answers.get(str(status), answers["default"]))
        if "content" not in answer:
            assert not body, said
            return
        assert media in answer["content"], said
        if "json" in media:
            self._validate(json.loads(body), answer["content"][media]["schema"], said)
        if media == PROBLEM:
            problem = json.loads(body)
            assert CODES[problem["code"]].status == problem["status"] == status, said
            assert problem["type"] == f"about:blank#{problem['code']}", said

    def successes(self, operation: Operation) -> set[int]:
        """Statuses that are no refusal."""
        return {status for status in self._statuses(operation) if status < 400}

    def codes(self, operation: Operation) -> set[str]:
        """Of every refusal that the operation lists."""
        found: set[str] = set()
        for answer in map(self._resolved, operation.described["responses"].values()):
            if PROBLEM in answer.get("content", {}):
                found.update(answer["content"][PROBLEM]["schema"]["properties"]["code"]["enum"])
        return found

    def _statuses(self, operation: Operation) -> Iterator[int]:
        return (int(status) for status in operation.described["responses"] if status != "default")

    def _resolved(self, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        if "$ref" in answer:
            found: Mapping[str, Any] = self.root["components"]["responses"][answer["$ref"].rpartition("/")[2]]
            return found
        return answer

    def _validate(self, value: Any, schema: Mapping[str, Any], said: str) -> None:
        whole = {**schema, "components": self.root["components"]}
        validator = Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER)
        errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]
        assert not errors, f"{said}\n" + "\n".join(errors)
