import { beforeEach, describe, expect, test } from "vitest";

import { LinkLost, Refusal } from "../src/errors";
import { Outbox, type Entry } from "../src/outbox";
import type { Ack, Request } from "../src/protocol";
import { VirtualClock, settle } from "./support/clock";

type Publish = Extract<Request, { op: "publish" }>;

interface Asked {
  readonly request: Publish;
  readonly answer: (ack: Ack) => void;
  readonly refuse: (error: Error) => void;
}

let clock: VirtualClock;
let asked: Asked[];
let stored: Map<string, Entry>;
let broken: boolean;
let events: string[];
let outbox: Outbox;

beforeEach(() => {
  clock = new VirtualClock();
  asked = [];
  stored = new Map();
  broken = false;
  events = [];
  outbox = new Outbox(
    {
      put: (entry) => {
        if (broken) return Promise.reject(new Error("quota"));
        stored.set(entry.client_id, entry);
        return Promise.resolve();
      },
      remove: (clientId) => {
        stored.delete(clientId);
        return Promise.resolve();
      },
    },
    {
      request: (request) => new Promise((answer, refuse) => asked.push({ request, answer, refuse })),
      clock,
      random: () => 0.5,
    },
    {
      changed: (entry) => events.push(`${entry.failed ? "failed" : "changed"} ${entry.client_id}`),
      acknowledged: (entry, ack) => events.push(`acknowledged ${entry.client_id} at ${ack.offset}`),
      removed: (entry) => events.push(`removed ${entry.client_id}`),
      storageFailed: () => events.push("storage failed"),
    },
  );
});

function entry(client_id: string, conversation = "one"): Entry {
  return { client_id, person: "me", conversation, text: `text ${client_id}`, created: clock.now(), failed: null };
}

async function add(...ids: string[]): Promise<void> {
  for (const id of ids) await outbox.add(entry(id));
  await settle();
}

const pending = (): [string, number][] => asked.map(({ request }) => [request.client_id, request.n]);

async function acknowledge(offset: number, members: Partial<Ack> = {}): Promise<void> {
  asked.shift()?.answer({ id: 1, message: "m", offset, ordinal: offset, time: 1, ...members });
  await settle();
}

async function refuse(code: string, temporary = false, retryAfter: number | null = null): Promise<void> {
  asked.shift()?.refuse(new Refusal(code, {}, temporary, retryAfter));
  await settle();
}

/** The link goes with everything in flight, as `Link` says it. */
async function lose(): Promise<void> {
  for (const one of asked.splice(0)) one.refuse(new LinkLost());
  outbox.stop();
  await settle();
}

describe("sending", () => {
  test("a message is shown, kept, sent, and forgotten with its ack", async () => {
    outbox.start();
    await add("A");
    expect([...stored.keys()]).toEqual(["A"]);
    expect(asked[0]?.request).toEqual({
      op: "publish",
      channel: "conv:one",
      client_id: "A",
      n: 1,
      kind: "text",
      body: { text: "text A" },
    });
    await acknowledge(43);
    expect(events).toEqual(["changed A", "acknowledged A at 43"]);
    expect(stored.size).toBe(0);
    expect(outbox.size).toBe(0);
  });

  test("without a link it waits, and then goes in the order of writing", async () => {
    await add("A", "B", "C");
    expect(pending()).toEqual([]);
    outbox.start();
    expect(pending()).toEqual([
      ["A", 1],
      ["B", 2],
      ["C", 3],
    ]);
  });

  test("n counts by conversation", async () => {
    outbox.start();
    await outbox.add(entry("A", "one"));
    await outbox.add(entry("B", "two"));
    await outbox.add(entry("C", "one"));
    expect(pending()).toEqual([
      ["A", 1],
      ["B", 1],
      ["C", 2],
    ]);
  });

  test("only so many are in flight", async () => {
    outbox.start();
    await add(...Array.from({ length: 20 }, (_, index) => `M${String(index).padStart(2, "0")}`));
    expect(asked).toHaveLength(16);
    await acknowledge(1);
    expect(asked).toHaveLength(16);
    expect(pending().at(-1)).toEqual(["M16", 17]);
  });

  test("a browser that keeps nothing sends all the same, and says so", async () => {
    broken = true;
    outbox.start();
    await add("A");
    expect(events).toEqual(["changed A", "storage failed"]);
    expect(pending()).toEqual([["A", 1]]);
  });
});

