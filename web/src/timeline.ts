/** A conversation as it is read from top to bottom: days, runs of one author, events, and where unread begins. */

import type { Delivery } from "./protocol";
import { saidIn, type Mark, type Outgoing, type State, type Thread } from "./store";

export type DeliveryState = "sending" | "sent" | "received" | "read" | "failed" | "incoming";

export interface MessageRow {
  readonly row: "message";
  readonly key: string;
  readonly offset: number | null;
  readonly clientId: string | null;
  readonly author: string;
  readonly own: boolean;
  /** First and last of several messages that one person wrote in a row. */
  readonly first: boolean;
  readonly last: boolean;
  readonly text: string;
  readonly time: number;
  readonly state: DeliveryState;
  /** How many of the others have read it, and how many others there are. */
  readonly readers: number;
  readonly others: number;
  readonly failed: Outgoing["failed"];
  /** Of one's own: whether others wait for a moderator to read it, or never will. */
  readonly review: "held" | "refused" | null;
}

export type Row =
  | MessageRow
  | { readonly row: "day"; readonly key: string; readonly time: number }
  | { readonly row: "unread"; readonly key: string }
  | { readonly row: "notice"; readonly key: string; readonly offset: number; readonly text: string };

/** Messages further apart than this, in ms, are not one run. */
const RUN = 5 * 60_000;

/** `unreadAfter`: the offset behind which the line "New" is drawn; null draws none. */
export function timeline(state: State, thread: Thread, unreadAfter: number | null): readonly Row[] {
  const rows: Row[] = [];
  const me = state.me.person;
  const marks = othersIn(thread, me).map((person) => thread.marks.get(person) ?? { received: 0, read: 0 });
  const records = thread.log?.records ?? [];
  const decisions = decisionsIn(records);
  let day = "";
  let drawn = unreadAfter === null;

  for (const record of records) {
    const own = record.author === me;
    const decision = record.kind === "text" ? decisions.get(record.offset) : undefined;
    const said = saidIn(record);
    // To others, what was released is shown where it became new, and what was refused where it would have been.
    if (!own && (decision === "allow" || (record.kind === "message.decided" && said === null))) continue;
    day = withDay(rows, day, record.time);
    if (!drawn && record.offset > (unreadAfter ?? 0) && !own && said !== null) {
      rows.push({ row: "unread", key: "unread" });
      drawn = true;
    }
    if (said !== null && (record.kind === "text" || !own)) rows.push(messageRow(record, said, decision, me, marks));
    else rows.push(noticeRow(record, decision, state));
  }
  for (const message of thread.outgoing) {
    day = withDay(rows, day, message.created);
    rows.push(outgoingRow(message, me, marks.length));
  }
  return inRuns(rows);
}

/** Verdicts on held messages, by the offset of the message. */
function decisionsIn(records: readonly Delivery[]): ReadonlyMap<number, string> {
  const found = new Map<number, string>();
  for (const { kind, body } of records) {
    const { offset, verdict } = body;
    if (kind === "message.decided" && typeof offset === "number" && typeof verdict === "string") {
      found.set(offset, verdict);
    }
  }
  return found;
}

function reviewOf(record: Delivery, decision: string | undefined): MessageRow["review"] {
  const verdict = decision ?? record.verdict;
  return verdict === "hold" ? "held" : verdict === "block" ? "refused" : null;
}

function messageRow(
  record: Delivery,
  said: string,
  decision: string | undefined,
  me: string,
  marks: readonly Mark[],
): MessageRow {
  const own = record.author === me;
  const readers = own ? marks.filter((mark) => mark.read >= record.offset).length : 0;
  const receivers = own ? marks.filter((mark) => mark.received >= record.offset).length : 0;
  const everyone = (count: number): boolean => marks.length > 0 && count === marks.length;
  return {
    row: "message",
    // One's own keeps its key, and so its element, when it moves from the outbox into the log.
    key: own && record.client_id !== undefined ? `c${record.client_id}` : `o${record.offset}`,
    offset: record.offset,
    clientId: own ? (record.client_id ?? null) : null,
    author: record.author,
    own,
    first: true,
    last: true,
    text: said,
    time: record.time,
    state: !own ? "incoming" : everyone(readers) ? "read" : everyone(receivers) ? "received" : "sent",
    readers,
    others: marks.length,
    failed: null,
    review: own ? reviewOf(record, decision) : null,
  };
}

