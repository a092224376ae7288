/**
 * The realtime frames of `docs/protocol.md`: types for what the client sends, a strict decoder for what it gets.
 *
 * Each server frame is declared once, as a table of checks; its type follows from the table. A member that is missing
 * or has another type makes the frame a {@link ProtocolError}; members and frames that are not known are ignored, so
 * that a newer server can say more.
 */

/** The server sent what the protocol does not allow. The link that carried it cannot be trusted any further. */
export class ProtocolError extends Error {
  override name = "ProtocolError";
}

// --- checks ---------------------------------------------------------------------------------------------------------

type Check<T> = (value: unknown, where: string) => T;
type Checked<C> = C extends Check<infer T> ? T : never;
type OptionalKeys<S> = { [K in keyof S]: undefined extends Checked<S[K]> ? K : never }[keyof S];
type Shape<S> = { [K in Exclude<keyof S, OptionalKeys<S>>]: Checked<S[K]> } & {
  [K in OptionalKeys<S>]?: Exclude<Checked<S[K]>, undefined>;
};

export type JsonObject = { readonly [member: string]: unknown };

function wrong(where: string, expected: string): never {
  throw new ProtocolError(`${where} is not ${expected}`);
}

const text: Check<string> = (value, where) => (typeof value === "string" ? value : wrong(where, "a string"));
const flag: Check<boolean> = (value, where) => (typeof value === "boolean" ? value : wrong(where, "a boolean"));
const rate: Check<number> = (value, where) => (typeof value === "number" ? value : wrong(where, "a number"));
const anything: Check<unknown> = (value) => value;

const integer: Check<number> = (value, where) =>
  Number.isSafeInteger(value) ? (value as number) : wrong(where, "an integer of 53 bits");

const object: Check<JsonObject> = (value, where) =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as JsonObject)
    : wrong(where, "an object");

function optional<T>(check: Check<T>): Check<T | undefined> {
  return (value, where) => (value === undefined || value === null ? undefined : check(value, where));
}

function nullable<T>(check: Check<T>): Check<T | null> {
  return (value, where) => (value === undefined || value === null ? null : check(value, where));
}

function list<T>(check: Check<T>): Check<readonly T[]> {
  return (value, where) =>
    Array.isArray(value) ? value.map((item, index) => check(item, `${where}[${index}]`)) : wrong(where, "a list");
}

function oneOf<const T extends string>(...choices: readonly T[]): Check<T> {
  return (value, where) =>
    (choices as readonly unknown[]).includes(value) ? (value as T) : wrong(where, `one of ${choices.join(", ")}`);
}

function shape<S extends Record<string, Check<unknown>>>(members: S): Check<Readonly<Shape<S>>> {
  const checks = Object.entries(members);
  return (value, where) => {
    const source = object(value, where);
    const result: Record<string, unknown> = {};
    for (const [name, check] of checks) {
      const member = check(source[name], `${where}.${name}`);
      if (member !== undefined) result[name] = member;
    }
    return result as Shape<S>;
  };
}

// --- server → client ------------------------------------------------------------------------------------------------

const outcome = oneOf("complete", "more", "truncated", "denied", "epoch_changed");

const delivery = shape({
  number: integer,
  offset: integer,
  message: text,
  ordinal: integer,
  time: integer,
  author: text,
  kind: text,
  body: object,
  ref: optional(text),
  client_id: optional(text),
  verdict: optional(text),
});

const limits = shape({ frame_bytes: integer, text_bytes: integer, in_flight: integer, rate, burst: rate });

