import { describe, expect, test } from "vitest";

import type { Head } from "../src/protocol";
import { initialState, logEnd, reduce, type Action, type Log, type State, type Thread } from "../src/store";
import { ME, conversation, member, range, record } from "./support/things";

function after(...actions: Action[]): State {
  return actions.reduce(reduce, initialState(ME));
}

function thread(state: State, id = "c"): Thread {
  const found = state.threads.get(id);
  if (!found) throw new Error(`no conversation ${id}`);
  return found;
}

function log(state: State): Log {
  const found = thread(state).log;
  if (!found) throw new Error("no log");
  return found;
}

const offsets = (state: State): number[] => log(state).records.map((one) => one.offset);

const known = (members = {}): Action => ({ type: "conversation", info: conversation("c", members) });
const started = (position: number): Action => ({ type: "started", id: "c", position });
const records = (...items: ReturnType<typeof record>[]): Action => ({ type: "records", id: "c", records: items });
const older = (before: number, items: ReturnType<typeof record>[], more = false, floor = 0): Action => ({
  type: "older",
  id: "c",
  before,
  page: { items, more, floor },
});
const outgoing = (client_id: string): Action => ({
  type: "outgoing",
  id: "c",
  message: { client_id, text: "x", created: 1, failed: null, offset: null },
});
const head = (members: Partial<Head>): Action => ({
  type: "head",
  head: {
    conversation: "c",
    number: 9,
    head: 0,
    ordinal: 0,
    unread: 0,
    received: 0,
    read: 0,
    last: null,
    ...members,
  },
});

describe("the log", () => {
  test("grows by records that follow", () => {
    const state = after(known(), started(41), records(record(42), record(43)));
    expect(offsets(state)).toEqual([42, 43]);
    expect(logEnd(log(state))).toBe(43);
  });

  test("takes no repeats and nothing behind a gap", () => {
    const state = after(known(), started(41), records(record(42)), records(record(42), record(41), record(44)));
    expect(offsets(state)).toEqual([42]);
  });

  test("grows upwards by pages, down to the floor", () => {
    let state = after(known(), started(41), records(record(42)), { type: "loading", id: "c" });
    expect(log(state).loading).toBe(true);
    state = reduce(state, older(42, range(20, 41), true));
    expect(log(state)).toMatchObject({ start: 19, loading: false });
    state = reduce(state, older(20, range(6, 19), false, 5));
    expect(log(state)).toMatchObject({ start: 5, floor: 5 });
    expect(offsets(state)).toEqual(range(6, 42).map((one) => one.offset));
  });

  test("ignores a page for a log that was started anew meanwhile, and what a page has too much", () => {
    const restarted = after(
      known(),
      started(41),
      { type: "loading", id: "c" },
      started(80),
      older(42, range(20, 41), true),
    );
    expect(offsets(restarted)).toEqual([]);
    expect(log(restarted)).toMatchObject({ start: 80, loading: false });
    const overlapping = after(known(), started(41), records(record(42)), older(42, range(40, 43)));
    expect(offsets(overlapping)).toEqual([40, 41, 42]);
  });

  test("an empty page ends at the floor", () => {
    expect(log(after(known(), started(5), older(6, [], false, 5)))).toMatchObject({ start: 5, floor: 5 });
  });

  test("forgets what was truncated", () => {
    const state = after(known(), started(0), records(...range(1, 10)), { type: "truncated", id: "c", floor: 7 });
    expect(offsets(state)).toEqual([8, 9, 10]);
    expect(log(state)).toMatchObject({ start: 7, floor: 7 });
    const all = reduce(state, { type: "truncated", id: "c", floor: 20 });
    expect(logEnd(log(all))).toBe(20);
  });

  test("can be trimmed and loaded again", () => {
    const trimmed = after(known(), started(0), records(...range(1, 10)), { type: "trimmed", id: "c", keep: 3 });
    expect(offsets(trimmed)).toEqual([8, 9, 10]);
    expect(offsets(reduce(trimmed, older(8, range(5, 7), true)))).toEqual([5, 6, 7, 8, 9, 10]);
    expect(reduce(trimmed, { type: "trimmed", id: "c", keep: 3 })).toBe(trimmed);
  });

  test("keeps why older records could not be loaded until they are asked for again", () => {
    const error = new Error("lost");
    const failed = after(known(), started(5), { type: "loading", id: "c" }, { type: "older_failed", id: "c", error });
    expect(log(failed)).toMatchObject({ loading: false, error });
    expect(log(reduce(failed, { type: "loading", id: "c" }))).toMatchObject({ loading: true, error: null });
  });
});

