"""What the server listens on, and the server that already does."""

from __future__ import annotations

import errno
import os
import socket
from dataclasses import dataclass

import httpx

from chiron.server.config import parse_address
from chiron.server.doctor import processes
from chiron.server.doctor.findings import Fault, Found, problem, warning
from chiron.server.doctor.subject import Subject
from chiron.server.platform.addresses import is_local

PRIVILEGED = 1024
ANSWER_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Place:
    """An address to listen on; host "" is every address. `setting` is what names it in the settings."""

    setting: str
    host: str
    port: int

    def setting_for(self, port: int) -> str:
        """The same with another port, as a settings file says it."""
        if self.setting == "port":
            return f"port = {port}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f'{self.setting} = "{host}:{port}"'


def places(subject: Subject) -> list[Place]:
    """Raises ValueError for what is no address."""
    settings = subject.settings
    found = [Place("port", settings.host, settings.port)]
    for setting, address in (("plain", settings.plain), ("metrics", settings.metrics)):
        if address:
            found.append(Place(setting, *parse_address(address)))
    return found


def ports(subject: Subject) -> Found:
    try:
        wanted = places(subject)
    except ValueError as error:
        return "not understood", [problem(f"{error}.", 'plain = "127.0.0.1:8080"')]
    said, faults = [], []
    ours = processes.family(subject.server) if subject.server is not None else set()
    for place in wanted:
        word, fault = _look(place, ours)
        said.append(f"{place.setting} {place.port} {word}")
        if fault:
            faults.append(fault)
        if place.setting == "plain" and not is_local(place.host) and not subject.settings.trusted_proxies:
            faults.append(
                warning(
                    f"The listener without TLS is on {place.host}, where passwords pass in clear.",
                    'plain = "127.0.0.1:8080"',
                    'trusted_proxies = ["NETWORK"]   (if only a proxy of yours can reach it)',
                )
            )
    if subject.server is not None and all(word.endswith(" free") for word in said):
        listening = processes.listening()
        owners = processes.owners({socket.inode for socket in listening})
        numbers = sorted({sock.port for sock in listening if owners.get(sock.inode, set()) & ours})
        said.append(f"the running server has {', '.join(map(str, numbers)) or 'others'}")
    return ", ".join(said), faults


def _look(place: Place, ours: set[int]) -> tuple[str, Fault | None]:
    """A word for the line, and what keeps a server from listening there."""
    error = _bind(place.host, place.port)
    if error is None:
        return "free", None
    where = f"{place.host or 'every address'}, port {place.port}"
    if error.errno == errno.EADDRINUSE:
        holders = _holders(place.port)
        if holders & ours:
            return "in use by this server", None
        who = " and ".join(processes.name(pid) for pid in sorted(holders)) or "a program that this user may not see"
        stop = f"kill {' '.join(map(str, sorted(holders)))}" if holders else f"sudo ss -ltnp 'sport = :{place.port}'"
        other = _free_port(place)
        return "taken", problem(
            f"Port {place.port} is in use by {who}.",
            stop,
            *([f"{place.setting_for(other)}   (or another port)"] if other else []),
        )
    if error.errno == errno.EACCES:
        return "refused", problem(
            f"Ports below {PRIVILEGED} need a right that this user does not have: {where}.",
            "[Service] AmbientCapabilities=CAP_NET_BIND_SERVICE   (systemd: systemctl edit chiron)",
            f"sysctl -w net.ipv4.ip_unprivileged_port_start={place.port}   (or for every program)",
            f"{place.setting_for(8443)}   (or another port, with a proxy in front)",
        )
    return "refused", problem(
        f"{place.host or 'Every address'} is no address to listen on here: {error.strerror or error}.",
        "ip address   (shows those of this machine)",
        'host = ""   (every address)' if place.setting == "port" else f'{place.setting} = "127.0.0.1:{place.port}"',
    )


def _bind(host: str, port: int) -> OSError | None:
    """Bind as the supervisor does, without listening: nobody can connect, and nothing is seen of it."""
    try:
        if not host and socket.has_dualstack_ipv6():
            address = ("::", port)
            family = socket.AF_INET6
        else:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            address = (host, port)
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(bool(host)))
            if os.name == "posix":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return error
    return None


def _holders(port: int) -> set[int]:
    owners = processes.owners({sock.inode for sock in processes.listening() if sock.port == port})
    return set().union(*owners.values()) if owners else set()


def _free_port(place: Place) -> int | None:
    above = range(max(place.port + 1, PRIVILEGED), min(place.port + 50, 65536))
    return next((port for port in above if _bind(place.host, port) is None), None)


async def server(subject: Subject) -> Found:
    """The one on this data folder, and whether it is ready."""
    pid = subject.server
    if pid is None:
        return "none runs on this data folder", []
    who = processes.name(pid)
    if not subject.settings.plain or subject.settings.proxy_protocol:
        return f"{who} runs", []
    host, port = parse_address(subject.settings.plain)
    if not _holders(port) & processes.family(pid):
        return f"{who} runs, at another address than the settings say", []
    host = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - compared, not bound
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}/readyz"
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=ANSWER_SECONDS) as http:
            answer = await http.get(url)
    except httpx.HTTPError as error:
        return f"{who} does not answer", [
            problem(
                f"The server does not answer at {url}: {str(error) or type(error).__name__}.",
                f"kill {pid}   (then start it again)",
            )
        ]
    if answer.is_success:
        return f"{who} is ready", []
    trouble = "; ".join(f"{part}: {what}" for part, what in answer.json().get("trouble", {}).items())
    return f"{who} is not ready", [
        warning(f"The server is not ready: {trouble or 'it does not say why'}.", f"curl {url}   (until it says ok)")
    ]
