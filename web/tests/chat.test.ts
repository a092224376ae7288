/** The page's whole inside, from the person's actions to the wire, against a small server on a virtual clock. */

import { beforeEach, describe, expect, test } from "vitest";

import { Chat } from "../src/chat";
import type { Refusal } from "../src/errors";
import type { Entry } from "../src/outbox";
import type { Thread } from "../src/store";
import { timeline, type MessageRow } from "../src/timeline";
import { VirtualClock, settle } from "./support/clock";
import { ME, conversation, member } from "./support/things";
import { TestSocket, WELCOME, delivery, type Json } from "./support/wire";

const CHANNEL = "conv:c";

/** A server with one conversation between "me" and "ana"; what it wrote it keeps, whatever happens to links. */
class Server {
  readonly log: Json[] = [];
  readonly watermarks: Json[] = [];
  readonly attaches: Json[] = [];
  epoch = "e1";
  read = 0;
  member = true;
  listed = true;
  /** Lose the link after writing the next publish, before its ack. */
  cutBeforeAck = false;
  socket: TestSocket | null = null;
  private attached = false;

  async accept(socket: TestSocket): Promise<void> {
    this.socket = socket;
    this.attached = false;
    socket.listener.opened();
    await this.serve();
  }

  /** Answer everything that was asked, until nothing more is asked. */
  async serve(): Promise<void> {
    for (;;) {
      await settle();
      const news = this.socket?.news() ?? [];
      if (news.length === 0) return;
      for (const frame of news) await this.answer(frame);
    }
  }

  async write(author: string, text: string, client_id?: string): Promise<void> {
    const offset = this.log.length + 1;
    const record = delivery(offset, { author, body: { text }, ...(client_id === undefined ? {} : { client_id }) });
    this.log.push(record);
    if (author !== "me" && this.attached) await this.say(record);
    if (author === "me") this.read = offset;
    if (author !== "me") await this.say({ op: "event", number: 4, kind: "head", body: this.head() });
  }

  async say(frame: Json): Promise<void> {
    await this.socket?.say(frame);
  }

  private head(): Record<string, unknown> {
    const { head, ordinal, unread, received, read, last } = this.info();
    return { conversation: "c", number: 9, head, ordinal, unread, received, read, last };
  }

  private info() {
    const head = this.log.length;
    const last = this.log.at(-1) as unknown as { offset: number; author: string; time: number; body: { text: string } };
    return conversation("c", {
      head,
      ordinal: head,
      unread: head - this.read,
      received: this.read,
      read: this.read,
      last: last ? { ...last, kind: "text", text: last.body.text } : null,
    });
  }

  private async answer(frame: Json): Promise<void> {
    const { op, id } = frame;
    const refuse = (code: string): Promise<void> =>
      this.say({ op: "error", id, code, params: {}, temporary: false, scope: "command", action: "stop" });
    switch (op) {
      case "connect":
        return this.say({ ...WELCOME, id, epoch: this.epoch, head: 0 });
      case "attach": {
        this.attaches.push(frame);
        const from = typeof frame.after === "number" ? frame.after : this.log.length;
        const stale = frame.epoch !== undefined && frame.epoch !== this.epoch;
        const outcome = !this.member ? "denied" : stale ? "epoch_changed" : "complete";
        const { gen } = frame;
        const head = this.log.length;
        await this.say({ op: "attached", id, channel: CHANNEL, number: 9, gen, outcome, epoch: this.epoch, head });
        if (outcome !== "complete") return;
        this.attached = true;
        for (const record of this.log.slice(from)) await this.say(record);
        return;
      }
      case "sync": {
        const below = this.log.filter((record) => Number(record.offset) < Number(frame.before ?? Infinity));
        const items = below.filter((record) => Number(record.offset) > Number(frame.after ?? 0)).slice(-60);
        const more = items.length < below.length && "before" in frame;
        const head = this.log.length;
        return this.say({
          op: "page",
          id,
          channel: CHANNEL,
          number: 9,
          items,
          more,
          head,
          floor: 0,
          epoch: this.epoch,
        });
      }
      case "publish": {
        const known = this.log.find((record) => record.client_id === frame.client_id);
        if (!known) await this.write("me", (frame.body as { text: string }).text, String(frame.client_id));
        if (this.cutBeforeAck) {
          this.cutBeforeAck = false;
          return this.socket?.drop();
        }
        const { message, offset, ordinal, time } = known ?? this.log.at(-1) ?? delivery(0);
        return this.say({ op: "ack", id, message, offset, ordinal, time, ...(known ? { duplicate: true } : {}) });
      }
      case "watermark":
        this.watermarks.push(frame);
        this.read = Math.max(this.read, Number(frame.read ?? 0));
        return this.say({ op: "ok", id });
      case "command":
        if (frame.name === "conversation.list") {
          return this.say({ op: "ok", id, result: { items: this.listed ? [this.info()] : [] } });
        }
        if (frame.name === "conversation.members") {
          return this.say({ op: "ok", id, result: { items: [member("me", "Thea"), member("ana", "Ana")] } });
        }
        if (!this.member) return refuse("not_found");
        return this.say({ op: "ok", id, result: this.info() });
      default:
        return this.say({ op: "ok", id });
    }
  }
}