describe("messages on their way", () => {
  const own = (offset: number, client_id: string): ReturnType<typeof record> =>
    record(offset, { author: "me", client_id });

  test("leave when the log shows them", () => {
    const state = after(known(), started(41), outgoing("A"), outgoing("B"), records(own(42, "A")));
    expect(thread(state).outgoing.map((one) => one.client_id)).toEqual(["B"]);
  });

  test("stay after the ack while records below it are missing", () => {
    const acknowledged: Action = { type: "acknowledged", id: "c", clientId: "A", offset: 43 };
    const state = after(known(), started(41), outgoing("A"), acknowledged);
    expect(thread(state).outgoing).toMatchObject([{ client_id: "A", offset: 43 }]);
    expect(thread(reduce(state, records(record(42), own(43, "A")))).outgoing).toEqual([]);
  });

  test("leave with an ack that comes after the delivery, or when nothing is open", () => {
    const acknowledged: Action = { type: "acknowledged", id: "c", clientId: "A", offset: 42 };
    expect(thread(after(known(), started(42), outgoing("A"), acknowledged)).outgoing).toEqual([]);
    expect(thread(after(known(), outgoing("A"), acknowledged)).outgoing).toEqual([]);
  });

  test("leave when the log starts behind them, or a page shows them", () => {
    const acknowledged: Action = { type: "acknowledged", id: "c", clientId: "A", offset: 43 };
    expect(thread(after(known(), started(41), outgoing("A"), acknowledged, started(50))).outgoing).toEqual([]);
    expect(thread(after(known(), started(50), outgoing("A"), older(51, [own(50, "A")]))).outgoing).toEqual([]);
  });

  test("of somebody else with the same client id do not count", () => {
    const foreign = record(42, { author: "ana", client_id: "A" });
    expect(thread(after(known(), started(41), outgoing("A"), records(foreign))).outgoing).toHaveLength(1);
  });

  test("wait for a conversation that is not known yet", () => {
    const state = after(outgoing("A"), outgoing("B"), known());
    expect(thread(state).outgoing).toHaveLength(2);
    expect(state.stranded.size).toBe(0);
  });

  test("are shown once, with their newest state", () => {
    const failed = { client_id: "A", text: "x", created: 1, failed: { code: "forbidden", params: {} }, offset: null };
    const state = after(known(), outgoing("A"), { type: "outgoing", id: "c", message: failed });
    expect(thread(state).outgoing).toEqual([failed]);
    const gone = reduce(state, { type: "outgoing_removed", id: "c", clientId: "A" });
    expect(thread(gone).outgoing).toEqual([]);
  });
});

