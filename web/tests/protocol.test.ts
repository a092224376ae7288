import { readFileSync } from "node:fs";

import { describe, expect, test } from "vitest";

import { CLOSE_ACTIONS, ProtocolError, decode, encode, read, type ClientFrame } from "../src/protocol";
import { WELCOME, delivery } from "./support/wire";

const schema = readFileSync(new URL("../../protocols/wire/frames.py", import.meta.url), "utf8");
const page = readFileSync(new URL("../../docs/protocol.md", import.meta.url), "utf8");
const corpus = JSON.parse(readFileSync(new URL("../../tests/protocols/wire/corpus.json", import.meta.url), "utf8")) as {
  name: string;
  bytes: string;
}[];

interface Field {
  readonly name: string;
  readonly type: string;
  readonly optional: boolean;
}

/** The frames of `protocols/wire/frames.py`, by tag. */
function framesOf(union: "ClientFrame" | "ServerFrame"): Map<string, Field[]> {
  const names = new RegExp(`^${union} = (\\(\\n.+\\n\\)|.+)$`, "m").exec(schema)?.[1] ?? "";
  const wanted = new Set(names.split(/[^A-Za-z]+/).filter(Boolean));
  const frames = new Map<string, Field[]>();
  for (const [, name, tag, body] of schema.matchAll(/class (\w+)\(Frame, tag="(\w+)".*\):\n((?: {4}.*\n)+)/g)) {
    if (!wanted.has(name ?? "")) continue;
    const fields = [...(body ?? "").matchAll(/^ {4}(\w+): ([^=\n]+?)(?: = (.*))?$/gm)].map(
      ([, field, type, value]) => ({
        name: (field ?? "").replace(/_$/, ""),
        type: type ?? "",
        optional: value !== undefined,
      }),
    );
    frames.set(tag ?? "", fields);
  }
  return frames;
}

