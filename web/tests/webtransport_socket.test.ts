import { beforeEach, describe, expect, test, vi } from "vitest";

import type { SocketListener } from "../src/link";
import { encodeRecord } from "../src/records";
import { WebTransportSocket, browserSession } from "../src/webtransport_socket";
import { settle } from "./support/clock";
import { TestSession } from "./support/webtransport";

class Told implements SocketListener {
  readonly events: string[] = [];

  opened(): void {
    this.events.push("opened");
  }
  message(text: string | null): void {
    this.events.push(text ?? "no text");
  }
  closed(code: number): void {
    this.events.push(`closed ${code}`);
  }
}

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

/** The next task begins when this is settled. */
let task: Promise<void>;
let session: TestSession;
let told: Told;
let socket: WebTransportSocket;

beforeEach(() => {
  task = Promise.resolve();
  session = new TestSession();
  told = new Told();
  socket = new WebTransportSocket(session, told, () => task);
});

describe("a session", () => {
  test("is open with its one stream, which carries frames both ways", async () => {
    await settle();
    expect(told.events).toEqual([]);
    await session.accept();
    expect(told.events).toEqual(["opened"]);
    expect(session.streams).toBe(1);
    socket.send('{"op":"connect","id":1}');
    socket.send('{"op":"pong"}');
    await settle();
    expect(session.sent).toEqual([{ op: "connect", id: 1 }, { op: "pong" }]);
    await session.say({ op: "ping" });
    expect(told.events).toEqual(["opened", '{"op":"ping"}']);
  });

  test("may bring a frame in pieces, and several in one", async () => {
    await session.accept();
    const frames = [...encodeRecord('{"op":"ping"}'), ...encodeRecord('{"op":"lag"}')];
    await session.put(Uint8Array.from(frames.slice(0, 5)));
    expect(told.events).toEqual(["opened"]);
    await session.put(Uint8Array.from(frames.slice(5)));
    expect(told.events).toEqual(["opened", '{"op":"ping"}', '{"op":"lag"}']);
  });

  test("tells each frame in a task of its own, as a WebSocket does, and its end behind them", async () => {
    await session.accept();
    let begin = (): void => undefined;
    const later = (): void => {
      task = new Promise((resolve) => (begin = resolve));
    };
    later();
    await session.put(Uint8Array.from([...encodeRecord("one"), ...encodeRecord("two")]));
    await session.hangUp({ closeCode: 1001 });
    for (const events of [["one"], ["one", "two", "closed 1001"]]) {
      const start = begin;
      later();
      start();
      await settle();
      expect(told.events.slice(1)).toEqual(events);
    }
  });

  test("that cannot be made is closed once", async () => {
    await session.refuse();
    expect(told.events).toEqual(["closed 1006"]);
  });

  test("ends with the code that the server closed it with", async () => {
    await session.accept();
    await session.hangUp({ closeCode: 4003, reason: "token_expired" });
    expect(told.events).toEqual(["opened", "closed 4003"]);
  });

  test("that is lost is closed once", async () => {
    await session.accept();
    await session.lose();
    expect(told.events).toEqual(["opened", "closed 1006"]);
  });

  test("whose stream the server ends is left to it, which then says why", async () => {
    await session.accept();
    await session.endStream();
    expect(told.events).toEqual(["opened"]);
    expect(session.ended).toBe(true);
    await session.hangUp({ closeCode: 1009, reason: "too_large" });
    expect(told.events).toEqual(["opened", "closed 1009"]);
  });

  test("whose server takes nothing any more is given up", async () => {
    await session.accept();
    session.deaf = true;
    socket.send('{"op":"pong"}');
    await settle();
    expect(told.events).toEqual(["opened", "closed 1006"]);
    expect(session.closes).toBe(1);
  });

  test("that this side closes tells nothing more", async () => {
    await session.accept();
    socket.close();
    await session.say({ op: "ping" });
    await session.hangUp({});
    expect(session.closes).toBe(1);
    expect(told.events).toEqual(["opened"]);
  });

  test("that this side closes before it is there never opens", async () => {
    socket.close();
    await session.accept();
    expect(told.events).toEqual([]);
  });

  test("that is closed by a frame brings none of those behind it", async () => {
    await session.accept();
    told.message = (text) => {
      told.events.push(text ?? "no text");
      socket.close();
    };
    await session.put(Uint8Array.from([...encodeRecord("one"), ...encodeRecord("two")]));
    expect(told.events).toEqual(["opened", "one"]);
  });

  test.each([
    ["over the limit", Uint8Array.from([0x80, 0x20, 0, 0])],
    ["that are no UTF-8", Uint8Array.from([1, 0xff])],
  ])("brings records %s as what they are: no text", async (_, bytes) => {
    await session.accept();
    await session.put(bytes);
    expect(told.events).toEqual(["opened", "no text"]);
  });
});

describe("datagrams", () => {
  test("are frames, once the first record is there", async () => {
    await session.accept();
    await session.datagram(utf8("early"));
    await session.say({ op: "ping" });
    await session.datagram(utf8("late"));
    expect(told.events).toEqual(["opened", '{"op":"ping"}', "late"]);
  });

  test("that are not text are told as that", async () => {
    await session.accept();
    await session.say({ op: "ping" });
    await session.datagram(Uint8Array.from([0xff]));
    expect(told.events.at(-1)).toBe("no text");
  });
});

describe("in a browser", () => {
  test("certificates are given by hash, and not at all where there is none", () => {
    const made: unknown[][] = [];
    vi.stubGlobal(
      "WebTransport",
      class {
        constructor(...how: unknown[]) {
          made.push(how);
        }
      },
    );
    browserSession({ url: "https://chiron.example/v1/realtime", hashes: [] });
    browserSession({ url: "https://127.0.0.1:8443/v1/realtime", hashes: ["AAEC/w==", "/w=="] });
    expect(() => browserSession({ url: "https://127.0.0.1:8443/v1/realtime", hashes: ["?"] })).toThrow();
    expect(made).toEqual([
      ["https://chiron.example/v1/realtime", {}],
      [
        "https://127.0.0.1:8443/v1/realtime",
        {
          serverCertificateHashes: [
            { algorithm: "sha-256", value: Uint8Array.from([0, 1, 2, 255]) },
            { algorithm: "sha-256", value: Uint8Array.from([255]) },
          ],
        },
      ],
    ]);
    vi.unstubAllGlobals();
  });
});
