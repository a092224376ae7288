/**
 * What is known of conversations, as one immutable value, and every way in which it changes.
 *
 * {@link reduce} is pure. It takes reports in any order the server and this page may produce them: a snapshot that is
 * older than an event, an ack after the delivery that it stands for, a page that overlaps what is there. Numbers that
 * only rise (head, ordinal, watermarks) never fall here.
 */

import type { Conversation, Delivery, Head, JsonObject, LastMessage, Me, Member, Watermarks } from "./protocol";

/** Loaded records of a conversation: all offsets above `start` up to the newest one, without a gap. */
export interface Log {
  readonly records: readonly Delivery[];
  /** Offsets up to here are not loaded. */
  readonly start: number;
  /** Offsets up to here cannot be read. */
  readonly floor: number;
  readonly loading: boolean;
  /** Why older records could not be loaded. */
  readonly error: unknown;
}

/** One's own message that is not in the log yet. */
export interface Outgoing {
  readonly client_id: string;
  readonly text: string;
  readonly created: number;
  readonly failed: { readonly code: string; readonly params: JsonObject } | null;
  /** Where the server put it, once acknowledged; records below are still on their way. */
  readonly offset: number | null;
}

export interface Mark {
  readonly received: number;
  readonly read: number;
}

export type Gone = "removed" | "left" | "denied";

export interface Thread {
  readonly info: Conversation;
  /** Ordinal at one's own `read`: what lies above is unread. */
  readonly readOrdinal: number;
  /** Null until the conversation was opened. */
  readonly log: Log | null;
  readonly outgoing: readonly Outgoing[];
  /** Watermarks of the others, by person. */
  readonly marks: ReadonlyMap<string, Mark>;
  /** Null until they were loaded. */
  readonly members: readonly Member[] | null;
  readonly gone: Gone | null;
}

export interface State {
  readonly me: Me;
  readonly threads: ReadonlyMap<string, Thread>;
  /** Names of people by id, as far as they were told. */
  readonly names: ReadonlyMap<string, string>;
  /** Unsent messages of conversations that are not known yet. */
  readonly stranded: ReadonlyMap<string, readonly Outgoing[]>;
  /** Whether the list of conversations was read once. */
  readonly listed: boolean;
}

export type Action =
  | { readonly type: "me"; readonly me: Me }
  | { readonly type: "listed"; readonly items: readonly Conversation[]; readonly complete: boolean }
  | { readonly type: "conversation"; readonly info: Conversation }
  | { readonly type: "head"; readonly head: Head }
  | { readonly type: "started"; readonly id: string; readonly position: number }
  | { readonly type: "records"; readonly id: string; readonly records: readonly Delivery[] }
  | { readonly type: "loading"; readonly id: string }
  | { readonly type: "older"; readonly id: string; readonly before: number; readonly page: OlderPage }
  | { readonly type: "older_failed"; readonly id: string; readonly error: unknown }
  | { readonly type: "truncated"; readonly id: string; readonly floor: number }
  | { readonly type: "trimmed"; readonly id: string; readonly keep: number }
  | { readonly type: "outgoing"; readonly id: string; readonly message: Outgoing }
  | { readonly type: "acknowledged"; readonly id: string; readonly clientId: string; readonly offset: number }
  | { readonly type: "outgoing_removed"; readonly id: string; readonly clientId: string }
  | { readonly type: "own_read"; readonly id: string; readonly read: number }
  | { readonly type: "watermark"; readonly id: string; readonly marks: Watermarks }
  | { readonly type: "members"; readonly id: string; readonly members: readonly Member[] }
  | { readonly type: "member_added"; readonly id: string; readonly member: Member }
  | { readonly type: "gone"; readonly id: string; readonly why: Gone };

interface OlderPage {
  readonly items: readonly Delivery[];
  readonly more: boolean;
  readonly floor: number;
}

export function initialState(me: Me): State {
  return {
    me,
    threads: new Map(),
    names: new Map([[me.person, me.name]]),
    stranded: new Map(),
    listed: false,
  };
}

