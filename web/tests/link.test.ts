import { beforeEach, describe, expect, test, vi } from "vitest";

import { LinkLost, Refusal } from "../src/errors";
import { Link, type LinkListener, type LinkStatus } from "../src/link";
import type { Welcome } from "../src/protocol";
import { VirtualClock, settle } from "./support/clock";
import { TestSocket, WELCOME, delivery, type Json } from "./support/wire";

class Recorder implements LinkListener {
  readonly statuses: LinkStatus[] = [];
  readonly frames: Json[] = [];
  readonly welcomes: Welcome[] = [];
  position: { epoch: string; offset: number } | null = null;
  reason: Refusal | null = null;
  onWelcome: () => void = () => undefined;

  status(status: LinkStatus): void {
    this.statuses.push(status);
  }
  resume() {
    return this.position;
  }
  welcome(welcome: Welcome): void {
    this.welcomes.push(welcome);
    this.onWelcome();
  }
  frame(frame: Json): void {
    this.frames.push(frame);
  }
  ended(reason: Refusal): void {
    this.reason = reason;
  }
  get phase(): string {
    return this.statuses.at(-1)?.phase ?? "none";
  }
}

let clock: VirtualClock;
let sockets: TestSocket[];
let told: Recorder;
let random: number;
/** Tokens as they are handed out; an error is thrown instead. */
let tokens: (string | Error)[];
let asked: { lifetime: number; refused: string | null }[];
let link: Link;

beforeEach(() => {
  // What the server does wrong is for whoever looks into the console.
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  clock = new VirtualClock();
  sockets = [];
  told = new Recorder();
  random = 0.5;
  tokens = [];
  asked = [];
  link = new Link(
    {
      open: (listener) => {
        const socket = new TestSocket(listener);
        sockets.push(socket);
        return socket;
      },
      clock,
      random: () => random,
      token: (lifetime, refused) => {
        asked.push({ lifetime, refused });
        const next = tokens.shift() ?? "token";
        if (typeof next !== "string") return Promise.reject(next);
        return Promise.resolve({ value: next, expiresAt: clock.now() + 600_000 });
      },
      device: "web",
    },
    told,
  );
});

function socket(): TestSocket {
  const last = sockets.at(-1);
  if (!last) throw new Error("no socket was opened");
  return last;
}

async function opened(): Promise<TestSocket> {
  await settle();
  socket().listener.opened();
  await settle();
  return socket();
}

async function online(members: Record<string, unknown> = {}): Promise<TestSocket> {
  link.start();
  const open = await opened();
  await open.say({ ...WELCOME, id: 1, ...members });
  open.news();
  return open;
}

/** Back online after a loss, however long the wait is. */
async function again(): Promise<TestSocket> {
  const before = sockets.length;
  while (sockets.length === before) await clock.advance(clock.next ?? 0);
  const open = await opened();
  await open.say({ ...WELCOME, id: 1 });
  return open;
}

const until = (): number => {
  const status = told.statuses.at(-1);
  if (status?.phase !== "waiting") throw new Error("the link is not waiting");
  return status.until - clock.now();
};

describe("connecting", () => {
  test("connect comes first, with the token in it alone", async () => {
    tokens = ["t1"];
    link.start();
    const open = await opened();
    expect(open.sent).toEqual([{ op: "connect", id: 1, token: "t1", device: "web" }]);
    expect(told.phase).toBe("connecting");
    await open.say({ ...WELCOME, id: 1 });
    expect(told.statuses.at(-1)).toEqual({ phase: "online", transport: "websocket" });
    expect(told.welcomes).toMatchObject([{ link: "17", epoch: "9f3a" }]);
  });

  test("the personal channel is resumed where it was left", async () => {
    told.position = { epoch: "9f3a", offset: 7 };
    link.start();
    const open = await opened();
    expect(open.sent[0]).toMatchObject({ op: "connect", resume: { epoch: "9f3a", offset: 7 } });
  });

  test("a server that says nothing is given up", async () => {
    link.start();
    await opened();
    await clock.advance(10_000);
    expect(told.phase).toBe("waiting");
    expect(sockets[0]?.closed).toBe(true);
  });

  test("a refused token is replaced", async () => {
    tokens = ["old", "new"];
    link.start();
    const open = await opened();
    await open.say({
      op: "error",
      id: 1,
      code: "token_expired",
      temporary: false,
      scope: "link",
      action: "refresh",
    });
    expect(told.phase).toBe("waiting");
    const next = await again();
    expect(asked.map(({ refused }) => refused)).toEqual([null, "old"]);
    expect(next.sent[0]).toMatchObject({ token: "new" });
  });

  test("a server that is busy is asked again when it said so", async () => {
    link.start();
    const open = await opened();
    await open.say({
      op: "error",
      id: 1,
      code: "busy",
      temporary: true,
      scope: "link",
      action: "retry",
      retry_after_ms: 3000,
    });
    expect(until()).toBe(3000);
  });

  test("without a token, because the server is away, it tries again; because the login ended, it stops", async () => {
    tokens = [new Refusal("network", {}, true), new Refusal("login_ended")];
    link.start();
    await settle();
    expect(told.phase).toBe("waiting");
    await clock.advance(250);
    expect(told.phase).toBe("stopped");
    expect(told.reason?.code).toBe("login_ended");
    expect(sockets).toHaveLength(0);
  });
});

