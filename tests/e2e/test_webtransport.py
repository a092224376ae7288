"""The page over WebTransport, over WebSocket where UDP does not pass, and itself over HTTP/3, in a real browser."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import AsyncIterator, Callable

import pytest
from browsing import (
    PATIENCE,
    NewPage,
    begin_direct,
    chromium,
    open_conversation,
    people,
    say,
    see,
    sign_in,
    sign_up,
    violations,
)
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from datagram_proxy import DatagramProxy
from playwright.async_api import Browser, Page, expect
from serving import Server, until

pytestmark = pytest.mark.e2e

WATCH = """
window.opened = {};
window.datagrams = [];
window.WebTransport = class extends WebTransport {
  constructor(url, options) {
    super(url, options);
    this.closed.catch(() => { window.gaveUp = true; });
    window.opened.webtransport ??= performance.now();
    window.hashes = options.serverCertificateHashes?.length ?? 0;
    const [page, test] = this.datagrams.readable.tee();
    Object.defineProperty(this.datagrams, "readable", { value: page });
    const decoder = new TextDecoder();
    test.pipeTo(new WritableStream({ write: (bytes) => void window.datagrams.push(decoder.decode(bytes)) }))
      .catch(() => undefined);
  }
};
window.WebSocket = class extends WebSocket {
  constructor(...how) {
    super(...how);
    window.opened.websocket ??= performance.now();
  }
};
"""
"""Notes when the page tries what, in ms since it was loaded, and its datagrams, and whether a session failed."""


@pytest.fixture
def engine() -> str:
    """What speaks QUIC, unless a test is for several."""
    return "native"


@pytest.fixture
async def server(new_server: Callable[[], Server], engine: str) -> Server:
    made = new_server()
    made.settings |= {"CHIRON_QUIC_ENGINE": engine}
    await made.start()
    return made


async def over(page: Page, transport: str) -> None:
    """Wait until the page is connected and says that it is so over this.

    A machine that is busy for most of a second may make WebTransport lose its race: then the page is loaded anew.
    """
    shown = page.get_by_test_id("transport")
    for _ in range(5):
        await expect(shown).to_be_visible(timeout=PATIENCE)
        if await shown.text_content() == transport:
            break
        await page.reload()
    await expect(shown).to_have_text(transport)
    assert transport in (await shown.get_attribute("title") or "")


async def talk(one: Page, other: Page, name: str, text: str) -> None:
    """`one`, who shows the conversation, says something, and `name` is who `other` is told that it is from."""
    await say(one, text)
    await open_conversation(other, name)
    await see(other, text)
    await expect(one.locator("article[data-state='read']")).to_have_count(1, timeout=PATIENCE)


@pytest.mark.parametrize("engine", ["native", "aioquic"])
async def test_without_any_flag_two_pages_talk_over_webtransport(server: Server, new_page: NewPage) -> None:
    pages = []
    for name in ("Ada", "Bob"):
        page = await new_page(at="about:blank")
        await page.add_init_script(WATCH)
        await page.goto(server.address)
        await sign_up(page, name)
        await over(page, "WebTransport")
        assert await page.evaluate("window.hashes") == 2
        pages.append(page)
    ada, bob = pages
    await begin_direct(ada, "bob@example.org")
    await talk(ada, bob, "Ada", "Good morning 🌞")
    await say(bob, "W" * 16_000)
    await see(ada, "W" * 16_000)
    assert await violations(ada) == []

    async def came(page: Page, kind: str) -> bool:
        frames = [json.loads(text) for text in await page.evaluate("window.datagrams")]
        assert all(frame["op"] == "event" for frame in frames)
        return any(frame["kind"] == kind for frame in frames)

    await until(lambda: came(ada, "watermark"), lambda: "that Bob has read it came by no datagram")
    await until(lambda: came(bob, "head"), lambda: "that there is something to read came by no datagram")
    assert await server.stop() == 0, server.tail()


async def test_a_page_over_webtransport_comes_back_after_a_crash(server: Server, new_page: NewPage) -> None:
    ada, bob = await new_page(), await new_page()
    for page, name in ((ada, "Ada"), (bob, "Bob")):
        await sign_up(page, name)
        await over(page, "WebTransport")
    await begin_direct(ada, "bob@example.org")
    await talk(ada, bob, "Ada", "before")
    assert server.kill_worker()
    # Nobody tells the page that the server is gone: it finds out when it has something to say.
    await say(ada, "meanwhile")
    await see(bob, "meanwhile")
    await expect(ada.locator("article[data-state='read']")).to_have_count(2, timeout=PATIENCE)
    for page in (ada, bob):
        await see(page, "before")


@pytest.fixture
async def proxied(new_server: Callable[[], Server]) -> AsyncIterator[tuple[Server, DatagramProxy]]:
    """A server whose clients are told another UDP port, and the proxy that is there."""
    made = new_server()
    async with DatagramProxy("127.0.0.1", made.secure) as proxy:
        made.settings |= {"CHIRON_PUBLIC_PORT": str(proxy.port)}
        await made.start()
        yield made, proxy


async def test_with_udp_blocked_the_page_talks_over_websocket_within_a_second(
    proxied: tuple[Server, DatagramProxy], browser: Browser
) -> None:
    server, proxy = proxied
    proxy.block()
    async with people(browser, server.address) as new_page:
        ada, bob = await new_page(at="about:blank"), await new_page()
        await ada.add_init_script(WATCH)
        await ada.goto(server.address)
        for page, name in ((ada, "Ada"), (bob, "Bob")):
            await sign_up(page, name)
            await over(page, "WebSocket")
        opened: dict[str, float] = await ada.evaluate("window.opened")
        assert opened["websocket"] - opened["webtransport"] < 1_000
        assert await violations(ada) == []
        await begin_direct(ada, "bob@example.org")
        await talk(ada, bob, "Ada", "over TCP")
        await until(lambda: ada.evaluate("window.gaveUp"), lambda: "WebTransport is still being tried")
        proxy.unblock()
        # Where it did not work it is not tried with the next connection, unless the network is another one.
        await come_back(ada, "Ada")
        await over_same_page(ada, "WebSocket")
        await ada.evaluate("window.dispatchEvent(new Event('online'))")
        await come_back(ada, "Ada")
        await over_same_page(ada, "WebTransport")
        await open_conversation(ada, "Bob")
        await say(ada, "over UDP")
        await see(bob, "over UDP")


async def come_back(page: Page, name: str) -> None:
    """Have the page make another connection."""
    await page.get_by_role("button", name="Sign out").click()
    await sign_in(page, name)


async def over_same_page(page: Page, transport: str) -> None:
    await expect(page.get_by_test_id("transport")).to_have_text(transport, timeout=PATIENCE)


async def test_udp_that_ceases_to_pass_is_noticed(proxied: tuple[Server, DatagramProxy], browser: Browser) -> None:
    server, proxy = proxied
    async with people(browser, server.address) as new_page:
        ada, bob = await new_page(), await new_page()
        for page, name in ((ada, "Ada"), (bob, "Bob")):
            await sign_up(page, name)
            await over(page, "WebTransport")
        await begin_direct(ada, "bob@example.org")
        await talk(ada, bob, "Ada", "before")
        proxy.block()
        await say(ada, "meanwhile")
        await expect(ada.locator("article[data-state='sent'], article[data-state='read']")).to_have_count(
            2, timeout=2 * PATIENCE
        )
        await see(bob, "meanwhile")
        for page in (ada, bob):
            await over_same_page(page, "WebSocket")


async def test_a_browser_that_trusts_the_certificate_loads_the_page_over_http3(server: Server) -> None:
    certificate = x509.load_pem_x509_certificate((server.data / "tls" / "quic.pem").read_bytes())
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    trusted = base64.b64encode(hashlib.sha256(key).digest()).decode()
    origin = f"127.0.0.1:{server.secure}"
    async with (
        chromium(f"--origin-to-force-quic-on={origin}", f"--ignore-certificate-errors-spki-list={trusted}") as browser,
        people(browser, f"https://{origin}") as new_page,
    ):
        page = await new_page()
        await sign_up(page, "Ada")
        await over(page, "WebTransport")
        protocols: dict[str, str] = await page.evaluate(
            """() => Object.fromEntries(
                [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
                    .map((entry) => [new URL(entry.name).pathname, entry.nextHopProtocol]))"""
        )
        assert {"/", "/v1/people", "/v1/transports"} <= protocols.keys()
        assert set(protocols.values()) == {"h3"}