export function reduce(state: State, action: Action): State {
  switch (action.type) {
    case "me":
      return { ...state, me: action.me, names: named(state.names, [action.me]) };
    case "listed":
      return listed(state, action.items, action.complete);
    case "conversation":
      return withConversation(state, action.info);
    case "head":
      return changed(state, action.head.conversation, (thread) => withHead(thread, action.head));
    case "started":
      return changed(state, action.id, (thread) => started(thread, action.position));
    case "records":
      return action.records.reduce((next, record) => withRecord(next, action.id, record), state);
    case "loading":
      return changedLog(state, action.id, (log) => ({ ...log, loading: true, error: null }));
    case "older":
      return older(state, action.id, action.before, action.page);
    case "older_failed":
      return changedLog(state, action.id, (log) => ({ ...log, loading: false, error: action.error }));
    case "truncated":
      return changedLog(state, action.id, (log) => truncated(log, action.floor));
    case "trimmed":
      return changedLog(state, action.id, (log) => trimmed(log, action.keep));
    case "outgoing":
      return withOutgoing(state, action.id, action.message);
    case "acknowledged":
      return changed(state, action.id, (thread) => acknowledged(thread, action.clientId, action.offset));
    case "outgoing_removed":
      return changed(state, action.id, (thread) => withoutOutgoing(thread, action.clientId));
    case "own_read":
      return changed(state, action.id, (thread) => withOwnRead(thread, action.read));
    case "watermark":
      return watermark(state, action.id, action.marks);
    case "members":
      return withMembers(state, action.id, action.members);
    case "member_added":
      return withMembers(state, action.id, [
        ...(state.threads.get(action.id)?.members ?? []).filter((one) => one.person !== action.member.person),
        action.member,
      ]);
    case "gone":
      return changed(state, action.id, (thread) => ({ ...thread, gone: action.why, outgoing: [] }));
  }
}

// --- the list -------------------------------------------------------------------------------------------------------

function listed(state: State, items: readonly Conversation[], complete: boolean): State {
  let next: State = items.reduce(withConversation, { ...state, listed: true });
  if (complete) {
    const ids = new Set(items.map((info) => info.id));
    for (const [id, thread] of next.threads) {
      if (!ids.has(id) && thread.gone === null) next = changed(next, id, (old) => ({ ...old, gone: "removed" }));
    }
  }
  return next;
}

function withConversation(state: State, info: Conversation): State {
  const old = state.threads.get(info.id);
  const readOrdinal = info.ordinal - info.unread;
  let thread: Thread;
  if (old) {
    // What this page has seen or done since may be newer than the snapshot.
    const newer = old.info.head > info.head ? old.info : info;
    const merged: Conversation = {
      ...info,
      head: newer.head,
      ordinal: newer.ordinal,
      ...(newer.last === undefined ? {} : { last: newer.last }),
      received: Math.max(info.received, old.info.received),
      read: Math.max(info.read, old.info.read),
    };
    thread = counted({ ...old, info: merged, readOrdinal: Math.max(readOrdinal, old.readOrdinal), gone: null });
  } else {
    const outgoing = state.stranded.get(info.id) ?? [];
    thread = { info, readOrdinal, log: null, outgoing, marks: new Map(), members: null, gone: null };
  }
  const threads = new Map(state.threads).set(info.id, thread);
  const stranded = without(state.stranded, info.id);
  const names = info.peer ? named(state.names, [info.peer]) : state.names;
  return { ...state, threads, stranded, names };
}

function withHead(thread: Thread, head: Head): Thread {
  const { info } = thread;
  const newer = head.head >= info.head;
  const read = Math.max(head.read, info.read);
  return counted({
    ...thread,
    info: {
      ...info,
      ...(newer ? { head: head.head, ordinal: head.ordinal, last: head.last } : {}),
      received: Math.max(head.received, info.received),
      read,
    },
    // One's own watermark is written behind: the server may not know yet what was read here.
    readOrdinal: Math.max(thread.readOrdinal, head.ordinal - head.unread),
  });
}

function counted(thread: Thread): Thread {
  const unread = Math.max(0, thread.info.ordinal - thread.readOrdinal);
  return unread === thread.info.unread ? thread : { ...thread, info: { ...thread.info, unread } };
}

