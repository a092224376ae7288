"""A server in this process, which tests can look into, and people who live there."""

from __future__ import annotations

import asyncio
import itertools
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import httpx
from serving import until

from chiron.server import app
from chiron.server.config import IdentitySettings, LimitSettings, Settings, WorkerConfig
from chiron.server.platform import keys

PASSWORD = "a heron over the reeds"
UNLIMITED = LimitSettings(address_per_second=1e9, address_burst=1e9, person_per_second=1e9, person_burst=1e9)


@dataclass(slots=True)
class Resident:
    """Somebody with an account and a session."""

    email: str
    session: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.session["person"]["person"])

    @property
    def bearer(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.session['access_token']}"}


class Residence:
    """The server and a client of it. Mail goes to a drop folder, as it does by default."""

    def __init__(self, server: app.App, port: int, mail: Path) -> None:
        self.server = server
        self.port = port
        self.address = f"http://127.0.0.1:{port}"
        self.mail = mail
        self.http = httpx.AsyncClient(base_url=self.address, trust_env=False, timeout=30.0)
        self._arrivals = itertools.count(1)
        self._addresses = itertools.count(1)

    async def move_in(self, name: str = "resident", *, verified: bool = True) -> Resident:
        """A new person, by default with a verified address."""
        email = f"{name.lower()}-{next(self._arrivals)}@example.org"
        account = {"email": email, "password": PASSWORD, "name": name}
        resident = Resident(email, await self._get("POST", "/v1/people", account))
        if verified and not resident.session["person"]["verified"]:
            await self._get("POST", "/v1/verifications", {"token": await self.token(email, "verify")})
            await self.renew(resident)
        return resident

    async def renew(self, resident: Resident) -> None:
        token = {"refresh_token": resident.session["refresh_token"]}
        resident.session = await self._get("POST", "/v1/logins/refresh", token)

    async def sign_in(self, resident: Resident) -> None:
        login = {"email": resident.email, "password": PASSWORD}
        resident.session = await self._get("POST", "/v1/logins", login)

    async def token(self, email: str, purpose: str) -> str:
        """The token of the newest mail to this address whose link is `/#/<purpose>/TOKEN`."""
        found: list[str] = []

        async def arrived() -> bool:
            for file in sorted(self.mail.glob("[!.]*.eml")):  # a dot begins what is yet being written
                mail = message_from_bytes(file.read_bytes(), policy=default)
                link = re.search(rf"/#/{purpose}/([\w~.-]+)", mail.get_content())
                if link is not None and email in str(mail["to"]):
                    found.append(link[1])
            return bool(found)

        await until(arrived, lambda: f"no mail came to {email}")
        return found[-1]

    async def is_ready(self) -> bool:
        return (await self.http.get("/readyz")).status_code == 200

    def elsewhere(self) -> dict[str, str]:
        """Headers of a request that seems to come from an address of its own, as a proxy would say."""
        number = next(self._addresses)
        return {"x-forwarded-for": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"}

    async def _get(self, method: str, path: str, body: Any) -> dict[str, Any]:
        answer = await self.http.request(method, path, json=body, headers=self.elsewhere())
        assert answer.is_success, answer.text
        return dict(answer.json()) if answer.content else {}


@asynccontextmanager
async def residence(dsn: str, folder: Path, *, verification: bool = True) -> AsyncIterator[Residence]:
    """One that serves, without limits worth mentioning, with its data in `folder`."""
    settings = Settings(
        data_dir=folder,
        limits=UNLIMITED,
        trusted_proxies=("127.0.0.1/32",),
        identity=IdentitySettings(verification="required" if verification else "off"),
    )
    config = WorkerConfig(database=dsn, keys=keys.generate(), tls_chain=b"", tls_key=b"", settings=settings)
    server = app.build(config)
    sock = socket.create_server(("127.0.0.1", 0))
    await server.start([(sock, False)])
    home = Residence(server, sock.getsockname()[1], folder / "mail")
    try:
        yield home
    finally:
        await home.http.aclose()
        await server.drain(2.0)
        await server.stop()


def tasks() -> set[asyncio.Task[Any]]:
    """What runs on this loop."""
    return {task for task in asyncio.all_tasks() if not task.done()}
