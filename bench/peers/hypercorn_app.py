"""The same behind an ASGI server, as most Python services would have it: hypercorn on uvloop, HTTP/3 by aioquic.

`python hypercorn_app.py CHAIN KEY`: prints its port. It answers GET /small with 100 bytes and /large with 20 MiB, and
looks neither for a route nor for a token.
"""

from __future__ import annotations

import socket
import sys
from typing import Any

import uvloop
from hypercorn.asyncio import serve
from hypercorn.config import Config

BODIES = {"/small": b"x" * 100, "/large": b"x" * (20 << 20)}


async def app(scope: Any, _receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    body = BODIES[scope["path"]]
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def main() -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    config = Config()
    # It takes the descriptor over.
    config.bind, config.quic_bind = [], [f"fd://{sock.fileno()}"]
    config.certfile, config.keyfile = sys.argv[1:]
    config.loglevel = "warning"
    print(sock.getsockname()[1], flush=True)
    sock.detach()
    await serve(app, config)


uvloop.run(main())
