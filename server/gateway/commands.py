"""Commands of a link: the same dispatch as a route's, without HTTP."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from chiron.errors import Refused
from chiron.server.gateway.decoding import decode_json
from chiron.server.gateway.limits import Limits
from chiron.server.ports import Call, Clock, Command, Principal, Rule, TokenVerifier


class Commands:
    """`ports.Commands` over the commands of the domains."""

    def __init__(self, commands: Iterable[Command], *, verifier: TokenVerifier, limits: Limits, clock: Clock) -> None:
        """Raises TypeError for a command without a rule, ValueError for a name that is there twice."""
        self._commands: dict[str, Command] = {}
        for command in commands:
            if not isinstance(command.rule, Rule):
                raise TypeError(f"the command {command.name} has no rule")
            if self._commands.setdefault(command.name, command) is not command:
                raise ValueError(f"the command {command.name} is there twice")
        self._verifier = verifier
        self._limits = limits
        self._clock = clock

    async def run(self, name: str, principal: Principal, params: bytes) -> bytes | None:
        command = self._commands.get(name)
        if command is None:
            raise Refused("unknown_command", name=name[:100])
        now = self._clock.monotonic()
        self._limits.person(principal.person, command.cost, now).admit()
        if command.limit is not None:
            self._limits.endpoint(name, principal.person, command.limit, now).admit()
        if command.rule.verified and not principal.verified:
            raise Refused("unverified")
        if not command.reads:
            self._verifier.require_fresh()
        typed: Any = decode_json(params, command.params, whole="params") if command.params is not None else None
        fields = {} if typed is None else msgspec.structs.asdict(typed)
        if command.rule.check is not None:
            await command.rule.check(principal, fields)
        result = await command.handler(Call(principal=principal, params=fields, body=typed))
        return None if result is None else msgspec.json.encode(result)
