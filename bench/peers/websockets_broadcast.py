"""What a Python service would do without Chiron: `websockets.broadcast` on uvloop.

Speaks as `send.c` does: prints its port, then for each line `MESSAGES EACH PER_SECOND` broadcasts, and prints `done`.
`python websockets_broadcast.py FILE TOGETHER`: FILE holds the text of one message, TOGETHER are sent at a time.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve


async def main() -> None:
    text = await asyncio.to_thread(Path(sys.argv[1]).read_text)
    together = int(sys.argv[2])
    connections: list[ServerConnection] = []

    async def hold(connection: ServerConnection) -> None:
        connections.append(connection)
        await connection.wait_closed()

    loop = asyncio.get_running_loop()
    orders: asyncio.Queue[bytes] = asyncio.Queue()
    loop.add_reader(sys.stdin.fileno(), lambda: orders.put_nowait(sys.stdin.buffer.readline()))
    async with serve(hold, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        while order := (await orders.get()).split():
            messages, each, per_second = int(order[0]), int(order[1]), float(order[2])
            began = loop.time()
            sent = at = 0
            while sent < messages:
                due = min(messages, int((loop.time() - began) * per_second) + 1)
                for _ in range(due - sent):
                    audience = [connections[index % len(connections)] for index in range(at, at + each)]
                    at += each
                    for _ in range(together):
                        broadcast(audience, text)
                sent = due
                await asyncio.sleep(0.001)
            print("done", flush=True)


uvloop.run(main())
