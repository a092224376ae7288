import { beforeEach, describe, expect, test, vi } from "vitest";

import { Refusal } from "../src/errors";
import type { Socket, SocketListener, Transport } from "../src/link";
import { Transports } from "../src/transport";
import type { WebTransportAddress } from "../src/webtransport_socket";
import { VirtualClock, settle } from "./support/clock";

const ADDRESS: WebTransportAddress = { url: "https://127.0.0.1:8443/v1/realtime", hashes: ["AAEC"] };
const MINUTE = 60_000;

class Contender implements Socket {
  closed = false;
  readonly sent: string[] = [];

  constructor(
    readonly transport: Transport,
    readonly listener: SocketListener,
  ) {}

  send(text: string): void {
    this.sent.push(text);
  }
  close(): void {
    this.closed = true;
  }
}

let clock: VirtualClock;
let made: Contender[];
let events: string[];
let answer: () => Promise<WebTransportAddress | null>;
let asked: number;
let transports: Transports;

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  clock = new VirtualClock();
  made = [];
  events = [];
  asked = 0;
  answer = () => Promise.resolve(ADDRESS);
  transports = build((_, listener) => contender("webtransport", listener));
});

function build(
  webTransport: ((address: WebTransportAddress, listener: SocketListener) => Socket) | null,
): Transports {
  return new Transports({
    address: () => {
      asked += 1;
      return answer();
    },
    webTransport,
    webSocket: (listener) => contender("websocket", listener),
    clock,
  });
}

function contender(transport: Transport, listener: SocketListener): Contender {
  made.push(new Contender(transport, listener));
  return made.at(-1) as Contender;
}

async function open(): Promise<Socket> {
  made = [];
  events = [];
  const socket = transports.open({
    opened: () => events.push("opened"),
    message: (text) => events.push(text ?? "no text"),
    closed: (code) => events.push(`closed ${code}`),
  });
  await settle();
  return socket;
}

const kinds = (): Transport[] => made.map(({ transport }) => transport);

function the(transport: Transport): Contender {
  const found = made.find((one) => one.transport === transport);
  if (!found) throw new Error(`${transport} was not tried`);
  return found;
}

/** A connection over WebSocket, because WebTransport does not open. */
async function blocked(): Promise<Socket> {
  const socket = await open();
  await clock.advance(750);
  the("websocket").listener.opened();
  return socket;
}

describe("choosing", () => {
  test("WebTransport is tried alone at first, and taken when it opens", async () => {
    const socket = await open();
    expect(kinds()).toEqual(["webtransport"]);
    the("webtransport").listener.opened();
    socket.send("hello");
    the("webtransport").listener.message("welcome");
    expect(events).toEqual(["opened", "welcome"]);
    expect(the("webtransport").sent).toEqual(["hello"]);
    expect(socket.transport).toBe("webtransport");
    await clock.advance(5_000);
    expect(kinds()).toEqual(["webtransport"]);
  });

  test("a server that has none is reached over WebSocket at once", async () => {
    answer = () => Promise.resolve(null);
    const socket = await open();
    expect(kinds()).toEqual(["websocket"]);
    the("websocket").listener.opened();
    expect(socket.transport).toBe("websocket");
  });

  test("a browser that has none does not ask", async () => {
    transports = build(null);
    await open();
    expect(kinds()).toEqual(["websocket"]);
    expect(asked).toBe(0);
  });

  test("a server that cannot say is reached over WebSocket at once", async () => {
    answer = () => Promise.reject(new Refusal("network", {}, true));
    await open();
    expect(kinds()).toEqual(["websocket"]);
    expect(console.error).not.toHaveBeenCalled();
  });

  test("a server that says nonsense is reached over WebSocket, and the console says why", async () => {
    transports = build(() => {
      throw new SyntaxError("not an address");
    });
    await open();
    expect(kinds()).toEqual(["websocket"]);
    expect(console.error).toHaveBeenCalled();
  });

  test("a server that does not say in time is reached over WebSocket, whatever it says then", async () => {
    let late: (address: WebTransportAddress | null) => void = () => undefined;
    answer = () => new Promise((resolve) => (late = resolve));
    await open();
    await clock.advance(4_999);
    expect(kinds()).toEqual([]);
    await clock.advance(1);
    expect(kinds()).toEqual(["websocket"]);
    late(ADDRESS);
    await settle();
    expect(kinds()).toEqual(["websocket"]);
  });

  test("WebTransport that is not open after its head start has to race, and may win", async () => {
    await open();
    await clock.advance(749);
    expect(kinds()).toEqual(["webtransport"]);
    await clock.advance(1);
    expect(kinds()).toEqual(["webtransport", "websocket"]);
    the("webtransport").listener.opened();
    the("websocket").listener.closed(1000);
    expect(events).toEqual(["opened"]);
    expect(the("websocket").closed).toBe(true);
    expect(the("webtransport").closed).toBe(false);
  });

  test("WebSocket wins when it opens first", async () => {
    const socket = await blocked();
    expect(socket.transport).toBe("websocket");
    the("webtransport").listener.closed(1006);
    expect(events).toEqual(["opened"]);
    socket.send("hello");
    the("websocket").listener.message("welcome");
    expect(the("websocket").sent).toEqual(["hello"]);
    expect(events).toEqual(["opened", "welcome"]);
  });

  test("WebTransport that fails is followed by WebSocket at once", async () => {
    await open();
    the("webtransport").listener.closed(1006);
    expect(kinds()).toEqual(["webtransport", "websocket"]);
    the("websocket").listener.opened();
    expect(events).toEqual(["opened"]);
  });

  test("WebSocket that fails leaves WebTransport its chance", async () => {
    await open();
    await clock.advance(750);
    the("websocket").listener.closed(1006);
    expect(events).toEqual([]);
    the("webtransport").listener.opened();
    expect(events).toEqual(["opened"]);
    expect(kinds()).toEqual(["webtransport", "websocket"]);
  });

  test("what is closed by the server is closed once, with its code", async () => {
    await open();
    the("webtransport").listener.opened();
    the("webtransport").listener.closed(4003);
    the("webtransport").listener.closed(1006);
    expect(events).toEqual(["opened", "closed 4003"]);
    await clock.advance(5_000);
    expect(kinds()).toEqual(["webtransport"]);
  });

  test("closing ends whatever is tried, and what is only meant to be", async () => {
    const early = await open();
    early.close();
    await clock.advance(5_000);
    expect(kinds()).toEqual(["webtransport"]);
    expect(the("webtransport").closed).toBe(true);

    const both = await open();
    await clock.advance(750);
    both.close();
    the("websocket").listener.opened();
    the("webtransport").listener.closed(1006);
    expect(made.every(({ closed }) => closed)).toBe(true);
    expect(events).toEqual([]);

    const asking = open();
    (await asking).close();
    expect(events).toEqual([]);
  });

  test("closed before the server has answered, nothing is tried", async () => {
    let late: (address: WebTransportAddress | null) => void = () => undefined;
    answer = () => new Promise((resolve) => (late = resolve));
    (await open()).close();
    late(ADDRESS);
    await clock.advance(5_000);
    expect(kinds()).toEqual([]);
  });
});

