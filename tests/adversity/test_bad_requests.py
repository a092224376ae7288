"""Requests that schemathesis makes from the server's own document: what fits it, and what does not.

The same requests are made in every run; `CHIRON_FUZZ_SEED` makes others, `CHIRON_FUZZ_EXAMPLES` makes more of them.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
from database import MigratedDatabase
from document import PROBLEM, Document, Operation
from hypothesis import strategies as st
from resident import PASSWORD, Residence, residence, tasks
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok
from serving import until

from chiron.errors import CODES

SEED = int(os.environ.get("CHIRON_FUZZ_SEED", "20261124"))
EXAMPLES = int(os.environ.get("CHIRON_FUZZ_EXAMPLES", "25"))
"""Of each operation, in each of the two modes."""
BUSY = 3
"""How often the same request is made again when the server says that it is busy now."""
SECONDS = 30.0
"""For one answer: a busy machine is no defect, but a hung request is."""

HEALTH = ("get_livez", "get_readyz")
"""They may say that the server is busy, which it is here."""

# Tokens are ours to send; without one there is little to reach.
OURSELVES = schemathesis.Config.from_dict({"generation": {"with-security-parameters": False}})
SETTINGS = hypothesis.settings(
    max_examples=EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
    phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
    print_blob=False,
)


class Caller:
    """Asks in a thread of its own, as somebody who has conversations and messages."""

    def __init__(self, home: Residence, document: Document, loop: asyncio.AbstractEventLoop) -> None:
        self._home = home
        self._document = document
        self._loop = loop
        self._http = requests.Session()
        self._http.trust_env = False
        self.statuses: dict[str, set[int]] = {}
        self.codes: set[str] = set()

    def close(self) -> None:
        self._http.close()

    def settle(self) -> None:
        """A new person, with others around them: what an operation before this one has done stays behind."""
        self._run(self._settle())

    async def _settle(self) -> None:
        self._ada, self._ben = await self._home.move_in("Ada"), await self._home.move_in("Ben")
        people = [{"person": self._ben.id}]
        group = await self._post("/v1/conversations", {"kind": "group", "title": "Reeds", "people": people})
        direct = await self._post("/v1/conversations", {"kind": "direct", "people": people})
        for number in range(3):
            text = {"client_id": f"{number:026d}", "kind": "text", "body": {"text": f"Heron {number}"}}
            await self._post(f"/v1/conversations/{group['id']}/messages", text)
        logins = (await self._home.http.get("/v1/logins", headers=self._ada.bearer)).json()["items"]
        self._places = {
            "conversation": [group["id"], group["id"], direct["id"]],
            "person": [self._ben.id, self._ada.id],
            "login": [logins[0]["login"], self._ada.id],
            "kind": ["mentor", "mentee"],
        }

    async def _post(self, path: str, body: Any) -> Any:
        answer = await self._home.http.post(path, json=body, headers=self._ada.bearer)
        assert answer.is_success, answer.text
        return answer.json()

    def feed(self, generated: Any, mode: GenerationMode) -> None:
        """Every example of one operation in one mode."""
        operation = self._document.operations[generated.definition.raw["operationId"]]

        @hypothesis.seed(SEED)
        @hypothesis.settings(SETTINGS)
        @hypothesis.given(case=generated.as_strategy(generation_mode=mode), data=st.data())
        def examples(case: Case[Any], data: st.DataObject) -> None:
            if data.draw(st.booleans()):
                self._put_what_there_is(case, data)
            self._ask(case, operation)

        examples()

    def _put_what_there_is(self, case: Case[Any], data: st.DataObject) -> None:
        """A made-up id is nobody's, and no made-up text an address: behind real ones there is more to break."""
        for name in case.path_parameters or {}:
            if name in self._places:
                case.path_parameters[name] = data.draw(st.sampled_from(self._places[name]))
        for holder in list(_dicts(case.body)):
            if holder.keys() & {"person", "email"} and not holder.keys() - {"person", "email"}:
                holder.clear()
                holder["person"] = data.draw(st.sampled_from(self._places["person"]))
            if "people" in holder:
                holder |= {"people": [{"person": self._ben.id}], "title": "Reeds"}
            if {"email", "password"} <= holder.keys():
                address = f"{data.draw(st.integers(0, 1 << 32))}@example.org"
                holder |= {"email": data.draw(st.sampled_from([self._ada.email, address])), "password": PASSWORD}
            if {"name", "zone"} & holder.keys():
                holder |= {"name": "Ada", "zone": data.draw(st.sampled_from(["UTC", "Europe/Vienna", "Middle/Earth"]))}
            if holder.get("kind") == "text" and "body" in holder:
                holder["body"] = {"text": data.draw(st.text(max_size=30))}

    def _ask(self, case: Case[Any], operation: Operation) -> None:
        headers = self._home.elsewhere() | (self._ada.bearer if operation.signed_in else {})
        hypothesis.note(case.as_curl_command())
        answer = self._call(case, headers)
        for _ in range(BUSY):
            if answer.status_code != 503 or operation.id in HEALTH:
                break
            # A machine that is busy with other things is no defect; a request that cannot be answered stays one.
            time.sleep(float(answer.headers["retry-after"][0]))
            answer = self._call(case, headers)
        status, body = answer.status_code, answer.content or b""
        media = (answer.headers.get("content-type") or [""])[0]
        said = f"{operation.id} answered {status}: {body[:300]!r}"
        assert status < 500 or (operation.id in HEALTH and media != PROBLEM), said
        self.statuses.setdefault(operation.id, set()).add(status)
        if media == PROBLEM:
            code = answer.json()["code"]
            assert code in CODES, said
            self.codes.add(code)
            if code in ("login_ended", "unauthenticated") and operation.signed_in:
                self._run(self._home.sign_in(self._ada))  # that is what the operation was for
            if code in ("method", "not_found") and "{" in operation.path:
                return  # what was put into the path made it another address
        self._document.check(operation, status, media, body)

    def _call(self, case: Case[Any], headers: dict[str, str]) -> Any:
        try:
            return case.call(base_url=self._home.address, session=self._http, headers=headers, timeout=SECONDS)
        except (requests.exceptions.InvalidHeader, UnicodeEncodeError):
            hypothesis.reject()  # the client cannot send it

    def _run(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(SECONDS)


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _dicts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _dicts(inner)


@pytest.mark.timeout(600)
async def test_no_request_breaks_the_server_or_its_word(database: MigratedDatabase, tmp_path: Path) -> None:
    print(f"CHIRON_FUZZ_SEED={SEED} CHIRON_FUZZ_EXAMPLES={EXAMPLES}")
    async with residence(database.dsn, tmp_path, verification=False) as home:
        document = Document((await home.http.get("/openapi.json")).json())
        caller = Caller(home, document, asyncio.get_running_loop())
        await asyncio.to_thread(caller.settle)
        before = len(tasks())
        for generated in await asyncio.to_thread(operations_of, document):
            if generated.definition.raw["operationId"] == "get_realtime":
                continue  # the other test's
            await asyncio.to_thread(caller.settle)
            for mode in GenerationMode.POSITIVE, GenerationMode.NEGATIVE:
                if mode is GenerationMode.POSITIVE or _can_be_wrong(generated.definition.raw):
                    await asyncio.to_thread(caller.feed, generated, mode)
        caller.close()
        gc.collect()
        assert len(tasks()) <= before + 1, "requests have left tasks behind"
        await until(home.is_ready, lambda: "the server does not recover")
    assert set(caller.statuses) == set(document.operations) - {"get_realtime"}
    # It was not the same refusal all the time.
    assert {"invalid", "not_found", "bad_request"} <= caller.codes
    done = {name for name, statuses in caller.statuses.items() if any(status < 300 for status in statuses)}
    assert len(done) > len(caller.statuses) / 2
    print({name: sorted(statuses) for name, statuses in caller.statuses.items()}, sorted(caller.codes))


def operations_of(document: Document) -> list[Any]:
    found = schemathesis.openapi.from_dict(dict(document.root), config=OURSELVES).get_all_operations()
    return [result.ok() for result in found if isinstance(result, Ok)]


def _can_be_wrong(described: dict[str, Any]) -> bool:
    return "requestBody" in described or bool(described.get("parameters"))