describe("commands", () => {
  test("wait while the link is being made, and go out in their order", async () => {
    link.start();
    const early = link.request({ op: "command", name: "early", params: {} });
    await settle();
    const later = link.request({ op: "command", name: "later", params: {} });
    const open = await opened();
    expect(open.news().map(({ op }) => op)).toEqual(["connect"]);
    told.onWelcome = () => void link.request({ op: "command", name: "on welcome", params: {} });
    await open.say({ ...WELCOME, id: 1 });
    const sent = open.news();
    expect(sent.map(({ name }) => name)).toEqual(["early", "later", "on welcome"]);
    await open.say({ op: "ok", id: sent[0]?.id, result: 1 });
    await open.say({ op: "ok", id: sent[1]?.id, result: 2 });
    expect([(await early).result, (await later).result]).toEqual([1, 2]);
  });

  test("are refused when the link could not be made, and while nobody makes one", async () => {
    const stopped = link.request({ op: "command", name: "a", params: {} });
    await expect(stopped).rejects.toBeInstanceOf(LinkLost);
    link.start();
    const early = link.request({ op: "command", name: "b", params: {} });
    await settle();
    await socket().drop();
    await expect(early).rejects.toBeInstanceOf(LinkLost);
    await expect(link.request({ op: "command", name: "c", params: {} })).rejects.toBeInstanceOf(LinkLost);
    const open = await again();
    expect(open.news().map(({ op }) => op)).toEqual(["connect"]);
  });

  test("answers find their commands in any order", async () => {
    const open = await online();
    const one = link.request({ op: "command", name: "a", params: {} });
    const two = link.request({ op: "command", name: "b", params: {} });
    const ids = open.news().map((frame) => frame.id);
    await open.say({ op: "ok", id: ids[1], result: "second" });
    await open.say({ op: "ok", id: ids[0], result: "first" });
    expect((await one).result).toBe("first");
    expect((await two).result).toBe("second");
    expect(new Set([1, ...ids]).size).toBe(3);
  });

  test("an error is the answer to its command alone", async () => {
    const open = await online();
    const refused = link.request({ op: "command", name: "a", params: {} });
    const [{ id } = { id: 0 }] = open.news();
    await open.say({
      op: "error",
      id,
      code: "limited",
      temporary: true,
      scope: "command",
      action: "retry",
      retry_after_ms: 400,
    });
    await expect(refused).rejects.toMatchObject({ code: "limited", temporary: true, retryAfter: 400 });
    expect(told.phase).toBe("online");
  });

  test("no more are in flight than the server allows", async () => {
    const open = await online({ limits: { ...WELCOME.limits, in_flight: 2 } });
    const answers = ["a", "b", "c"].map((name) => link.request({ op: "command", name, params: {} }));
    const first = open.news();
    expect(first.map((frame) => frame.name)).toEqual(["a", "b"]);
    await open.say({ op: "ok", id: first[1]?.id });
    const [third] = open.news();
    expect(third?.name).toBe("c");
    await open.say({ op: "ok", id: third?.id });
    await open.say({ op: "ok", id: first[0]?.id });
    await Promise.all(answers);
  });

  test("a frame that is too large never leaves", async () => {
    const open = await online();
    const large = link.request({ op: "command", name: "x", params: { text: "\u0001".repeat(16_000) } });
    await expect(large).rejects.toMatchObject({ code: "too_large" });
    expect(open.news()).toEqual([]);
  });

  test("whoever asks without a link is told at once", async () => {
    await expect(link.request({ op: "command", name: "a", params: {} })).rejects.toBeInstanceOf(LinkLost);
  });

  test("a lost link answers everything that was in flight or waiting", async () => {
    const open = await online({ limits: { ...WELCOME.limits, in_flight: 1 } });
    const left = ["a", "b"].map((name) => link.request({ op: "command", name, params: {} }));
    const outcomes = Promise.allSettled(left);
    await open.drop();
    expect((await outcomes).map((outcome) => outcome.status)).toEqual(["rejected", "rejected"]);
  });

  test("an answer of another kind breaks the protocol", async () => {
    const open = await online();
    const sync = link.request({ op: "sync", channel: "conv:1", after: 0 });
    const [{ id } = { id: 0 }] = open.news();
    const outcome = Promise.allSettled([sync]);
    await open.say({ op: "ok", id });
    expect(told.phase).toBe("waiting");
    expect((await outcome)[0].status).toBe("rejected");
  });
});

