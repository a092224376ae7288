"""A worker is killed between COMMIT and answer: who asks again hears what was done, and it is done once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from serving import Server

PASSWORD = "correct horse battery"


async def sign_up(http: httpx.AsyncClient) -> dict[str, str]:
    account = {"email": "ada@example.org", "password": PASSWORD, "name": "Ada"}
    answer = await http.post("/v1/people", json=account)
    assert answer.status_code == 201, answer.text
    return {"authorization": f"Bearer {answer.json()['access_token']}"}


async def test_kill_9_between_commit_and_answer_and_the_same_key_again(new_server: Callable[[], Server]) -> None:
    server = new_server()
    # Each of its workers dies with its first change: the repeat must be answered without making another.
    await server.start("--set", "identity.verification=off", crash_at="committer.after_commit")
    async with httpx.AsyncClient(base_url=server.address, timeout=20.0) as http:
        headers = {**await sign_up(http), "idempotency-key": '"9f1c-1"'}
        wanted: dict[str, Any] = {"kind": "group", "title": "Once", "people": []}
        with pytest.raises(httpx.TransportError):
            await http.post("/v1/conversations", json=wanted, headers=headers)
        await server.until_ready()
        again = await http.post("/v1/conversations", json=wanted, headers=headers)
        assert (again.status_code, again.headers.get("idempotency-replayed")) == (201, "true"), again.text
        listed = (await http.get("/v1/conversations", headers=headers)).json()["items"]
        assert [item["id"] for item in listed] == [again.json()["id"]]
        other = await http.post("/v1/conversations", json={**wanted, "title": "Twice"}, headers=headers)
        assert other.json()["code"] == "idempotency_key_reused"
    assert await server.stop() == 0, server.tail()