const SERVER_FRAMES = {
  welcome: shape({
    id: integer,
    link: text,
    person: text,
    number: integer,
    epoch: text,
    head: integer,
    outcome,
    time: integer,
    ping_ms: integer,
    token_ms: integer,
    limits,
  }),
  attached: shape({
    id: integer,
    channel: text,
    number: integer,
    gen: integer,
    outcome,
    epoch: text,
    head: integer,
    from: optional(integer),
  }),
  ok: shape({ id: integer, result: optional(anything) }),
  ack: shape({
    id: integer,
    message: text,
    offset: integer,
    ordinal: integer,
    time: integer,
    duplicate: optional(flag),
    verdict: optional(text),
  }),
  delivery,
  event: shape({ number: integer, kind: text, body: object }),
  page: shape({
    id: integer,
    channel: text,
    number: integer,
    items: list(delivery),
    more: flag,
    head: integer,
    floor: integer,
    epoch: text,
  }),
  error: shape({
    id: optional(integer),
    code: text,
    params: optional(object),
    temporary: flag,
    scope: oneOf("command", "channel", "link"),
    action: text,
    retry_after_ms: optional(integer),
  }),
  lag: shape({ number: integer, head: integer }),
  detached: shape({ number: integer, reason: text }),
  token_expiring: shape({ expires_in_ms: integer }),
  ping: shape({}),
  close: shape({ code: integer, reason: text, reconnect_in_ms: integer, resumable: flag }),
} as const;

type ServerFrames = { [Op in keyof typeof SERVER_FRAMES]: Checked<(typeof SERVER_FRAMES)[Op]> };

/** A frame from the server; `op` tells which. */
export type ServerFrame = { [Op in keyof ServerFrames]: { readonly op: Op } & ServerFrames[Op] }[keyof ServerFrames];
export type Welcome = ServerFrames["welcome"];
export type Attached = ServerFrames["attached"];
export type Ack = ServerFrames["ack"];
export type Delivery = ServerFrames["delivery"];
export type Page = ServerFrames["page"];
export type ErrorFrame = ServerFrames["error"];
export type Outcome = Welcome["outcome"];
export type Limits = Welcome["limits"];

/**
 * Decode one message of the server. Null for a frame of a kind that this version does not know.
 * @throws ProtocolError for anything that is not a well-formed frame.
 */
export function decode(message: string): ServerFrame | null {
  let value: unknown;
  try {
    value = JSON.parse(message);
  } catch {
    throw new ProtocolError("the message is not JSON");
  }
  const op = text(object(value, "frame")["op"], "op");
  if (!Object.hasOwn(SERVER_FRAMES, op)) return null;
  const known = op as keyof typeof SERVER_FRAMES;
  return { op: known, ...SERVER_FRAMES[known](value, op) } as ServerFrame;
}

// --- what `ok` carries, and REST answers ----------------------------------------------------------------------------

const last = shape({
  offset: integer,
  author: text,
  kind: text,
  time: integer,
  text: optional(text),
  verdict: optional(text),
});

const conversation = shape({
  id: text,
  number: integer,
  kind: oneOf("direct", "group"),
  title: text,
  created_at: integer,
  head: integer,
  ordinal: integer,
  floor: integer,
  unread: integer,
  received: integer,
  read: integer,
  role: text,
  members: integer,
  peer: optional(shape({ person: text, name: text })),
  last: nullable(last),
});

const member = shape({
  person: text,
  name: text,
  role: text,
  received: integer,
  read: integer,
  joined_at: integer,
});

const me = shape({
  person: text,
  number: integer,
  name: text,
  email: text,
  verified: flag,
  locale: text,
  zone: text,
  created_at: integer,
});

const login = shape({
  login: text,
  device: text,
  created_at: integer,
  refreshed_at: integer,
  current: flag,
});

const profile = shape({
  kind: oneOf("mentor", "mentee"),
  state: oneOf("active", "paused"),
  created_at: integer,
  changed_at: integer,
});

const session = shape({ access_token: text, refresh_token: text, expires_in: integer, person: me });

const transports = shape({ webtransport: nullable(shape({ url: text, hashes: list(text) })) });

const problem = shape({ code: text, params: optional(object) });

const head = shape({
  conversation: text,
  number: integer,
  head: integer,
  ordinal: integer,
  unread: integer,
  received: integer,
  read: integer,
  last: nullable(last),
});

export type LastMessage = Checked<typeof last>;
export type Conversation = Checked<typeof conversation>;
export type Member = Checked<typeof member>;
export type Me = Checked<typeof me>;
/** A device where somebody is signed in. */
export type Login = Checked<typeof login>;
export type Profile = Checked<typeof profile>;
/** `expires_in` is in seconds. */
export type SessionDocument = Checked<typeof session>;
export type Head = Checked<typeof head>;
export type Watermarks = { readonly person: string; readonly received: number; readonly read: number };
export type Listing<T> = { readonly items: readonly T[]; readonly next?: string };

