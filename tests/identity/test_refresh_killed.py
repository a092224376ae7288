"""A server that is killed between the use of a refresh token and its answer signs nobody out."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
from serving import servers
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

ACCOUNT = {"email": "ada@example.org", "password": "correct horse battery", "name": "Ada"}
TABS = 20


async def test_twenty_tabs_and_a_kill_between_use_and_answer() -> None:
    async with servers() as make:
        server = make()
        # The first worker dies with the first refresh, once that is committed; the next ones live.
        await server.start(crash_at="identity.after_refresh:1")
        async with httpx.AsyncClient(base_url=server.address, timeout=10.0) as http:
            session: dict[str, Any] = (await http.post("/v1/people", json=ACCOUNT)).json()

            async def refresh(token: str) -> httpx.Response | None:
                """None when there is no answer."""
                try:
                    return await http.post("/v1/logins/refresh", json={"refresh_token": token})
                except httpx.TransportError:
                    return None

            first = await asyncio.gather(*(refresh(session["refresh_token"]) for _ in range(TABS)))
            assert not any(answer is not None and answer.status_code == 200 for answer in first)
            await server.stop()
            await server.start()

            second = await asyncio.gather(*(refresh(session["refresh_token"]) for _ in range(TABS)))
            answered = [answer for answer in second if answer is not None]
            assert [answer.status_code for answer in answered] == [200] * TABS, [answer.text for answer in answered]
            successors = {answer.json()["refresh_token"] for answer in answered}
            assert len(successors) == 1

            # The successor works on; who uses the old one behind it ends the login, whose link closes with the answer.
            third = await refresh(successors.pop())
            assert third is not None
            newest = third.json()
            url = f"{server.address.replace('http', 'ws', 1)}/v1/realtime"
            async with connect(url, subprotocols=[Subprotocol("chiron.v1.json")], proxy=None) as link:
                await link.send(json.dumps({"op": "connect", "id": 1, "token": newest["access_token"]}))
                assert json.loads(await link.recv())["op"] == "welcome"
                stolen = await refresh(session["refresh_token"])
                assert stolen is not None
                assert (stolen.status_code, stolen.json()["code"]) == (401, "refresh_reused")
                frame: dict[str, Any] = {}
                while frame.get("op") != "close":
                    frame = json.loads(await asyncio.wait_for(link.recv(), 10))
                assert (frame["code"], frame["resumable"]) == (4004, False)
            ended = await refresh(newest["refresh_token"])
            assert ended is not None
            assert ended.json()["code"] == "login_ended"
            me = await http.get("/v1/me", headers={"authorization": f"Bearer {newest['access_token']}"})
            assert me.json()["code"] == "login_ended"
        await server.stop()
