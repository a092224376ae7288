import { beforeEach, describe, expect, test } from "vitest";

import { LinkLost, Refusal } from "../src/errors";
import { Feed } from "../src/feed";
import type { Attached, Delivery, Page, Request, Welcome } from "../src/protocol";
import { VirtualClock, settle } from "./support/clock";
import { WELCOME, delivery } from "./support/wire";

const CHANNEL = "conv:1";

interface Asked {
  readonly request: Request;
  readonly answer: (value: unknown) => void;
  readonly refuse: (error: Error) => void;
}

let clock: VirtualClock;
let asked: Asked[];
let events: unknown[];
let feed: Feed;

function build(epoch: string | null = null, position: number | null = null): Feed {
  return new Feed(
    CHANNEL,
    {
      clock,
      random: () => 0.5,
      request: (request) =>
        new Promise((answer, refuse) => asked.push({ request, answer: answer as (value: unknown) => void, refuse })),
    },
    {
      started: (at) => events.push(["started", at]),
      records: (records) => events.push(["records", ...records.map((one) => one.offset)]),
      truncated: (floor) => events.push(["truncated", floor]),
      ended: (reason) => events.push(["ended", reason]),
    },
    epoch,
    position,
  );
}

beforeEach(() => {
  clock = new VirtualClock();
  asked = [];
  events = [];
  feed = build();
});

const record = (offset: number): Delivery => delivery(offset) as unknown as Delivery;

function news(): unknown[] {
  return events.splice(0);
}

async function answer(value: Partial<Attached> | Partial<Page>): Promise<void> {
  const next = asked.shift();
  if (!next) throw new Error("nothing was asked");
  const { request } = next;
  const common =
    request.op === "attach"
      ? { gen: request.gen, outcome: "complete", head: 0 }
      : { items: [], more: false, head: 0, floor: 0 };
  next.answer({ id: 1, channel: CHANNEL, number: 9, epoch: "e1", ...common, ...value });
  await settle();
}

async function refuse(error: Error): Promise<void> {
  asked.shift()?.refuse(error);
  await settle();
}

const pending = (): Request[] => asked.map(({ request }) => request);

/** A feed that follows `e1` and has everything up to `position`. */
async function following(position: number): Promise<void> {
  feed.attach();
  await answer({ head: position });
  news();
}

describe("following", () => {
  test("begins behind the head", async () => {
    feed.attach();
    expect(pending()).toEqual([{ op: "attach", channel: CHANNEL, gen: 1 }]);
    await answer({ head: 41 });
    feed.delivery(record(42));
    feed.delivery(record(43));
    expect(news()).toEqual([
      ["started", 41],
      ["records", 42],
      ["records", 43],
    ]);
    expect(feed.resume).toEqual({ epoch: "e1", offset: 43 });
  });

  test("ignores repeats", async () => {
    await following(41);
    for (const offset of [42, 42, 41, 1, 43, 42]) feed.delivery(record(offset));
    expect(news()).toEqual([
      ["records", 42],
      ["records", 43],
    ]);
    expect(pending()).toEqual([]);
  });

  test("fills a gap by sync, while deliveries go on", async () => {
    await following(41);
    feed.delivery(record(45));
    expect(pending()).toEqual([{ op: "sync", channel: CHANNEL, after: 41, limit: 500 }]);
    feed.delivery(record(46));
    expect(news()).toEqual([]);
    await answer({ items: [42, 43, 44, 45].map(record), head: 46 });
    expect(news()).toEqual([["records", 42, 43, 44, 45, 46]]);
    expect(pending()).toEqual([]);
  });

  test("fills a gap over several pages", async () => {
    await following(0);
    feed.delivery(record(5));
    await answer({ items: [1, 2].map(record), more: true });
    await answer({ items: [3, 4].map(record), more: true });
    expect(news()).toEqual([
      ["records", 1, 2],
      ["records", 3, 4, 5],
    ]);
    expect(pending()).toEqual([]);
  });

  test("gives an ack that overtook deliveries time, then asks", async () => {
    await following(41);
    feed.acknowledged(record(43));
    expect(pending()).toEqual([]);
    feed.delivery(record(42));
    expect(news()).toEqual([["records", 42, 43]]);
    feed.acknowledged(record(45));
    await clock.advance(1000);
    expect(pending()).toMatchObject([{ op: "sync", after: 43 }]);
  });

  test("takes an ack that fits at once, and a repeated one not at all", async () => {
    await following(41);
    feed.acknowledged(record(42));
    feed.acknowledged(record(42));
    feed.delivery(record(42));
    expect(news()).toEqual([["records", 42]]);
  });
});