describe("a new link", () => {
  test("gets everything unanswered under the same ids, from 1", async () => {
    outbox.start();
    await add("A", "B", "C");
    await acknowledge(1);
    await lose();
    outbox.start();
    expect(pending()).toEqual([
      ["B", 1],
      ["C", 2],
    ]);
    await acknowledge(2, { duplicate: true });
    expect(events.at(-1)).toBe("acknowledged B at 2");
  });

  test("gets what came meanwhile behind it", async () => {
    outbox.start();
    await add("A");
    await lose();
    await add("B");
    outbox.start();
    expect(pending()).toEqual([
      ["A", 1],
      ["B", 2],
    ]);
  });

  test("is not asked for what the log has shown", async () => {
    outbox.start();
    await add("A", "B");
    await lose();
    await outbox.seen("A");
    outbox.start();
    expect(pending()).toEqual([["B", 1]]);
    expect([...stored.keys()]).toEqual(["B"]);
  });

  test("after a reload gets what was kept, but what was refused only on demand", async () => {
    const failed = { ...entry("B"), failed: { code: "forbidden", params: {} } };
    outbox.start();
    outbox.restore([entry("A"), failed, entry("C")]);
    outbox.restore([entry("A")]);
    expect(pending()).toEqual([
      ["A", 1],
      ["C", 2],
    ]);
    expect(outbox.size).toBe(3);
  });

  test("ends a wait", async () => {
    outbox.start();
    await add("A");
    await refuse("busy", true, 5000);
    await lose();
    outbox.start();
    expect(pending()).toEqual([["A", 1]]);
    await clock.advance(10_000);
    expect(pending()).toEqual([["A", 1]]);
  });
});

describe("a temporary failure", () => {
  test("stops the conversation, and everything goes again in order from the same n", async () => {
    outbox.start();
    await add("A", "B", "C");
    await acknowledge(1);
    await refuse("limited", true, 400);
    await add("D");
    expect(pending()).toEqual([["C", 3]]);
    await refuse("after_failed", true, 9000);
    expect(pending()).toEqual([]);
    await clock.advance(399);
    expect(pending()).toEqual([]);
    await clock.advance(1);
    expect(pending()).toEqual([
      ["B", 2],
      ["C", 3],
      ["D", 4],
    ]);
  });

  test("is not held up by the order in which answers come", async () => {
    outbox.start();
    await add("A", "B", "C");
    const [first, second, third] = asked.splice(0);
    third?.refuse(new Refusal("after_failed", {}, true));
    await settle();
    second?.refuse(new Refusal("after_failed", {}, true));
    await settle();
    first?.refuse(new Refusal("unavailable", {}, true));
    await settle();
    await clock.advance(250);
    expect(pending()).toEqual([
      ["A", 1],
      ["B", 2],
      ["C", 3],
    ]);
  });

  test("of one conversation leaves the others alone", async () => {
    outbox.start();
    await outbox.add(entry("A", "one"));
    await outbox.add(entry("B", "two"));
    await refuse("unavailable", true, 1000);
    await acknowledge(1);
    await outbox.add(entry("C", "two"));
    expect(pending()).toEqual([["C", 2]]);
  });

  test("backs off while it goes on", async () => {
    outbox.start();
    await add("A");
    const waits: number[] = [];
    for (let turn = 0; turn < 4; turn += 1) {
      await refuse("unavailable", true);
      waits.push(clock.next ?? 0);
      await clock.advance(clock.next ?? 0);
    }
    expect(waits).toEqual([125, 250, 500, 1000]);
  });

  test("of a message that the log shows meanwhile gives its n to the next", async () => {
    outbox.start();
    await add("A", "B");
    await refuse("unknown", true, 100);
    await refuse("after_failed", true);
    await outbox.seen("A");
    await clock.advance(100);
    expect(pending()).toEqual([["B", 1]]);
  });
});

describe("a final refusal", () => {
  test("is kept as failed and holds nobody up", async () => {
    outbox.start();
    await add("A", "B");
    await refuse("forbidden");
    await acknowledge(1);
    await add("C");
    expect(pending()).toEqual([["C", 3]]);
    expect(events).toContain("failed A");
    expect(stored.get("A")?.failed?.code).toBe("forbidden");
  });

  test("is tried again under the same id when the person says so", async () => {
    outbox.start();
    await add("A");
    await refuse("forbidden");
    await outbox.retry("A", "Z");
    expect(pending()).toEqual([["A", 2]]);
    expect(stored.get("A")?.failed).toBeNull();
  });

  test("because the id is taken is tried again under another", async () => {
    outbox.start();
    await add("A");
    await refuse("client_id_reused");
    await outbox.retry("A", "Z");
    expect(pending()).toEqual([["Z", 2]]);
    expect([...stored.keys()]).toEqual(["Z"]);
  });

  test("can be discarded; what is on its way cannot", async () => {
    outbox.start();
    await add("A", "B");
    await refuse("forbidden");
    await outbox.discard("A");
    await outbox.discard("B");
    expect(events).toContain("removed A");
    expect(events).not.toContain("removed B");
    expect([...stored.keys()]).toEqual(["B"]);
  });
});

test("clearing forgets everything, in storage too", async () => {
  await add("A", "B");
  await outbox.clear();
  outbox.start();
  expect(outbox.size).toBe(0);
  expect(stored.size).toBe(0);
  expect(pending()).toEqual([]);
});
