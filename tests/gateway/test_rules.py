"""Nothing is served without a rule that says who may."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

import chiron.server
from chiron.server.ports import ANYONE, Call, Command, Route

SERVER = Path(chiron.server.__path__[0])
PLACE = {"Route": 3, "Command": 2}
"""Where the rule stands among positional arguments."""


def declarations() -> list[tuple[str, ast.Call, str]]:
    """Every `Route(…)` and `Command(…)` of the server's sources."""
    found = []
    for path in sorted(SERVER.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if name in PLACE:
                    found.append((f"{path.relative_to(SERVER)}:{node.lineno}", node, name))
    return found


def test_every_route_and_command_in_the_sources_declares_its_rule() -> None:
    found = declarations()
    assert found
    for where, node, name in found:
        rule = next((word.value for word in node.keywords if word.arg == "rule"), None)
        if rule is None and len(node.args) > PLACE[name]:
            rule = node.args[PLACE[name]]
        assert rule is not None, f"{where}: {name} without a rule"
        assert not (isinstance(rule, ast.Constant) and rule.value is None), f"{where}: the rule is None"


async def nothing(_call: Call) -> None:
    return None


def test_a_gateway_refuses_a_route_without_a_rule(house: Any) -> None:
    house([Route("GET", "/x", nothing, ANYONE)])
    with pytest.raises(TypeError, match="GET /y has no rule"):
        house([Route("GET", "/y", nothing, None)])  # type: ignore[arg-type]


def test_commands_without_a_rule_are_refused(house: Any) -> None:
    house(commands=[Command("x.y", nothing, ANYONE)])
    with pytest.raises(TypeError, match=r"x\.y has no rule"):
        house(commands=[Command("x.y", nothing, None)])  # type: ignore[arg-type]