describe("resuming", () => {
  beforeEach(async () => {
    await following(41);
    feed.suspend();
  });

  test("goes on from the last offset", async () => {
    feed.attach();
    expect(pending()).toMatchObject([{ op: "attach", epoch: "e1", after: 41 }]);
    await answer({ head: 43 });
    feed.delivery(record(42));
    feed.delivery(record(43));
    expect(news()).toEqual([
      ["records", 42],
      ["records", 43],
    ]);
  });

  test("raises gen with every attach, and detaches above it", async () => {
    const generations: number[] = [];
    for (let turn = 0; turn < 3; turn += 1) {
      feed.attach();
      const [request] = pending();
      if (request?.op === "attach") generations.push(request.gen);
      asked = [];
      feed.suspend();
    }
    feed.attach();
    await answer({ head: 41 });
    feed.detach();
    const [detach] = pending();
    expect(new Set(generations).size).toBe(3);
    expect([...generations].sort((one, other) => one - other)).toEqual(generations);
    expect(detach).toMatchObject({ op: "detach" });
    expect(detach?.op === "detach" && detach.gen > (generations.at(-1) ?? 0)).toBe(true);
  });

  test("ignores the answer to an attach that was given up", async () => {
    feed.attach();
    const late = asked.shift();
    feed.suspend();
    feed.attach();
    late?.answer({ id: 1, channel: CHANNEL, number: 9, gen: 1, outcome: "denied", epoch: "e1", head: 0 });
    await settle();
    expect(news()).toEqual([]);
  });

  test("more: reads until there is no more, then attaches again", async () => {
    feed.attach();
    await answer({ outcome: "more", head: 44 });
    expect(pending()).toMatchObject([{ op: "sync", after: 41 }]);
    await answer({ items: [42, 43].map(record), more: true });
    await answer({ items: [44].map(record), more: false });
    expect(pending()).toMatchObject([{ op: "attach", after: 44 }]);
    await answer({ head: 44 });
    expect(news()).toEqual([
      ["records", 42, 43],
      ["records", 44],
    ]);
  });

  test("far more: starts anew at the head", async () => {
    feed.attach();
    await answer({ outcome: "more", head: 100_000 });
    expect(pending()).toEqual([{ op: "attach", channel: CHANNEL, gen: expect.any(Number) }]);
    await answer({ head: 100_000 });
    expect(news()).toEqual([["started", 100_000]]);
  });

  test("truncated: forgets what is older and goes on from there", async () => {
    feed.attach();
    await answer({ outcome: "truncated", from: 60, head: 70 });
    expect(news()).toEqual([["truncated", 59]]);
    expect(pending()).toMatchObject([{ op: "attach", after: 59 }]);
  });

  test("epoch_changed: forgets the channel and begins again", async () => {
    feed.attach();
    await answer({ outcome: "epoch_changed", epoch: "e2", head: 5 });
    expect(pending()).toEqual([{ op: "attach", channel: CHANNEL, gen: expect.any(Number) }]);
    await answer({ epoch: "e2", head: 5 });
    expect(news()).toEqual([["started", 5]]);
    expect(feed.resume).toEqual({ epoch: "e2", offset: 5 });
  });

  test("denied: is over", async () => {
    feed.attach();
    await answer({ outcome: "denied" });
    expect(news()).toEqual([["ended", "denied"]]);
    expect(pending()).toEqual([]);
  });

  test("a page of another epoch leads back to attach", async () => {
    feed.attach();
    await answer({ outcome: "more", head: 44 });
    await answer({ items: [42].map(record), epoch: "e2" });
    expect(news()).toEqual([]);
    expect(pending()).toMatchObject([{ op: "attach", epoch: "e1", after: 41 }]);
  });

  test("a temporary refusal is tried again when the server said so; a final one ends it", async () => {
    feed.attach();
    await refuse(new Refusal("unavailable", {}, true, 700));
    expect(pending()).toEqual([]);
    await clock.advance(700);
    expect(pending()).toMatchObject([{ op: "attach", after: 41 }]);
    await refuse(new Refusal("not_found"));
    expect(news()).toEqual([["ended", "denied"]]);
  });

  test("what the link loses waits for the next one", async () => {
    feed.attach();
    await refuse(new LinkLost());
    await clock.advance(60_000);
    expect(pending()).toEqual([]);
  });
});