let clock: VirtualClock;
let server: Server;
let sockets: TestSocket[];
let stored: Map<string, Entry>;
let orphans: Entry[];
let arrived: string[];
let ended: Refusal | null;
let chat: Chat;
let ids: number;

beforeEach(() => {
  clock = new VirtualClock();
  server = new Server();
  sockets = [];
  stored = new Map();
  orphans = [];
  arrived = [];
  ended = null;
  ids = 0;
  chat = build();
});

function build(): Chat {
  return new Chat(
    ME,
    {
      open: (listener) => {
        const socket = new TestSocket(listener);
        sockets.push(socket);
        return socket;
      },
      clock,
      random: () => 0.5,
      token: () => Promise.resolve({ value: "t", expiresAt: clock.now() + 600_000 }),
      device: "web",
      newId: () => `01JD0000000000000000000${String((ids += 1)).padStart(3, "0")}`,
      storage: {
        put: (entry) => Promise.resolve(void stored.set(entry.client_id, entry)),
        remove: (clientId) => Promise.resolve(void stored.delete(clientId)),
        adopt: () => Promise.resolve(orphans),
      },
    },
    {
      changed: () => undefined,
      arrived: (_, record) => arrived.push(String(record.body["text"])),
      trouble: () => undefined,
      ended: (reason) => (ended = reason),
    },
  );
}

async function connect(): Promise<void> {
  const count = sockets.length;
  while (sockets.length === count) await clock.advance(clock.next ?? 0);
  const socket = sockets.at(-1);
  if (socket) await server.accept(socket);
}

async function start(): Promise<void> {
  chat.start();
  await connect();
}

async function open(): Promise<void> {
  await start();
  await chat.show("c");
  await server.serve();
}

function thread(): Thread {
  const found = chat.state.threads.get("c");
  if (!found) throw new Error("the conversation is not known");
  return found;
}

const messages = (): MessageRow[] => timeline(chat.state, thread(), null).filter((row) => row.row === "message");
const shown = (): [string, string][] => messages().map((row) => [row.text, row.state]);

test("a conversation opens with its newest messages and loads older ones", async () => {
  for (let index = 1; index <= 100; index += 1) await server.write("ana", `m${index}`);
  await open();
  expect(messages().map((row) => row.text)).toEqual(Array.from({ length: 60 }, (_, index) => `m${index + 41}`));
  await Promise.all([chat.loadOlder("c"), server.serve()]);
  expect(messages()).toHaveLength(100);
  await Promise.all([chat.loadOlder("c"), server.serve()]);
  expect(thread().log).toMatchObject({ start: 0, loading: false });
});

test("messages go both ways, and watermarks tell it", async () => {
  await open();
  chat.send("c", "hello");
  await server.serve();
  expect(shown()).toEqual([["hello", "sent"]]);
  await server.say({ op: "event", number: 9, kind: "watermark", body: { person: "ana", received: 1, read: 0 } });
  expect(shown()).toEqual([["hello", "received"]]);
  await server.say({ op: "event", number: 9, kind: "watermark", body: { person: "ana", received: 1, read: 1 } });
  expect(shown()).toEqual([["hello", "read"]]);
  await server.write("ana", "hi");
  expect(shown()).toEqual([
    ["hello", "read"],
    ["hi", "incoming"],
  ]);
  expect(thread().info.unread).toBe(1);
  chat.seen("c");
  expect(thread().info.unread).toBe(0);
  await clock.advance(2000);
  await server.serve();
  expect(server.watermarks.at(-1)).toMatchObject({ read: 2 });
  expect(arrived).toEqual(["hi"]);
});