describe("what the server sends on its own", () => {
  test("channel frames are passed on, pings answered, unknown frames ignored", async () => {
    const open = await online();
    await open.say(delivery(42));
    await open.say({ op: "dance" });
    await open.say({ op: "ping" });
    expect(told.frames).toMatchObject([{ op: "delivery", offset: 42 }]);
    expect(open.news()).toEqual([{ op: "pong" }]);
  });

  test.each(["nonsense", '{"op":"delivery","number":9}'])("%j gives the link up", async (text) => {
    const open = await online();
    open.listener.message(text);
    expect(told.phase).toBe("waiting");
    expect(open.closed).toBe(true);
  });

  test("what an abandoned socket says counts no more", async () => {
    const open = await online();
    await open.drop();
    await again();
    await open.say(delivery(1));
    await open.drop();
    expect(told.frames).toEqual([]);
    expect(told.phase).toBe("online");
  });
});

describe("silence", () => {
  test("for two ping intervals means that the link is dead", async () => {
    await online();
    await clock.advance(49_999);
    expect(told.phase).toBe("online");
    await clock.advance(1);
    expect(told.phase).toBe("waiting");
  });

  test("is broken by any frame", async () => {
    const open = await online();
    for (let turn = 0; turn < 5; turn += 1) {
      await clock.advance(30_000);
      await open.say({ op: "ping" });
    }
    expect(told.phase).toBe("online");
  });

  test("is noticed at once by a machine that wakes up", async () => {
    await online();
    await clock.advance(31_000);
    link.wake();
    expect(told.phase).toBe("connecting");
  });

  test("shorter than that leaves a waking machine's link alone", async () => {
    await online();
    await clock.advance(20_000);
    link.wake();
    expect(told.phase).toBe("online");
  });
});

