import { expect, test } from "vitest";

import type { Delivery, Member } from "../src/protocol";
import { initialState, reduce, type Action, type State } from "../src/store";
import { listOrder, timeline, titleOf, unreadTotal, type MessageRow, type Row } from "../src/timeline";
import { ME, conversation, member, record } from "./support/things";

const NOON = new Date(2025, 10, 24, 12).getTime();
const MINUTE = 60_000;

function shown(records: readonly Delivery[], members: readonly Member[] = [], more: readonly Action[] = []): State {
  const actions: Action[] = [
    { type: "conversation", info: conversation("c") },
    { type: "started", id: "c", position: 0 },
    { type: "records", id: "c", records },
    ...(members.length > 0 ? [{ type: "members", id: "c", members } as const] : []),
    ...more,
  ];
  return actions.reduce(reduce, initialState(ME));
}

function rows(state: State, unreadAfter: number | null = null): readonly Row[] {
  const thread = state.threads.get("c");
  if (!thread) throw new Error("no conversation");
  return timeline(state, thread, unreadAfter);
}

const messages = (state: State): MessageRow[] => rows(state).filter((row) => row.row === "message");
const kinds = (state: State, unreadAfter: number | null = null): string[] =>
  rows(state, unreadAfter).map((row) => row.row);

test("days are separated, also across midnight", () => {
  const late = new Date(2025, 10, 24, 23, 59).getTime();
  const state = shown([record(1, { time: NOON }), record(2, { time: late }), record(3, { time: late + 2 * MINUTE })]);
  expect(kinds(state)).toEqual(["day", "message", "message", "day", "message"]);
});

test("keys are unique, whatever clocks say", () => {
  const state = shown([record(1, { time: NOON }), record(2, { time: NOON - 86_400_000 }), record(3, { time: NOON })]);
  const keys = rows(state).map((row) => row.key);
  expect(new Set(keys).size).toBe(keys.length);
});

test("messages that one person writes in a row are one run", () => {
  const state = shown([
    record(1, { time: NOON }),
    record(2, { time: NOON + MINUTE }),
    record(3, { time: NOON + 10 * MINUTE }),
    record(4, { time: NOON + 11 * MINUTE, author: "me" }),
  ]);
  expect(messages(state).map(({ first, last }) => [first, last])).toEqual([
    [true, false],
    [false, true],
    [true, true],
    [true, true],
  ]);
});

test("unread begins before the first message of another that was not read", () => {
  const records = [record(1), record(2, { author: "me" }), record(3), record(4)].map((one) => ({ ...one, time: NOON }));
  expect(kinds(shown(records), 1)).toEqual(["day", "message", "message", "unread", "message", "message"]);
  expect(kinds(shown(records), 4)).not.toContain("unread");
  expect(kinds(shown(records))).not.toContain("unread");
});

test("one's own messages are sent, then received by all, then read by all", () => {
  const own = [1, 2, 3].map((offset) => record(offset, { author: "me", client_id: `C${offset}`, time: NOON }));
  const others = [
    member("me", "Thea"),
    member("ana", "Ana", { received: 3, read: 2 }),
    member("jo", "Jonas", { received: 2, read: 1 }),
  ];
  const state = shown(own, others);
  expect(messages(state).map((row) => [row.state, row.readers, row.others])).toEqual([
    ["read", 2, 2],
    ["received", 1, 2],
    ["sent", 0, 2],
  ]);
});

test("before members are known the peer's watermark counts; alone in a group nothing is received", () => {
  const own = [record(1, { author: "me", client_id: "C1" })];
  const marks = { person: "ana", received: 1, read: 0 };
  expect(messages(shown(own, [], [{ type: "watermark", id: "c", marks }]))[0]?.state).toBe("received");
  expect(messages(shown(own, [member("me", "Thea")]))[0]?.state).toBe("sent");
});

test("a message keeps its key from outbox to log", () => {
  const message = { client_id: "C1", text: "hi", created: NOON, failed: null, offset: null };
  const sending = shown([], [], [{ type: "outgoing", id: "c", message }]);
  expect(messages(sending)).toMatchObject([{ key: "cC1", state: "sending", offset: null, clientId: "C1" }]);
  const acknowledged = reduce(sending, { type: "acknowledged", id: "c", clientId: "C1", offset: 5 });
  expect(messages(acknowledged)).toMatchObject([{ key: "cC1", state: "sent", offset: 5 }]);
  const logged = shown([record(1, { author: "me", client_id: "C1" })]);
  expect(messages(logged)).toMatchObject([{ key: "cC1", state: "sent", offset: 1 }]);
});

test("a refused message is failed, with the reason", () => {
  const failed = { code: "forbidden", params: {} };
  const message = { client_id: "C1", text: "hi", created: NOON, failed, offset: null };
  expect(messages(shown([], [], [{ type: "outgoing", id: "c", message }]))).toMatchObject([
    { state: "failed", failed },
  ]);
});

