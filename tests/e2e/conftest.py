"""Servers to use and to harm."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
from browsing import PASSWORD, Account, NewPage, chromium, people
from playwright.async_api import Browser
from serving import Server, servers, until

from chiron.client import Api


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., object]:
    return until


@pytest.fixture
async def new_server() -> AsyncIterator[Callable[[], Server]]:
    """Makes servers that are not started yet; they are gone after the test."""
    async with servers() as make:
        yield make


@pytest.fixture
async def server(new_server: Callable[[], Server]) -> Server:
    """One that serves."""
    made = new_server()
    await made.start()
    return made


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest.fixture
async def new_page(server: Server, browser: Browser) -> AsyncIterator[NewPage]:
    async with people(browser, server.address) as make:
        yield make


@pytest.fixture
async def account(server: Server) -> AsyncIterator[Account]:
    """Makes accounts of people who act by the API."""
    made: list[Api] = []

    async def make(name: str) -> Api:
        made.append(Api(server.address))
        await made[-1].register(f"{name.lower()}@example.org", PASSWORD, name)
        return made[-1]

    yield make
    for api in made:
        await api.close()