describe("coming back", () => {
  test("the wait is random below a ceiling that doubles up to 30 s", async () => {
    random = 0.999_999;
    link.start();
    const waits: number[] = [];
    for (let turn = 0; turn < 10; turn += 1) {
      await opened();
      await socket().drop();
      waits.push(Math.round(until()));
      await clock.advance(until());
    }
    expect(waits).toEqual([250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  });

  test("the whole range below the ceiling is used", async () => {
    random = 0;
    link.start();
    await opened();
    await socket().drop();
    expect(until()).toBe(0);
  });

  test("a link that lived starts the ceiling anew, one that hardly lived does not", async () => {
    random = 0.999_999;
    link.start();
    for (let turn = 0; turn < 3; turn += 1) {
      await opened();
      await socket().say({ ...WELCOME, id: 1 });
      await socket().drop();
      await clock.advance(until());
    }
    await opened();
    await socket().say({ ...WELCOME, id: 1 });
    await socket().drop();
    expect(Math.round(until())).toBe(2000);
    await again();
    await clock.advance(1000);
    await socket().drop();
    expect(Math.round(until())).toBe(250);
  });

  test("the server's own time goes before chance, and is kept when the network comes back", async () => {
    const open = await online();
    await open.say({
      op: "close",
      code: 1001,
      reason: "the server is restarting",
      reconnect_in_ms: 4200,
      resumable: true,
    });
    expect(until()).toBe(4200);
    expect(open.closed).toBe(true);
    link.wake();
    expect(told.phase).toBe("waiting");
    await clock.advance(4200);
    expect(told.phase).toBe("connecting");
  });

  test("zero is no time", async () => {
    const open = await online();
    await open.say({ op: "close", code: 4001, reason: "the token was refused", reconnect_in_ms: 0, resumable: false });
    expect(until()).toBe(125);
  });

  test("a wait that nobody asked for ends when the network comes back", async () => {
    const open = await online();
    await open.drop();
    link.wake();
    expect(told.phase).toBe("connecting");
  });

  test("the person may end any wait", async () => {
    const open = await online();
    await open.say({ op: "close", code: 1001, reason: "", reconnect_in_ms: 60_000, resumable: true });
    link.retry();
    expect(told.phase).toBe("connecting");
  });

  test.each([1001, 1006, 1011, 4000, 4002, 4005, 4006, 4999])("close %i leads back", async (code) => {
    const open = await online();
    await open.drop(code);
    await again();
    expect(told.phase).toBe("online");
    expect(asked.at(-1)?.refused).toBeNull();
  });

  test.each([4001, 4003])("close %i leads back with another token", async (code) => {
    tokens = ["old"];
    const open = await online();
    await open.drop(code);
    await again();
    expect(asked.at(-1)?.refused).toBe("old");
  });

  test.each([1002, 1003, 1007, 1009])("close %i stops, until the person wants to go on", async (code) => {
    const open = await online();
    await open.drop(code);
    await clock.advance(3_600_000);
    expect(told.statuses.at(-1)).toEqual({ phase: "failed", reason: String(code) });
    link.retry();
    expect(told.phase).toBe("connecting");
  });

  test("close 4004 ends the login here", async () => {
    const open = await online();
    await open.drop(4004);
    expect(told.phase).toBe("stopped");
    expect(told.reason?.code).toBe("login_ended");
  });

  test("a link that was stopped stays so", async () => {
    const open = await online();
    link.stop();
    await open.drop();
    await clock.advance(3_600_000);
    expect(told.phase).toBe("stopped");
    expect(sockets).toHaveLength(1);
  });
});

describe("the access token", () => {
  test("is renewed in band before it expires, each time with a higher generation", async () => {
    tokens = ["t1", "t2", "t3"];
    const open = await online();
    await keptAlive(open, 600_000 - 90_000);
    const [refresh] = open.news().filter((frame) => frame.op === "refresh");
    expect(refresh).toMatchObject({ token: "t2", gen: 1 });
    expect(asked.at(-1)?.refused).toBe("t1");
    await open.say({ op: "ok", id: refresh?.id });
    await keptAlive(open, 600_000 - 90_000);
    expect(open.news().filter((frame) => frame.op === "refresh")).toMatchObject([{ token: "t3", gen: 2 }]);
    expect(told.phase).toBe("online");
  });

  test("is renewed when the server warns, once", async () => {
    tokens = ["t1", "t2"];
    const open = await online();
    await open.say({ op: "token_expiring", expires_in_ms: 60_000 });
    await open.say({ op: "token_expiring", expires_in_ms: 59_000 });
    expect(open.news()).toMatchObject([{ op: "refresh", token: "t2" }]);
  });

  test("is asked for again while the server cannot give one", async () => {
    tokens = ["t1", new Refusal("unavailable", {}, true, 2000), "t2"];
    const open = await online();
    await open.say({ op: "token_expiring", expires_in_ms: 60_000 });
    expect(open.news()).toEqual([]);
    await clock.advance(2000);
    expect(open.news()).toMatchObject([{ op: "refresh", token: "t2" }]);
  });

  test("that lives shortly is renewed half way", async () => {
    tokens = ["t1", "t2"];
    const open = await online({ token_ms: 20_000 });
    await clock.advance(9_999);
    expect(open.news()).toEqual([]);
    await clock.advance(1);
    expect(open.news()).toMatchObject([{ op: "refresh", token: "t2" }]);
  });
});

/** Let time pass while the server pings. */
async function keptAlive(open: TestSocket, duration: number): Promise<void> {
  for (let left = duration; left > 0; left -= 25_000) {
    await clock.advance(Math.min(left, 25_000));
    await open.say({ op: "ping" });
  }
}