describe("unread", () => {
  test("counts by ordinal: membership records do not count", () => {
    const state = after(
      known({ head: 5, ordinal: 4, read: 5 }),
      started(5),
      records(record(6, { ordinal: 5 }), record(7, { ordinal: 5, kind: "member.left", body: { person: "x" } })),
    );
    expect(thread(state).info).toMatchObject({ head: 7, ordinal: 5, unread: 1 });
  });

  test("is gone when the end was read", () => {
    const state = after(known({ head: 5, ordinal: 5, unread: 3, read: 2 }), started(5), {
      type: "own_read",
      id: "c",
      read: 5,
    });
    expect(thread(state).info).toMatchObject({ unread: 0, read: 5, received: 5 });
  });

  test("is gone up to what was read", () => {
    const state = after(known(), started(0), records(...range(1, 5)), { type: "own_read", id: "c", read: 3 });
    expect(thread(state).info.unread).toBe(2);
  });

  test("is gone after writing", () => {
    const own = record(6, { author: "me", client_id: "A" });
    const state = after(known({ head: 5, ordinal: 5, unread: 2, read: 3 }), started(5), records(own));
    expect(thread(state).info).toMatchObject({ unread: 0, read: 6 });
  });

  test("comes from head events while a conversation is closed", () => {
    const last = { offset: 8, author: "ana", kind: "text", time: 5, text: "hi" };
    const state = after(
      known({ head: 5, ordinal: 5, read: 5 }),
      head({ head: 8, ordinal: 8, unread: 3, read: 5, last }),
    );
    expect(thread(state).info).toMatchObject({ head: 8, unread: 3, last });
  });

  test("does not come back with an older head event or snapshot", () => {
    const read = after(known({ head: 5, ordinal: 5, unread: 2, read: 3 }), started(5), {
      type: "own_read",
      id: "c",
      read: 5,
    });
    const older = { head: 5, ordinal: 5, unread: 2, read: 3 };
    expect(thread(reduce(read, head(older))).info).toMatchObject({ unread: 0, read: 5 });
    expect(thread(reduce(read, known(older))).info).toMatchObject({ unread: 0, read: 5 });
    expect(thread(reduce(read, known({ head: 3, ordinal: 3 }))).info).toMatchObject({ head: 5, unread: 0 });
  });

  test("goes when another device has read", () => {
    const unread = after(known({ head: 5, ordinal: 5, unread: 2, read: 3 }));
    expect(thread(reduce(unread, head({ head: 5, ordinal: 5, unread: 0, read: 5 }))).info.unread).toBe(0);
    const marks = { person: "me", received: 5, read: 5 };
    expect(thread(reduce(unread, { type: "watermark", id: "c", marks })).info.unread).toBe(0);
  });
});

describe("watermarks of others", () => {
  test("only rise, and reading is receiving", () => {
    const state = after(
      known(),
      { type: "watermark", id: "c", marks: { person: "ana", received: 5, read: 2 } },
      { type: "watermark", id: "c", marks: { person: "ana", received: 4, read: 7 } },
      { type: "watermark", id: "c", marks: { person: "ana", received: 1, read: 1 } },
    );
    expect(thread(state).marks.get("ana")).toEqual({ received: 7, read: 7 });
  });

  test("rise with what they write", () => {
    const state = after(known(), started(0), records(record(1), record(2, { author: "jo" })));
    expect([...thread(state).marks].map(([person, mark]) => [person, mark.read])).toEqual([
      ["ana", 1],
      ["jo", 2],
    ]);
  });

  test("come with the members, oneself excluded", () => {
    const members = [member("me", "Thea", { read: 9 }), member("ana", "Ana", { received: 5, read: 4 })];
    const state = after(known(), { type: "members", id: "c", members });
    expect([...thread(state).marks]).toEqual([["ana", { received: 5, read: 4 }]]);
    expect(state.names.get("ana")).toBe("Ana");
  });
});

describe("the list", () => {
  test("loses what a whole snapshot does not have, and gets it back", () => {
    const listed = (...ids: string[]): Action => ({
      type: "listed",
      items: ids.map((id) => conversation(id)),
      complete: true,
    });
    const state = after(listed("a", "b"), listed("b"));
    expect(state.listed).toBe(true);
    expect(thread(state, "a").gone).toBe("removed");
    expect(thread(reduce(state, listed("a", "b")), "a").gone).toBeNull();
  });

  test("learns names from peers and records", () => {
    const added = record(1, { kind: "member.added", body: { person: "jo", name: "Jonas", by: "me" } });
    const state = after(known(), started(0), records(added));
    expect([...state.names.keys()]).toEqual(["me", "ana", "jo"]);
  });

  test("what concerns an unknown conversation changes nothing", () => {
    const empty = initialState(ME);
    for (const action of [
      started(1),
      records(record(1)),
      older(1, []),
      head({}),
      { type: "gone", id: "c", why: "left" },
    ]) {
      expect(reduce(empty, action as Action)).toBe(empty);
    }
  });
});

test("a new name of one's own is known everywhere", () => {
  const state = after({ type: "me", me: { ...ME, name: "Thea Again" } });
  expect([state.me.name, state.names.get(ME.person)]).toEqual(["Thea Again", "Thea Again"]);
});