function listing<T>(check: Check<T>): Check<Listing<T>> {
  return shape({ items: list(check), next: optional(text) }) as Check<Listing<T>>;
}

/** Checks of whole values, each throwing {@link ProtocolError}. */
export const read = {
  conversation: (value: unknown): Conversation => conversation(value, "conversation"),
  conversations: (value: unknown): Listing<Conversation> => listing(conversation)(value, "conversations"),
  member: (value: unknown): Member => member(value, "member"),
  members: (value: unknown): Listing<Member> => listing(member)(value, "members"),
  me: (value: unknown): Me => me(value, "me"),
  login: (value: unknown): Login => login(value, "login"),
  logins: (value: unknown): Listing<Login> => listing(login)(value, "logins"),
  profile: (value: unknown): Profile => profile(value, "profile"),
  profiles: (value: unknown): readonly Profile[] => shape({ items: list(profile) })(value, "profiles").items,
  session: (value: unknown): SessionDocument => session(value, "session"),
  transports: (value: unknown): Checked<typeof transports> => transports(value, "transports"),
  problem: (value: unknown): Checked<typeof problem> => problem(value, "problem"),
  head: (value: unknown): Head => head(value, "head"),
  watermarks: shape({ person: text, received: integer, read: integer }) as (
    value: unknown,
    where: string,
  ) => Watermarks,
  membership: shape({ conversation: text, number: integer }),
};

// --- client → server ------------------------------------------------------------------------------------------------

export interface Connect {
  readonly op: "connect";
  readonly id: number;
  readonly token: string;
  readonly device?: string;
  readonly resume?: { readonly epoch: string; readonly offset: number };
}

/** Commands that a running link carries, by `op`, without the `id` that the link gives them. */
export type Request =
  | {
      readonly op: "attach";
      readonly channel: string;
      readonly gen: number;
      readonly epoch?: string;
      readonly after?: number;
    }
  | { readonly op: "detach"; readonly channel: string; readonly gen: number }
  | {
      readonly op: "publish";
      readonly channel: string;
      readonly client_id: string;
      readonly n: number;
      readonly kind: string;
      readonly ref?: string;
      readonly body: JsonObject;
    }
  | { readonly op: "watermark"; readonly channel: string; readonly received?: number; readonly read?: number }
  | { readonly op: "sync"; readonly channel: string; readonly after: number; readonly limit?: number }
  | { readonly op: "sync"; readonly channel: string; readonly before: number; readonly limit?: number }
  | { readonly op: "refresh"; readonly token: string; readonly gen: number }
  | { readonly op: "command"; readonly name: string; readonly params: JsonObject };

export type ClientFrame = Connect | (Request & { readonly id: number }) | { readonly op: "pong" };

/** The answer that each command gets when it is not refused. */
export interface Answers {
  attach: Attached;
  detach: ServerFrames["ok"];
  publish: Ack;
  watermark: ServerFrames["ok"];
  sync: Page;
  refresh: ServerFrames["ok"];
  command: ServerFrames["ok"];
}

/** `op` of the answer to each command. */
export const ANSWERED_BY: { readonly [Op in Request["op"]]: keyof ServerFrames } = {
  attach: "attached",
  detach: "ok",
  publish: "ack",
  watermark: "ok",
  sync: "page",
  refresh: "ok",
  command: "ok",
};

export function encode(frame: ClientFrame): string {
  return JSON.stringify(frame);
}

// --- channels and close codes ---------------------------------------------------------------------------------------

export const SUBPROTOCOL = "chiron.v1.json";
export const conversationChannel = (id: string): string => `conv:${id}`;
export const personalChannel = (person: string): string => `person:${person}`;

export type CloseAction = "reconnect" | "refresh" | "stop";

/** What to do after a close, by its code (`docs/protocol.md`, "Closing"). */
export const CLOSE_ACTIONS: Readonly<Record<number, CloseAction>> = {
  1001: "reconnect",
  1002: "stop",
  1003: "stop",
  1007: "stop",
  1009: "stop",
  1011: "reconnect",
  4000: "reconnect",
  4001: "refresh",
  4002: "reconnect",
  4003: "refresh",
  4004: "stop",
  4005: "reconnect",
  4006: "reconnect",
};