// --- the log --------------------------------------------------------------------------------------------------------

function started(thread: Thread, position: number): Thread {
  const { floor } = thread.info;
  const log: Log = { records: [], start: Math.max(position, floor), floor, loading: false, error: null };
  return settled({ ...thread, log });
}

/** The newest loaded offset. */
export function logEnd(log: Log): number {
  return log.records.at(-1)?.offset ?? log.start;
}

function withRecord(state: State, id: string, record: Delivery): State {
  const thread = state.threads.get(id);
  if (!thread?.log || record.offset !== logEnd(thread.log) + 1) return state;
  const log = { ...thread.log, records: [...thread.log.records, record] };
  const mine = record.author === state.me.person;
  let next: Thread = settled({ ...thread, log });
  if (record.offset > thread.info.head) {
    const info = { ...thread.info, head: record.offset, ordinal: record.ordinal, last: lastOf(record) };
    next = { ...next, info };
  }
  if (mine && record.client_id !== undefined) next = withoutOutgoing(next, record.client_id);
  // Who sends a message has read what was before it.
  if (record.kind === "text") {
    const { author, offset, ordinal } = record;
    if (mine) next = withOwnRead(next, offset, ordinal);
    else next = { ...next, marks: raised(next.marks, { person: author, received: offset, read: offset }) };
  }
  const names = named(state.names, peopleIn(record));
  return { ...state, names, threads: new Map(state.threads).set(id, counted(next)) };
}

function older(state: State, id: string, before: number, page: OlderPage): State {
  const thread = state.threads.get(id);
  if (!thread?.log) return state;
  const { log } = thread;
  // The log was started anew while the page was on its way.
  if (before !== log.start + 1) return changedLog(state, id, (old) => ({ ...old, loading: false }));
  const items = page.items.filter((record) => record.offset < before);
  const start = page.more && items[0] ? items[0].offset - 1 : page.floor;
  const records = [...items, ...log.records];
  const names = named(state.names, items.flatMap(peopleIn));
  const seen = new Set(items.map((record) => (record.author === state.me.person ? record.client_id : undefined)));
  const outgoing = thread.outgoing.filter((message) => !seen.has(message.client_id));
  const next = { ...thread, outgoing, log: { records, start, floor: page.floor, loading: false, error: null } };
  return { ...state, names, threads: new Map(state.threads).set(id, next) };
}

function truncated(log: Log, floor: number): Log {
  if (floor <= log.start) return { ...log, floor: Math.max(floor, log.floor) };
  return { ...log, records: log.records.filter((record) => record.offset > floor), start: floor, floor };
}

function trimmed(log: Log, keep: number): Log {
  const dropped = log.records.at(-keep - 1);
  return dropped ? { ...log, records: log.records.slice(-keep), start: dropped.offset } : log;
}

export function textOf(body: JsonObject): string {
  return typeof body["text"] === "string" ? body["text"] : "";
}

/**
 * What somebody said by a record, also by its release later on. Null for what only happened, and for what is withheld:
 * a message that waits for a moderator, or was refused, has its text for its author alone.
 */