test.each([
  ["member.added", { person: "jo", name: "Jonas", by: "me" }, "You added Jonas"],
  ["member.added", { person: "me", name: "Thea", by: "ana" }, "Ana added you"],
  ["member.added", { person: "jo", name: "Jonas", by: "jo" }, "Jonas joined"],
  ["member.removed", { person: "me", by: "ana" }, "Ana removed you"],
  ["member.left", { person: "ana" }, "Ana left"],
  ["member.left", { person: "nobody" }, "A former member left"],
  ["something.new", {}, "Something that this page cannot show"],
])("%s %j is told as “%s”", (kind, body, text) => {
  expect(rows(shown([record(1, { kind, body })])).at(-1)).toMatchObject({ row: "notice", text });
});

test("the list has the newest activity first, and what is being sent counts", () => {
  const at = (id: string, time: number, unread: number): Action => ({
    type: "conversation",
    info: conversation(id, {
      unread,
      ordinal: unread,
      kind: "group",
      title: id,
      last: { offset: 1, author: "ana", kind: "text", time, text: "x" },
    }),
  });
  const message = { client_id: "C1", text: "hi", created: NOON + 5, failed: null, offset: null };
  const state = [
    at("a", NOON, 1),
    at("b", NOON + 1, 2),
    at("gone", NOON + 9, 4),
    { type: "gone", id: "gone", why: "left" } as const,
  ].reduce(reduce, initialState(ME));
  expect(listOrder(state).map(titleOf)).toEqual(["b", "a"]);
  expect(unreadTotal(state)).toBe(3);
  const sending = reduce(state, { type: "outgoing", id: "a", message });
  expect(listOrder(sending).map(titleOf)).toEqual(["a", "b"]);
});

// --- verdicts -------------------------------------------------------------------------------------------------------

const held = (offset: number, more: Partial<Delivery> = {}): Delivery =>
  record(offset, { body: {}, verdict: "hold", time: NOON, ...more });
const decided = (offset: number, of: number, text: string | null, more: Partial<Delivery> = {}): Delivery =>
  record(offset, {
    kind: "message.decided",
    time: NOON,
    body: {
      message: "m",
      offset: of,
      verdict: text === null ? "block" : "allow",
      ...(text === null ? {} : { body: { text } }),
    },
    ...more,
  });

const texts = (state: State): string[] => rows(state).flatMap((row) => ("text" in row ? [`${row.row}: ${row.text}`] : []));

test("a message of somebody else that is held is a place and no words, and nothing new", () => {
  const state = shown([held(1)]);
  expect(texts(state)).toEqual(["notice: A message is being reviewed"]);
  expect(kinds(state, 0)).toEqual(["day", "notice"]);
});

test("what is released is shown once, where it became new", () => {
  const state = shown([held(1), record(2, { time: NOON }), decided(3, 1, "at last")]);
  expect(texts(state)).toEqual([`message: ${messages(state)[0]?.text}`, "message: at last"]);
  expect(kinds(state, 2)).toEqual(["day", "message", "unread", "message"]);
});

test("a log that was read after the release shows it once, too", () => {
  const state = shown([record(1, { time: NOON, body: { text: "at last" } }), decided(2, 1, "at last")]);
  expect(texts(state)).toEqual(["message: at last"]);
});

test("what is refused says so in its place", () => {
  expect(texts(shown([held(1), decided(2, 1, null)]))).toEqual(["notice: A message was withheld"]);
  expect(texts(shown([held(1, { verdict: "block" }), decided(2, 1, null)]))).toEqual([
    "notice: A message was withheld",
  ]);
});

test("one's own held message is whole, and says what becomes of it", () => {
  const own = held(1, { author: "me", body: { text: "mine" } });
  const release = decided(2, 1, "mine", { author: "me" });
  const refusal = decided(2, 1, null, { author: "me" });
  const reviews = (records: readonly Delivery[]) => messages(shown(records)).map(({ text, review }) => [text, review]);
  expect(reviews([own])).toEqual([["mine", "held"]]);
  expect(reviews([own, release])).toEqual([["mine", null]]);
  expect(reviews([own, refusal])).toEqual([["mine", "refused"]]);
  expect(texts(shown([own, release]))).toEqual(["message: mine", "notice: Your message was released"]);
});

test("a flag is nobody's to see", () => {
  const state = shown([record(1, { time: NOON, verdict: "flag" }), record(2, { time: NOON, author: "me", verdict: "flag" })]);
  expect(messages(state).map(({ review }) => review)).toEqual([null, null]);
  expect(kinds(state)).toEqual(["day", "message", "message"]);
});
