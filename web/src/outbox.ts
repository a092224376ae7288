/**
 * Messages on their way: kept until the server has acknowledged or finally refused them, and sent in order.
 *
 * Each conversation is a lane. Within a lane a publish carries `n`, which counts this link's publishes from 1; several
 * may be in flight. When `n` fails for now, the server fails everything behind it with `after_failed`, so the lane
 * stops, collects what comes back, waits, and sends it again in the same order from the same `n`. A final refusal uses
 * its `n` up and holds nobody back. A new link starts at 1 with the oldest unanswered message, under the `client_id`s
 * given when the messages were written: what the server has already is answered with its first ack, never written
 * twice.
 */

import type { Cancel, Clock } from "./clock";
import { LinkLost, Refusal } from "./errors";
import { conversationChannel, type Ack, type Answers, type JsonObject, type Request } from "./protocol";

/** A message that is not acknowledged yet, as it is kept. */
export interface Entry {
  /** ULID. */
  readonly client_id: string;
  readonly person: string;
  readonly conversation: string;
  readonly text: string;
  /** Milliseconds since the Unix epoch. */
  readonly created: number;
  /** Why the server refused it; it is sent again only when the person says so. */
  readonly failed: { readonly code: string; readonly params: JsonObject } | null;
}

/** Where entries survive a reload. Both may fail; the message is sent all the same. */
export interface OutboxStorage {
  put(entry: Entry): Promise<void>;
  remove(clientId: string): Promise<void>;
}

export interface OutboxListener {
  /** An entry is new or its `failed` has changed. */
  changed(entry: Entry): void;
  acknowledged(entry: Entry, ack: Ack): void;
  removed(entry: Entry): void;
  /** Unsent messages will not survive a reload. */
  storageFailed(error: unknown): void;
}

export interface OutboxPorts {
  request(request: Extract<Request, { op: "publish" }>): Promise<Answers["publish"]>;
  readonly clock: Clock;
  readonly random: () => number;
}

interface Sent {
  readonly entry: Entry;
  readonly n: number;
}

interface Lane {
  readonly waiting: Entry[];
  readonly inFlight: Sent[];
  /** What failed for now, in order of `n`, until nothing is in flight any more. */
  readonly returned: Sent[];
  next: number;
  failures: number;
  retryAfter: number | null;
  paused: boolean;
  cancel: Cancel;
}

const IN_FLIGHT_MOST = 16;
const BACKOFF_FIRST = 250;
const BACKOFF_MOST = 10_000;

export class Outbox {
  private readonly entries = new Map<string, Entry>();
  private readonly lanes = new Map<string, Lane>();
  /** Raised when the link comes or goes: answers of an older one change nothing. */
  private era = 0;
  private online = false;
  /** Keeping is asynchronous; messages are queued in the order in which they were added all the same. */
  private added: Promise<void> = Promise.resolve();

  constructor(
    private readonly storage: OutboxStorage,
    private readonly ports: OutboxPorts,
    private readonly listener: OutboxListener,
  ) {}

  /** Entries that are not acknowledged, also the refused ones. */
  get size(): number {
    return this.entries.size;
  }

  /** A new message: shown at once, kept, then sent. */
  add(entry: Entry): Promise<void> {
    this.entries.set(entry.client_id, entry);
    this.listener.changed(entry);
    this.added = this.added.then(async () => {
      await this.keep(entry);
      this.enqueue(entry);
    });
    return this.added;
  }

  /** Entries that an earlier page left, in order of their `client_id`. */
  restore(entries: readonly Entry[]): void {
    for (const entry of entries) {
      if (this.entries.has(entry.client_id)) continue;
      this.entries.set(entry.client_id, entry);
      this.listener.changed(entry);
      if (!entry.failed) this.enqueue(entry);
    }
  }

  /** The link is up: everything unanswered again, from the oldest. */
  start(): void {
    this.era += 1;
    this.online = true;
    for (const [conversation, lane] of this.lanes) {
      rewind(lane);
      this.pump(conversation, lane);
    }
  }

  /** The link is gone. */
  stop(): void {
    this.era += 1;
    this.online = false;
    for (const lane of this.lanes.values()) lane.cancel();
  }

  /**
   * Send a refused message again, under the same `client_id`, so that it cannot be doubled; under `freshId` if the
   * refusal was that the server knows another message under it.
   */
  async retry(clientId: string, freshId: string): Promise<void> {
    const entry = this.entries.get(clientId);
    if (!entry?.failed) return;
    const reused = entry.failed.code === "client_id_reused";
    if (reused) await this.discard(clientId);
    await this.add({ ...entry, client_id: reused ? freshId : clientId, failed: null });
  }

  async discard(clientId: string): Promise<void> {
    const entry = this.entries.get(clientId);
    if (!entry?.failed) return;
    await this.release(entry);
    this.listener.removed(entry);
  }