describe("remembering", () => {
  test("where UDP does not pass, WebSocket is taken at once, for a time that doubles", async () => {
    await blocked();
    for (const minutes of [1, 2, 4, 8, 16, 30, 30]) {
      await clock.advance(minutes * MINUTE - 1);
      await open();
      expect(kinds()).toEqual(["websocket"]);
      await clock.advance(1);
      await blocked();
      expect(kinds()).toEqual(["webtransport", "websocket"]);
    }
  });

  test("a server that is away says nothing about UDP", async () => {
    await open();
    the("webtransport").listener.closed(1006);
    the("websocket").listener.closed(1006);
    expect(events).toEqual(["closed 1006"]);
    await open();
    expect(kinds()).toEqual(["webtransport"]);
  });

  test("another network starts afresh", async () => {
    await blocked();
    transports.forget();
    await blocked();
    expect(kinds()).toEqual(["webtransport", "websocket"]);
    await clock.advance(MINUTE);
    await open();
    expect(kinds()).toEqual(["webtransport"]);
  });

  test("what opens late was only slow, and is tried again", async () => {
    const socket = await blocked();
    the("webtransport").listener.opened();
    the("webtransport").listener.message("from nowhere");
    expect(the("webtransport").closed).toBe(true);
    expect(events).toEqual(["opened"]);
    expect(socket.transport).toBe("websocket");
    await open();
    expect(kinds()).toEqual(["webtransport"]);
  });

  test("what is still tried ends with what was taken instead", async () => {
    await blocked();
    the("websocket").listener.closed(1001);
    expect(events).toEqual(["opened", "closed 1001"]);
    expect(the("webtransport").closed).toBe(true);
  });

  test("once it works, the next failure is the first again", async () => {
    await blocked();
    await clock.advance(MINUTE);
    await blocked();
    await clock.advance(2 * MINUTE);
    await open();
    the("webtransport").listener.opened();
    the("webtransport").listener.message("welcome");
    await blocked();
    await clock.advance(MINUTE);
    await open();
    expect(kinds()).toEqual(["webtransport"]);
  });

  test("WebTransport that opens and brings nothing is left alone as well", async () => {
    const given = await open();
    the("webtransport").listener.opened();
    await clock.advance(10_000);
    given.close();
    await open();
    expect(kinds()).toEqual(["websocket"]);

    await clock.advance(MINUTE);
    await open();
    the("webtransport").listener.opened();
    the("webtransport").listener.closed(1006);
    await open();
    expect(kinds()).toEqual(["websocket"]);
  });

  test("WebTransport that was heard and is lost is taken again", async () => {
    await open();
    the("webtransport").listener.opened();
    the("webtransport").listener.message("welcome");
    the("webtransport").listener.closed(1006);
    await open();
    expect(kinds()).toEqual(["webtransport"]);
  });
});
