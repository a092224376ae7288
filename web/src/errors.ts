/**
 * What can go wrong, and how it is said. Servers send codes with parameters (`docs/protocol.md`, "Errors"); the
 * sentences that people read are all in {@link TEXTS}.
 */

import type { JsonObject } from "./protocol";

type Params = JsonObject;

/**
 * A refusal by the server, over HTTP or on a link, or one of this page's own codes (`network`: the
 * server could not be reached).
 */
export class Refusal extends Error {
  override name = "Refusal";

  constructor(
    readonly code: string,
    readonly params: Params = {},
    /** Whether the same request may succeed later. */
    readonly temporary = false,
    /** When to try again, in ms, where the server knows it. */
    readonly retryAfter: number | null = null,
  ) {
    super(code);
  }

  /** The field of a form that is to blame, if it is one. */
  get field(): string | null {
    if (this.code === "email_taken" || this.code === "person_unknown") return "email";
    const field = this.params["field"];
    return this.code === "invalid" && typeof field === "string" ? field : null;
  }
}

/** The link was lost before the command was answered: whether it was done is not known. */
export class LinkLost extends Error {
  override name = "LinkLost";
}

const value = (params: Params, name: string, otherwise: string): string => {
  const found = params[name];
  return typeof found === "string" || typeof found === "number" ? String(found) : otherwise;
};

/** A clause as a sentence: `a name has 1 to 80 characters` → `A name has 1 to 80 characters.` */
const sentence = (clause: string): string => {
  const trimmed = clause.trim();
  return trimmed.charAt(0).toUpperCase() + trimmed.slice(1) + (/[.!?]$/.test(trimmed) ? "" : ".");
};

/** What a message was taken for, by the reasons of `blocked`. */
const REASONS: Readonly<Record<string, string>> = {
  abuse: "an insult",
  hate: "hatred of a group of people",
  sexual: "sexual content",
  threat: "a threat",
  spam: "advertising",
  term: "a word that is not used here",
  contact: "contact details",
  payment: "payment details",
  disguise: "a disguised word",
};

function blockedText(reasons: unknown): string {
  const known = (Array.isArray(reasons) ? reasons : []).flatMap((reason) => REASONS[String(reason)] ?? []);
  const taken = known.length > 0 ? known.slice(0, 2).join(" or ") : "something that is not allowed here";
  return `It looks like ${taken}. Nobody has seen it; change it and send it again.`;
}

export const TEXTS: Readonly<Record<string, (params: Params) => string>> = {
  bad_request: () => "The server could not understand the request. Reload the page and try again.",
  invalid: (params) => sentence(value(params, "reason", "this is not possible")),
  too_large: (params) =>
    "limit" in params
      ? `That is longer than the ${value(params, "limit", "")} bytes allowed.`
      : "That is longer than allowed.",
  unauthenticated: () => "Please sign in again.",
  token_expired: () => "Please sign in again.",
  credentials: () => "E-mail address or password is wrong.",
  login_ended: () => "You have been signed out. Please sign in again.",
  refresh_reused: () => "You have been signed out, because your session was used in two places. Please sign in again.",
  unverified: () => "Please verify your e-mail address first.",
  forbidden: () => "You may not do that.",
  origin: (params) => `This server does not accept pages from ${value(params, "origin", "this address")}.`,
  not_found: (params) => `There is no such ${value(params, "what", "thing")} (any more).`,
  method: () => "The server does not offer that.",
  timeout: () => "The request took too long to arrive. Try again.",
  target_too_long: () => "The server does not take so long an address.",
  unsupported: () => "The server does not read this kind of content.",
  too_early: () => "The connection was not ready yet. Try again.",
  upgrade_required: () => "The server speaks another version of the protocol. Reload the page.",
  headers_too_large: () => "The server does not take so much beside the request. Reload the page.",
  not_implemented: () => "The server does not offer that.",
  version: () => "The server does not speak this version of HTTP.",
  email_taken: () => "There is already an account with this e-mail address.",
  person_unknown: (params) => `Nobody here has the address ${value(params, "email", "given")}.`,
  already_member: () => "That person is already a member.",
  direct_fixed: () => "The members of a direct conversation cannot be changed.",
  link_expired: () => "This link is no longer valid. Ask for another one.",
  idempotency_key_reused: () => "This was already tried in another way. Reload the page and try again.",
  client_id_reused: () => "The server has another message under this number. Send it again as a new one.",
  blocked: (params) => blockedText(params["reasons"]),
  already_decided: () => "Somebody else has decided otherwise on that message.",
  unknown_command: () => "The server does not know this command. Reload the page.",
  protocol: () => "The connection was interrupted by an error in this page.",
  epoch_changed: () => "The server was restored from a backup; the conversation is read again.",
  after_failed: () => "An earlier message has to be sent first.",
  limited: () => "That was a bit fast. Try again in a moment.",
  busy: () => "The server is busy. Try again in a moment.",
  unavailable: () => "The server cannot reach its database. Nothing was changed; try again in a moment.",
  unknown: () => "The server was interrupted, and whether this was done is not known. Look before trying again.",
  draining: () => "The server is restarting. Try again in a moment.",
  internal: (params) =>
    "incident" in params
      ? `Something went wrong on the server (incident ${value(params, "incident", "")}).`
      : "Something went wrong on the server.",
  // Not from the server:
  outbox_storage: () => "This browser does not keep unsent messages. Do not close this tab before they are sent.",
  network: () => "The server cannot be reached. Check your connection and try again.",
};

/** The sentence for an error; for one that has none of its own, a sentence that names it. */
export function errorText(error: unknown): string {
  if (error instanceof Refusal) {
    const text = TEXTS[error.code];
    return text ? text(error.params) : `The server refused this (${error.code}).`;
  }
  if (error instanceof LinkLost) return "The connection was lost. Try again when it is back.";
  return "Something went wrong in this page. Reload it and try again.";
}
