"""A worker that scores: by link and over REST, live and from the log, until a moderator decides."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from community import Address, Community, Conversing, Somebody, client_id
from database import MigratedDatabase

from chiron.server.config import ModerationSettings
from chiron.server.ports import HEADS

HOLD, OTHER = "flurbwazzle", "grumblefitz"
"""In no list but that of this community; the second one later."""
LISTED = (*(f"{head}=allow" for head in HEADS), "term=hold", "contact=block")
"""What it goes by: whatever the model says."""
SECONDS = 30.0


async def settled(link: Conversing, raw: str, id: int) -> dict[str, Any]:
    """The answer to a frame that is sent again while it fails for now, as on a machine that is busy."""
    async with asyncio.timeout(SECONDS):
        while True:
            await link.say_raw(raw)
            answer = await link.hear(id)
            if not answer.get("temporary"):
                return answer


@dataclass
class Room:
    """A group of two, who have two links each, all attached; and a moderator who is no member."""

    address: Address
    id: str
    author: Somebody
    reader: Somebody
    moderator: Somebody
    links: list[Conversing]

    @property
    def channel(self) -> str:
        return f"conv:{self.id}"

    async def publish(self, text: str, *, by_link: bool, client: str = "", n: int = 1) -> dict[str, Any]:
        message = {"client_id": client or client_id(), "kind": "text", "body": {"text": text}}
        if by_link:
            frame = {"op": "publish", "id": 1_000 + n, "channel": self.channel, "n": n, **message}
            return await settled(self.links[0], json.dumps(frame), 1_000 + n)
        answer = await self.address.http.post(
            f"/v1/conversations/{self.id}/messages", json=message, headers=self.author.bearer
        )
        return {**answer.json(), "status": answer.status_code}

    async def delivered(self, link: int, offset: int) -> dict[str, Any]:
        """The delivery that a link was sent."""
        async with asyncio.timeout(SECONDS):
            while True:
                for frame in self.links[link].heard:
                    if frame["op"] == "delivery" and frame["offset"] == offset and "ordinal" in frame:
                        return frame
                await self.links[link].ask(op="watermark", channel=self.channel, received=0)

    async def read(self, who: Somebody, offset: int) -> dict[str, Any]:
        """The same from the log."""
        query = {"after": offset - 1, "limit": 1}
        answer = await self.address.http.get(f"/v1/conversations/{self.id}/messages", params=query, headers=who.bearer)
        item: dict[str, Any] = answer.json()["items"][0]
        return item


@asynccontextmanager
async def room(database: MigratedDatabase, folder: Path, **moderation: Any) -> AsyncIterator[Room]:
    terms = folder / "terms.tsv"
    terms.write_text(f"3\t{HOLD}\n")
    community = await Community.found(database)
    author, reader, moderator = [await community.person(name) for name in ("Ada", "Ben", "Mia")]
    await community.appoint(moderator.id)
    group = str(await community.group(author.id, [reader.id]))
    settings = ModerationSettings(terms=(terms,), shipped_terms=False, **moderation)
    async with (
        community.serve(folder / "data", moderation=settings) as address,
        address.links(author.access, author.access, reader.access) as links,
    ):
        for link in links:
            assert (await link.ask(op="attach", channel=f"conv:{group}", gen=1))["outcome"] == "complete"
        yield Room(address, group, author, reader, moderator, links)


@pytest.mark.parametrize("by_link", [True, False])
async def test_a_held_message_on_its_way(database: MigratedDatabase, tmp_path: Path, by_link: bool) -> None:
    async with room(database, tmp_path, group_actions=LISTED) as place:
        text = f"you {HOLD}"
        ack = await place.publish(text, by_link=by_link)
        assert ack["verdict"] == "hold"
        offset = ack["offset"]
        whole, redacted = await place.delivered(1, offset), await place.delivered(2, offset)
        assert (whole["body"], whole["verdict"]) == ({"text": text}, "hold")
        assert (redacted["body"], redacted["verdict"], "client_id" in redacted) == ({}, "hold", False)
        for who, seen in ((place.author, whole), (place.reader, redacted)):
            assert await place.read(who, offset) == seen, "the log says the same"

        http = place.address.http
        held = (await http.get("/v1/moderation/held", headers=place.moderator.bearer)).json()["items"]
        assert [(item["message"], item["text"], item["reasons"]) for item in held] == [(ack["message"], text, ["term"])]
        [span] = [span for span in held[0]["spans"] if span["label"] == "term"]
        assert text[span["start"] : span["end"]] == HOLD
        decision = {"message": ack["message"], "decision": "release"}
        answer = await http.post("/v1/moderation/decisions", json=decision, headers=place.moderator.bearer)
        assert answer.status_code == 200
        for link in (1, 2):
            told = await place.delivered(link, offset + 1)
            assert (told["kind"], told["author"], told["body"]["body"]) == (
                "message.decided",
                str(place.author.id),
                {"text": text},
            )
        assert (await place.read(place.reader, offset))["body"] == {"text": text}


@pytest.mark.parametrize("by_link", [True, False])
async def test_a_blocked_message_is_refused_and_leaves_no_gap(
    database: MigratedDatabase, tmp_path: Path, by_link: bool
) -> None:
    async with room(database, tmp_path, group_actions=LISTED) as place:
        text = "write to me at heron@example.org"
        refused = await place.publish(text, by_link=by_link)
        assert (refused["code"], refused["params"]["reasons"]) == ("blocked", ["contact"])
        assert "score" not in json.dumps(refused)
        if not by_link:
            assert refused["status"] == 422
        after = await place.publish("and now something else", by_link=by_link, n=2)
        assert (await place.read(place.reader, after["offset"]))["body"] == {"text": "and now something else"}
        assert (await place.read(place.reader, after["offset"] - 1))["kind"] != "text" or after["offset"] == 3
        rows = await database.pool.read(lambda tx: tx.fetch("SELECT * FROM finding"))
        assert [row["done"] for row in rows] == ["block"]
        everything = await database.pool.read(lambda tx: tx.fetch("SELECT row_to_json(f)::text AS all FROM finding f"))
        assert "heron" not in everything[0]["all"], "nothing of what was said is kept"


async def test_what_is_scored_is_what_is_stored(database: MigratedDatabase, tmp_path: Path) -> None:
    """Of members with the same name the last counts, for whoever scores too."""
    async with room(database, tmp_path, group_actions=LISTED) as place:
        link = place.links[0]
        for n, (bodies, verdict) in enumerate(
            (
                ('{"text":"fine","text":"you WORD"}', "hold"),
                ('{"text":"you WORD","text":"fine"}', None),
                (r'{"t\u0065xt":"you WORD"}', "hold"),
                (r'{"more":{"text":"fine"},"text":"you\u0020WORD"}', "hold"),
            ),
            1,
        ):
            frame = {"op": "publish", "id": 100 + n, "channel": place.channel, "client_id": client_id(), "n": n}
            body = bodies.replace("WORD", HOLD)
            raw = json.dumps({**frame, "kind": "text", "body": 0}).replace('"body": 0', f'"body": {body}')
            ack = await settled(link, raw, 100 + n)
            assert ack.get("verdict") == verdict, bodies


async def test_lists_and_rules_change_while_it_serves(database: MigratedDatabase, tmp_path: Path) -> None:
    async with room(database, tmp_path, group_actions=LISTED) as place:
        server, config = place.address.server, place.address.config
        terms = tmp_path / "terms.tsv"
        assert "verdict" not in await place.publish(OTHER, by_link=True)
        terms.write_text(f"3\t{OTHER}\n")
        server.reload(config)
        assert (await place.publish(OTHER, by_link=True, n=2))["verdict"] == "hold"
        assert (await place.publish(OTHER, by_link=False))["verdict"] == "hold"
        terms.write_text("such a mess\n")
        with pytest.raises(ValueError, match=r"terms\.tsv"):
            server.reload(config)
        assert (await place.publish(OTHER, by_link=True, n=3))["verdict"] == "hold"
        terms.write_text(f"3\t{OTHER}\n")
        rules = msgspec.structs.replace(config.settings.moderation, group="shadow")
        server.reload(
            msgspec.structs.replace(config, settings=msgspec.structs.replace(config.settings, moderation=rules))
        )
        assert "verdict" not in await place.publish(OTHER, by_link=True, n=4)