function example(type: string): unknown {
  const plain = type.replace(/ \| None$/, "");
  const { limits } = WELCOME;
  const literal = /^Literal\["(\w+)"/.exec(plain)?.[1];
  if (literal !== undefined) return literal;
  const examples: Record<string, unknown> = {
    int: 7,
    str: "x",
    bool: true,
    float: 1.5,
    Any: { any: "thing" },
    "dict[str, Any]": { a: 1 },
    "list[Delivery]": [delivery(1)],
    Outcome: "complete",
    Limits: limits,
  };
  if (!(plain in examples)) throw new Error(`no example of ${type}`);
  return examples[plain];
}

describe("server frames", () => {
  const frames = [...framesOf("ServerFrame")];

  test("are all there", () => {
    expect(frames.map(([tag]) => tag)).toContain("welcome");
    expect(frames).toHaveLength(13);
  });

  test.each(frames)("%s with every member is kept whole", (tag, fields) => {
    const whole = { op: tag, ...Object.fromEntries(fields.map((field) => [field.name, example(field.type)])) };
    const items = "items" in whole ? { items: [expect.objectContaining({ offset: 1 })] } : {};
    expect(decode(JSON.stringify(whole))).toEqual({ ...whole, ...items });
  });

  test.each(frames)("%s needs what the schema needs, and no more", (tag, fields) => {
    const needed = fields.filter((field) => !field.optional);
    const least = { op: tag, ...Object.fromEntries(needed.map((field) => [field.name, example(field.type)])) };
    expect(decode(JSON.stringify(least))).toMatchObject({ op: tag });
    for (const field of needed) {
      const { [field.name]: _, ...rest } = least as Record<string, unknown>;
      expect(() => decode(JSON.stringify(rest)), `${tag} without ${field.name}`).toThrow(ProtocolError);
      expect(() => decode(JSON.stringify({ ...rest, [field.name]: [[]] })), `${tag}.${field.name}`).toThrow(
        ProtocolError,
      );
    }
  });

  test("of an unknown kind are ignored, and unknown members too", () => {
    expect(decode('{"op":"dance","steps":3}')).toBeNull();
    expect(decode('{"op":"toString"}')).toBeNull();
    expect(decode('{"op":"ping","mood":"good"}')).toEqual({ op: "ping" });
  });

  test.each(["", "null", "1", '"ping"', "[]", '[{"op":"ping"}]', "{}", '{"op":5}', '{"op":"ping"'])(
    "%j is none",
    (text) => {
      expect(() => decode(text)).toThrow(ProtocolError);
    },
  );

  test.each([9_007_199_254_740_992, 1.5, "7", null, true])("an offset is an integer of 53 bits, not %j", (offset) => {
    expect(() => decode(JSON.stringify(delivery(1, { offset })))).toThrow(ProtocolError);
  });
});

describe("client frames", () => {
  const channel = "conv:0193a1b2-0000-7000-8000-000000000001";
  const client_id = "01JD3K8Q4ZV5W6X7Y8Z9ABCDEF";
  const ref = "0193a1b2-0000-7000-8000-0000000000ff";
  const frames: [string, ClientFrame][] = [
    ["connect with what it must have", { op: "connect", id: 1, token: "a.b.c" }],
    ["attach", { op: "attach", id: 2, channel, gen: 1, epoch: "9f3a", after: 41 }],
    ["attach behind the head", { op: "attach", id: 2, channel, gen: 0 }],
    ["detach", { op: "detach", id: 3, channel, gen: 7 }],
    ["publish", { op: "publish", id: 3, channel, client_id, n: 1, kind: "text", body: { text: "Hello" } }],
    [
      "publish in answer to a message",
      { op: "publish", id: 3, channel, client_id, n: 1, kind: "text", ref, body: { text: "Hello" } },
    ],
    ["watermark", { op: "watermark", id: 4, channel, received: 43, read: 42 }],
    ["watermark of what was received", { op: "watermark", id: 4, channel, received: 43 }],
    ["sync upwards", { op: "sync", id: 5, channel, after: 0 }],
    ["sync downwards", { op: "sync", id: 5, channel, before: 10, limit: 500 }],
    ["refresh", { op: "refresh", id: 6, token: "a.b.c", gen: 2 }],
    ["command", { op: "command", id: 7, name: "conversation.list", params: { limit: 20 } }],
    ["pong", { op: "pong" }],
  ];

  test.each(frames)("%s is what the corpus has under this name", (name, frame) => {
    const entry = corpus.find((one) => one.name === name);
    expect(JSON.parse(encode(frame))).toEqual(JSON.parse(entry?.bytes ?? "null"));
  });

  test("of every kind of the schema are among them", () => {
    expect(new Set(frames.map(([, frame]) => frame.op))).toEqual(new Set(framesOf("ClientFrame").keys()));
  });
});

test("close codes have the actions of the protocol's table", () => {
  const rows = [...page.matchAll(/^\| (\d{4}) \|.*\| (\w+) \|$/gm)].map(([, code, action]) => [code, action]);
  expect(rows.length).toBeGreaterThan(10);
  expect(CLOSE_ACTIONS).toEqual(Object.fromEntries(rows));
});

describe("values", () => {
  const conversation = {
    id: "c",
    number: 9,
    kind: "group",
    title: "Thesis",
    created_at: 1,
    head: 3,
    ordinal: 2,
    floor: 0,
    unread: 1,
    received: 2,
    read: 2,
    role: "owner",
    members: 3,
  };

  test("a conversation may lack peer and last", () => {
    expect(read.conversation(conversation)).toEqual({ ...conversation, last: null });
    expect(() => read.conversation({ ...conversation, kind: "broadcast" })).toThrow(ProtocolError);
  });

  test("what a server says of transports may lack WebTransport", () => {
    const websocket = { url: "/v1/realtime" };
    const webtransport = { url: "https://127.0.0.1:8443/v1/realtime", hashes: ["AAEC"] };
    expect(read.transports({ webtransport, websocket })).toEqual({ webtransport });
    expect(read.transports({ webtransport: null, websocket })).toEqual({ webtransport: null });
    expect(() => read.transports({ webtransport: { url: webtransport.url } })).toThrow(ProtocolError);
  });

  test("a listing tells where it goes on", () => {
    expect(read.conversations({ items: [conversation], next: "abc" }).next).toBe("abc");
    expect(read.conversations({ items: [] }).next).toBeUndefined();
    expect(() => read.conversations({ items: {} })).toThrow(ProtocolError);
  });
});