export function saidIn(record: Delivery): string | null {
  const { kind, body } = record;
  if (kind === "message.decided") return isObject(body["body"]) ? textOf(body["body"]) : null;
  return kind === "text" && typeof body["text"] === "string" ? body["text"] : null;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function lastOf(record: Delivery): LastMessage {
  const { offset, author, kind, time, verdict } = record;
  const text = saidIn(record) ?? "";
  return { offset, author, kind, time, text, ...(verdict === "hold" ? { verdict } : {}) };
}

function peopleIn(record: Delivery): { person: string; name: string }[] {
  const { person, name } = record.body;
  return typeof person === "string" && typeof name === "string" ? [{ person, name }] : [];
}

// --- messages on their way ------------------------------------------------------------------------------------------

function withOutgoing(state: State, id: string, message: Outgoing): State {
  const put = (messages: readonly Outgoing[]): readonly Outgoing[] =>
    messages.some((one) => one.client_id === message.client_id)
      ? messages.map((one) => (one.client_id === message.client_id ? message : one))
      : [...messages, message];
  if (state.threads.has(id)) return changed(state, id, (thread) => ({ ...thread, outgoing: put(thread.outgoing) }));
  return { ...state, stranded: new Map(state.stranded).set(id, put(state.stranded.get(id) ?? [])) };
}

function acknowledged(thread: Thread, clientId: string, offset: number): Thread {
  const outgoing = thread.outgoing.map((one) => (one.client_id === clientId ? { ...one, offset } : one));
  return settled({ ...thread, outgoing });
}

/** Without the messages that the log has, or that lie in the part of it that is not loaded. */
function settled(thread: Thread): Thread {
  const end = thread.log ? logEnd(thread.log) : Number.POSITIVE_INFINITY;
  return { ...thread, outgoing: thread.outgoing.filter((message) => message.offset === null || message.offset > end) };
}

function withoutOutgoing(thread: Thread, clientId: string): Thread {
  const outgoing = thread.outgoing.filter((message) => message.client_id !== clientId);
  return outgoing.length === thread.outgoing.length ? thread : { ...thread, outgoing };
}

// --- watermarks and members -----------------------------------------------------------------------------------------

/** `ordinal`: the one at `read`, where it is known; else it is looked up. */
function withOwnRead(thread: Thread, read: number, ordinal?: number): Thread {
  if (read <= thread.info.read) return thread;
  const found = ordinal ?? ordinalAt(thread, read);
  const received = Math.max(read, thread.info.received);
  return counted({
    ...thread,
    info: { ...thread.info, read, received },
    readOrdinal: Math.max(thread.readOrdinal, found ?? 0),
  });
}

function ordinalAt(thread: Thread, offset: number): number | undefined {
  if (offset >= thread.info.head) return thread.info.ordinal;
  return thread.log?.records.findLast((record) => record.offset <= offset)?.ordinal;
}

function watermark(state: State, id: string, marks: Watermarks): State {
  return changed(state, id, (thread) => {
    if (marks.person === state.me.person) {
      const received = Math.max(marks.received, thread.info.received);
      return withOwnRead({ ...thread, info: { ...thread.info, received } }, marks.read);
    }
    return { ...thread, marks: raised(thread.marks, marks) };
  });
}

function raised(marks: ReadonlyMap<string, Mark>, next: Watermarks): ReadonlyMap<string, Mark> {
  const old = marks.get(next.person) ?? { received: 0, read: 0 };
  const read = Math.max(old.read, next.read);
  const received = Math.max(old.received, next.received, read);
  if (read === old.read && received === old.received) return marks;
  return new Map(marks).set(next.person, { received, read });
}

function withMembers(state: State, id: string, members: readonly Member[]): State {
  const next = changed(state, id, (thread) => ({
    ...thread,
    members,
    info: { ...thread.info, members: members.length },
    marks: members.filter((member) => member.person !== state.me.person).reduce(raised, thread.marks),
  }));
  return { ...next, names: named(next.names, members) };
}

// --- small things ---------------------------------------------------------------------------------------------------

function changed(state: State, id: string, change: (thread: Thread) => Thread): State {
  const thread = state.threads.get(id);
  if (!thread) return state;
  const next = change(thread);
  return next === thread ? state : { ...state, threads: new Map(state.threads).set(id, next) };
}

function changedLog(state: State, id: string, change: (log: Log) => Log): State {
  return changed(state, id, (thread) => {
    const log = thread.log ? change(thread.log) : null;
    return log === thread.log ? thread : { ...thread, log };
  });
}

function named(
  names: ReadonlyMap<string, string>,
  people: readonly { readonly person: string; readonly name: string }[],
): ReadonlyMap<string, string> {
  const news = people.filter(({ person, name }) => names.get(person) !== name);
  return news.length === 0 ? names : new Map([...names, ...news.map(({ person, name }) => [person, name] as const)]);
}

function without<V>(map: ReadonlyMap<string, V>, key: string): ReadonlyMap<string, V> {
  if (!map.has(key)) return map;
  const next = new Map(map);
  next.delete(key);
  return next;
}