describe("after a loss", () => {
  test("a message that was written, but not acknowledged, is there once", async () => {
    await open();
    server.cutBeforeAck = true;
    chat.send("c", "once");
    await server.serve();
    expect(shown()).toEqual([["once", "sending"]]);
    await connect();
    expect(shown()).toEqual([["once", "sent"]]);
    expect(server.log).toHaveLength(1);
    expect(stored.size).toBe(0);
  });

  test("what was missed comes, what was written meanwhile goes, in order", async () => {
    await open();
    await server.write("ana", "1");
    await server.socket?.drop();
    server.socket = null;
    chat.send("c", "3");
    chat.send("c", "4");
    await settle();
    await server.write("ana", "2");
    await connect();
    expect(server.attaches.at(-1)).toMatchObject({ epoch: "e1", after: 1 });
    expect(shown().map(([text]) => text)).toEqual(["1", "2", "3", "4"]);
    expect(server.log.map((record) => (record.body as { text: string }).text)).toEqual(["1", "2", "3", "4"]);
  });

  test("of the whole page, unsent messages are sent by the next", async () => {
    orphans = [
      {
        client_id: "01JD0000000000000000000901",
        person: "me",
        conversation: "c",
        text: "left",
        created: 1,
        failed: null,
      },
    ];
    await open();
    expect(server.log.map((record) => record.client_id)).toEqual(["01JD0000000000000000000901"]);
    expect(shown()).toEqual([["left", "sent"]]);
  });

  test("a restored database is read again", async () => {
    await open();
    for (const text of ["1", "2", "3"]) await server.write("ana", text);
    await server.socket?.drop();
    server.epoch = "e2";
    server.log.splice(1);
    await connect();
    expect(shown().map(([text]) => text)).toEqual(["1"]);
    await server.write("ana", "other 2");
    expect(shown().map(([text]) => text)).toEqual(["1", "other 2"]);
  });
});

describe("a conversation that is not open", () => {
  test("is followed once something arrives, so that it is received, but stays unread", async () => {
    await server.write("ana", "before");
    await start();
    expect(server.attaches).toEqual([]);
    await server.write("ana", "news");
    await server.serve();
    expect(server.attaches).toMatchObject([{ after: 0, epoch: "e1" }]);
    expect(thread().info.unread).toBe(2);
    await clock.advance(1000);
    await server.serve();
    expect(server.watermarks.at(-1)).toMatchObject({ received: 2 });
    expect(server.watermarks.filter((mark) => "read" in mark)).toEqual([]);
    await chat.show("c");
    await server.serve();
    expect(messages().map((row) => row.text)).toEqual(["before", "news"]);
  });

  test("appears with the membership, and goes with it", async () => {
    server.listed = false;
    await start();
    expect(chat.state.threads.size).toBe(0);
    const record = { ordinal: 0, kind: "membership.added", body: { conversation: "c", number: 9 }, number: 4 };
    await server.say(delivery(1, record));
    await server.serve();
    expect(thread().gone).toBeNull();
    await server.say(delivery(2, { ...record, kind: "membership.removed" }));
    expect(thread().gone).toBe("removed");
  });
});

test("removal ends an open conversation at once", async () => {
  await open();
  server.member = false;
  await server.say({ op: "detached", number: 9, reason: "removed" });
  expect(thread().gone).toBe("removed");
  await server.say(delivery(1));
  expect(messages()).toEqual([]);
});

test("a slow link catches up after lag", async () => {
  await open();
  await server.write("ana", "1");
  for (let offset = 2; offset <= 5; offset += 1) server.log.push(delivery(offset, { body: { text: String(offset) } }));
  await server.say({ op: "lag", number: 9, head: 5 });
  await server.serve();
  expect(messages().map((row) => row.text)).toEqual(["1", "2", "3", "4", "5"]);
  expect(server.attaches.at(-1)).toMatchObject({ after: 5 });
});

test("history that could not be loaded is loaded when the link is back", async () => {
  for (let index = 1; index <= 100; index += 1) await server.write("ana", `m${index}`);
  await open();
  await server.socket?.drop();
  await chat.loadOlder("c");
  expect(thread().log?.error).not.toBeNull();
  await connect();
  expect(messages()).toHaveLength(100);
  expect(messages().at(-1)?.offset).toBe(100);
});

test("the end of the login is passed on", async () => {
  await open();
  await server.say({ op: "close", code: 4004, reason: "the login ended", reconnect_in_ms: 0, resumable: false });
  expect(ended?.code).toBe("login_ended");
});