test("lag: reads to the head, then attaches again", async () => {
  await following(41);
  feed.lag();
  await answer({ items: [42, 43].map(record), head: 43 });
  expect(pending()).toMatchObject([{ op: "attach", after: 43 }]);
  await answer({ head: 43 });
  feed.delivery(record(44));
  expect(news()).toEqual([
    ["records", 42, 43],
    ["records", 44],
  ]);
});

test("detached: nothing more is taken", async () => {
  await following(41);
  feed.removed();
  feed.delivery(record(42));
  expect(news()).toEqual([["ended", "removed"]]);
});

test("a position from elsewhere is where the feed begins", () => {
  const known = build("e1", 30);
  known.attach();
  expect(pending()).toMatchObject([{ op: "attach", epoch: "e1", after: 30 }]);
  expect(news()).toEqual([["started", 30]]);
});

describe("the personal channel", () => {
  const welcome = (members: Record<string, unknown>): Welcome =>
    ({ ...WELCOME, id: 1, ...members }) as unknown as Welcome;

  test("begins at the head and resumes by connect", () => {
    feed.welcomed(welcome({ head: 7, epoch: "e1" }));
    feed.delivery(record(8));
    feed.suspend();
    expect(feed.resume).toEqual({ epoch: "e1", offset: 8 });
    feed.welcomed(welcome({ head: 9, epoch: "e1" }));
    feed.delivery(record(9));
    expect(news()).toEqual([
      ["started", 7],
      ["records", 8],
      ["records", 9],
    ]);
    expect(pending()).toEqual([]);
  });

  test("after `more` is read by sync and attached", async () => {
    feed.welcomed(welcome({ head: 7, epoch: "e1" }));
    feed.suspend();
    news();
    feed.welcomed(welcome({ head: 9, epoch: "e1", outcome: "more" }));
    await answer({ items: [8, 9].map(record) });
    expect(pending()).toMatchObject([{ op: "attach", after: 9 }]);
    expect(news()).toEqual([["records", 8, 9]]);
  });

  test("of another epoch begins anew", () => {
    feed.welcomed(welcome({ head: 7, epoch: "e1" }));
    feed.suspend();
    feed.welcomed(welcome({ head: 3, epoch: "e2", outcome: "epoch_changed" }));
    expect(feed.resume).toEqual({ epoch: "e2", offset: 3 });
  });
});

test("any cut of a log, with repeats and losses, is handed on once and in order", async () => {
  let seed = 7;
  const chance = (): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return seed / 2_147_483_648;
  };
  for (let round = 0; round < 200; round += 1) {
    asked = [];
    events = [];
    feed = build();
    await following(0);
    const head = 40;
    for (let offset = 1; offset <= head; offset += 1) {
      if (chance() < 0.2) continue;
      feed.delivery(record(offset));
      if (chance() < 0.1) feed.delivery(record(Math.ceil(chance() * offset)));
      if (asked.length > 0 && chance() < 0.5) await page();
    }
    feed.delivery(record(head));
    while (asked.length > 0) await page();
    const seen = events.flatMap((event) => (event as unknown[]).slice(1));
    expect(seen).toEqual(Array.from({ length: head }, (_, index) => index + 1));
  }

  async function page(): Promise<void> {
    const [request] = pending();
    if (request?.op !== "sync" || !("after" in request)) throw new Error("not a sync");
    const from = request.after;
    const items = Array.from({ length: 3 }, (_, index) => from + index + 1).filter((offset) => offset <= 40);
    await answer({ items: items.map(record), more: from + 3 < 40, head: 40 });
  }
});
