"""Commands of a link: found by name, limited, checked, decoded, answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
import pytest

from chiron.errors import ChironError, Refused
from chiron.server.gateway import Rates
from chiron.server.ports import SIGNED_IN, Call, Command, Principal, Rate, Rule

ADA = Principal(person=UUID(int=1), login=UUID(int=11), expires_at=2e9)


class Invite(msgspec.Struct):
    conversation: UUID
    name: str = ""


async def invite(call: Call) -> dict[str, Any]:
    assert isinstance(call.body, Invite)
    assert call.params == {"conversation": call.body.conversation, "name": call.body.name}
    return {"person": call.person, "name": call.body.name}


INVITE = Command("conversation.add", invite, SIGNED_IN, params=Invite, cost=2.0)
PARAMS = msgspec.json.encode({"conversation": UUID(int=5), "name": "Ada"})


async def refusal(commands: Any, name: str, params: bytes) -> ChironError:
    with pytest.raises(ChironError) as caught:
        await commands.run(name, ADA, params)
    return caught.value


async def test_a_command_is_decoded_run_and_encoded(house: Any) -> None:
    result = await house(commands=[INVITE]).commands.run("conversation.add", ADA, PARAMS)
    assert msgspec.json.decode(result) == {"person": str(UUID(int=1)), "name": "Ada"}


async def test_no_result_is_none(house: Any) -> None:
    async def nothing(_call: Call) -> None:
        return None

    assert await house(commands=[Command("a", nothing, SIGNED_IN)]).commands.run("a", ADA, b"{}") is None


async def test_an_unknown_name_is_said(house: Any) -> None:
    error = await refusal(house().commands, "conversation.burn", b"{}")
    assert (error.code, error.params["name"]) == ("unknown_command", "conversation.burn")


async def test_params_that_do_not_fit_are_named(house: Any) -> None:
    error = await refusal(house(commands=[INVITE]).commands, "conversation.add", b'{"conversation": "x"}')
    assert (error.code, error.params["field"]) == ("invalid", "conversation")


async def test_the_rule_sees_the_decoded_params(house: Any) -> None:
    async def check(principal: Principal, params: Mapping[str, Any]) -> None:
        assert principal is ADA
        assert params["conversation"] == UUID(int=5)
        raise Refused("forbidden")

    command = Command("x", invite, Rule("nobody", check=check), params=Invite)
    assert (await refusal(house(commands=[command]).commands, "x", PARAMS)).code == "forbidden"


async def test_commands_and_requests_share_a_persons_limit(house: Any) -> None:
    built = house(commands=[INVITE], rates=Rates(person=Rate(1.0, 4.0)))
    for _ in range(2):
        await built.commands.run("conversation.add", ADA, PARAMS)
    error = await refusal(built.commands, "conversation.add", PARAMS)
    assert (error.code, error.retry_after) == ("limited", 1.5)


def test_a_name_that_is_there_twice_is_refused(house: Any) -> None:
    with pytest.raises(ValueError, match="twice"):
        house(commands=[INVITE, INVITE.__class__("conversation.add", invite, SIGNED_IN)])