function outgoingRow(message: Outgoing, me: string, others: number): MessageRow {
  return {
    row: "message",
    key: `c${message.client_id}`,
    offset: message.offset,
    clientId: message.client_id,
    author: me,
    own: true,
    first: true,
    last: true,
    text: message.text,
    time: message.created,
    state: message.failed ? "failed" : message.offset === null ? "sending" : "sent",
    readers: 0,
    others,
    failed: message.failed,
    review: null,
  };
}

function othersIn(thread: Thread, me: string): readonly string[] {
  if (thread.members) return thread.members.map((member) => member.person).filter((person) => person !== me);
  return thread.info.peer ? [thread.info.peer.person] : [...thread.marks.keys()];
}

function withDay(rows: Row[], day: string, time: number): string {
  const next = new Date(time).toDateString();
  if (next !== day) {
    // Clocks that disagree may show a day twice; keys are unique all the same.
    const key = `d${next}`;
    rows.push({ row: "day", key: rows.some((row) => row.key === key) ? `${key}-${rows.length}` : key, time });
  }
  return next;
}

function inRuns(rows: readonly Row[]): readonly Row[] {
  const joins = (one: Row | undefined, other: Row | undefined): boolean =>
    one?.row === "message" &&
    other?.row === "message" &&
    one.author === other.author &&
    Math.abs(other.time - one.time) < RUN;
  return rows.map((row, index) =>
    row.row === "message" ? { ...row, first: !joins(rows[index - 1], row), last: !joins(row, rows[index + 1]) } : row,
  );
}

function noticeRow(record: Delivery, decision: string | undefined, state: State): Row {
  const text = noticeText(decision === undefined ? record : { ...record, verdict: decision }, state);
  return { row: "notice", key: `o${record.offset}`, offset: record.offset, text };
}

function noticeText(record: Delivery, state: State): string {
  const name = (id: unknown): string => nameOf(state, typeof id === "string" ? id : "");
  const { person, by, name: told } = record.body;
  switch (record.kind) {
    case "text":
      return record.verdict === "block" ? "A message was withheld" : "A message is being reviewed";
    case "message.decided":
      return record.body["verdict"] === "allow" ? "Your message was released" : "Your message was withheld";
    case "member.added": {
      const who = typeof told === "string" && person !== state.me.person ? told : name(person);
      return person === by ? `${who} joined` : `${name(by)} added ${midSentence(who)}`;
    }
    case "member.removed":
      return `${name(by)} removed ${midSentence(name(person))}`;
    case "member.left":
      return `${name(person)} left`;
    default:
      return "Something that this page cannot show";
  }
}

function midSentence(name: string): string {
  return name === "You" ? "you" : name;
}

/** "You" for oneself; null for somebody whose name was not told yet. */
export function nameIn(state: State, person: string): string | null {
  return person === state.me.person ? "You" : (state.names.get(person) ?? null);
}

/** The same in an open conversation, where everybody but former members is known. */
export function nameOf(state: State, person: string): string {
  return nameIn(state, person) ?? "A former member";
}

export function titleOf(thread: Thread): string {
  if (thread.info.kind === "direct") return thread.info.peer?.name ?? "Direct conversation";
  return thread.info.title || "Untitled group";
}

/** Conversations to be listed, the one with the newest activity first. */
export function listOrder(state: State): readonly Thread[] {
  return [...state.threads.values()]
    .filter((thread) => thread.gone === null)
    .sort((one, other) => activity(other) - activity(one));
}

function activity(thread: Thread): number {
  const sending = thread.outgoing.at(-1)?.created ?? 0;
  return Math.max(thread.info.last?.time ?? thread.info.created_at, sending);
}

export function unreadTotal(state: State): number {
  return listOrder(state).reduce((sum, thread) => sum + thread.info.unread, 0);
}