  /** The message was seen in the log: there is nothing left to send. */
  async seen(clientId: string): Promise<void> {
    const entry = this.entries.get(clientId);
    if (!entry) return;
    await this.release(entry);
  }

  /** Forget everything, here and in storage. */
  async clear(): Promise<void> {
    const entries = [...this.entries.values()];
    this.stop();
    this.lanes.clear();
    await Promise.all(entries.map((entry) => this.release(entry)));
  }

  private enqueue(entry: Entry): void {
    let lane = this.lanes.get(entry.conversation);
    if (!lane) {
      lane = {
        waiting: [],
        inFlight: [],
        returned: [],
        next: 1,
        failures: 0,
        retryAfter: null,
        paused: false,
        cancel: () => undefined,
      };
      this.lanes.set(entry.conversation, lane);
    }
    lane.waiting.push(entry);
    this.pump(entry.conversation, lane);
  }

  private pump(conversation: string, lane: Lane): void {
    if (!this.online) return;
    while (!lane.paused && lane.returned.length === 0 && lane.inFlight.length < IN_FLIGHT_MOST) {
      const entry = lane.waiting.shift();
      if (!entry) return;
      // Seen in the log, or discarded, while it waited.
      if (!this.entries.has(entry.client_id)) continue;
      const sent: Sent = { entry, n: lane.next++ };
      lane.inFlight.push(sent);
      void this.publish(conversation, lane, sent);
    }
  }

  private async publish(conversation: string, lane: Lane, sent: Sent): Promise<void> {
    const era = this.era;
    const { entry, n } = sent;
    const { client_id, text } = entry;
    const channel = conversationChannel(conversation);
    let ack: Ack | null = null;
    let refusal: Refusal | null = null;
    try {
      ack = await this.ports.request({ op: "publish", channel, client_id, n, kind: "text", body: { text } });
    } catch (error) {
      if (error instanceof LinkLost || era !== this.era) return;
      if (!(error instanceof Refusal)) throw error;
      refusal = error;
    }
    if (era === this.era) {
      lane.inFlight.splice(lane.inFlight.indexOf(sent), 1);
      if (refusal?.temporary) putBack(lane, sent, refusal);
    }
    if (ack) {
      lane.failures = 0;
      this.listener.acknowledged(entry, ack);
      void this.release(entry);
    } else if (refusal && !refusal.temporary) {
      this.refused(entry, refusal);
    }
    if (era === this.era) this.goOn(conversation, lane);
  }

  private goOn(conversation: string, lane: Lane): void {
    if (lane.returned.length === 0 || lane.paused) {
      this.pump(conversation, lane);
      return;
    }
    if (lane.inFlight.length > 0) return;
    const random = this.ports.random();
    const delay = lane.retryAfter ?? random * Math.min(BACKOFF_MOST, BACKOFF_FIRST * 2 ** lane.failures);
    lane.failures += 1;
    lane.paused = true;
    lane.cancel = this.ports.clock.after(delay, () => {
      lane.next = lane.returned[0]?.n ?? lane.next;
      lane.waiting.unshift(...lane.returned.map((sent) => sent.entry));
      lane.returned.length = 0;
      lane.retryAfter = null;
      lane.paused = false;
      this.pump(conversation, lane);
    });
  }

  private refused(entry: Entry, refusal: Refusal): void {
    // Something else may have settled it while the refusal was on its way.
    if (this.entries.get(entry.client_id) !== entry) return;
    const failed = { ...entry, failed: { code: refusal.code, params: refusal.params } };
    this.entries.set(entry.client_id, failed);
    this.listener.changed(failed);
    void this.keep(failed);
  }

  private async keep(entry: Entry): Promise<void> {
    try {
      await this.storage.put(entry);
    } catch (error) {
      this.listener.storageFailed(error);
    }
  }

  private async release(entry: Entry): Promise<void> {
    this.entries.delete(entry.client_id);
    try {
      await this.storage.remove(entry.client_id);
    } catch (error) {
      // It stays stored and is sent once more after a reload, which the server answers with the first ack.
      this.listener.storageFailed(error);
    }
  }
}

function putBack(lane: Lane, sent: Sent, refusal: Refusal): void {
  lane.returned.push(sent);
  lane.returned.sort((one, other) => one.n - other.n);
  if (refusal.code !== "after_failed" && refusal.retryAfter !== null) {
    lane.retryAfter = Math.max(lane.retryAfter ?? 0, refusal.retryAfter);
  }
}

/** Back to the state of a link that has sent nothing, with everything unanswered waiting in its order. */
function rewind(lane: Lane): void {
  const unanswered = [...lane.inFlight, ...lane.returned].sort((one, other) => one.n - other.n);
  lane.cancel();
  lane.waiting.unshift(...unanswered.map((sent) => sent.entry));
  lane.inFlight.length = 0;
  lane.returned.length = 0;
  lane.next = 1;
  lane.failures = 0;
  lane.retryAfter = null;
  lane.paused = false;
}
