/**
 * One channel as this client follows it: every record once and in order of offset, whatever the link does.
 *
 * `position` is the offset up to which all records have been handed on. A delivery at or below it is a repeat; one
 * right behind it is handed on; one further ahead waits until the records between have come: at once by `sync` when a
 * delivery skipped them (deliveries of a channel come in order, so they are lost), after {@link ACK_PATIENCE} when it
 * is our own message, whose ack may overtake deliveries.
 *
 * What `attach` says decides how to go on (`docs/protocol.md`, outcomes of attach). `gen` rises with each attach, and
 * an answer to an older one changes nothing.
 */

import type { Cancel, Clock } from "./clock";
import { LinkLost, Refusal } from "./errors";
import type { Answers, Attached, Delivery, Page, Request, Welcome } from "./protocol";

export interface FeedListener {
  /** Records follow after `position`; nothing older is known. Called when the feed starts, and starts anew. */
  started(position: number): void;
  records(records: readonly Delivery[]): void;
  /** Offsets up to `floor` cannot be read any more. */
  truncated(floor: number): void;
  /** The channel is closed to this person. */
  ended(reason: "denied" | "removed"): void;
}

export interface FeedPorts {
  request<R extends Request>(request: R): Promise<Answers[R["op"]]>;
  readonly clock: Clock;
  readonly random: () => number;
}

const SYNC_LIMIT = 500;
/** Having missed more than this, start again at the head and leave the rest to scrolling. */
const CATCH_UP_MOST = 2_000;
const ACK_PATIENCE = 1_000;
const RETRY = 1_000;

export class Feed {
  private gen = 0;
  private active = false;
  private filling = false;
  private readonly ahead = new Map<number, Delivery>();
  private cancelTimer: Cancel = () => undefined;

  /** `epoch` and `position`: where to go on, if that is known. */
  constructor(
    readonly channel: string,
    private readonly ports: FeedPorts,
    private readonly listener: FeedListener,
    private epoch: string | null = null,
    private position: number | null = null,
  ) {
    if (position !== null) listener.started(position);
  }

  /** Where a resume would go on. */
  get resume(): { readonly epoch: string; readonly offset: number } | null {
    return this.epoch !== null && this.position !== null ? { epoch: this.epoch, offset: this.position } : null;
  }

  /** The link is up: attach, from where we are. */
  attach(): void {
    this.active = true;
    void this.run(async (gen) => this.attached(await this.requestAttach(gen), gen));
  }

  /** The link is up and attached this channel by itself (the personal one). */
  welcomed(welcome: Welcome): void {
    this.active = true;
    this.gen += 1;
    const { epoch, head, outcome } = welcome;
    if (this.position === null || outcome === "epoch_changed" || outcome === "denied") {
      this.restart(epoch, head);
      return;
    }
    this.epoch = epoch;
    if (outcome === "complete") return;
    void this.run(async (gen) => {
      await this.catchUp(gen);
      await this.attached(await this.requestAttach(gen), gen);
    });
  }

  /** The link is gone; `attach` goes on from here. */
  suspend(): void {
    this.active = false;
    this.gen += 1;
    this.filling = false;
    this.cancelTimer();
  }

  /** Stop following. */
  detach(): void {
    const wasActive = this.active;
    this.suspend();
    if (!wasActive) return;
    this.ports.request({ op: "detach", channel: this.channel, gen: this.gen }).catch(ignoreRefusal);
  }

  delivery(record: Delivery): void {
    if (!this.active || this.position === null || record.offset <= this.position) return;
    this.ahead.set(record.offset, record);
    this.handOn();
    if (this.ahead.size > 0) this.fill();
  }

  /** Our own message, made from its ack, which stands for the delivery on this link. */
  acknowledged(record: Delivery): void {
    if (!this.active || this.position === null || record.offset <= this.position) return;
    this.ahead.set(record.offset, record);
    this.handOn();
    if (this.ahead.size === 0) return;
    this.cancelTimer();
    this.cancelTimer = this.ports.clock.after(ACK_PATIENCE, () => this.fill());
  }

  /** The server no longer delivers this channel: read to the head, then attach again. */
  lag(): void {
    void this.run(async (gen) => {
      await this.catchUp(gen);
      await this.attached(await this.requestAttach(gen), gen);
    });
  }

  removed(): void {
    this.suspend();
    this.listener.ended("removed");
  }

  private requestAttach(gen: number): Promise<Attached> {
    const from = this.resume;
    return this.ports.request({
      op: "attach",
      channel: this.channel,
      gen,
      ...(from ? { epoch: from.epoch, after: from.offset } : {}),
    });
  }

  private async attached(answer: Attached, gen: number): Promise<void> {
    if (gen !== this.gen) return;
    switch (answer.outcome) {
      case "complete":
        if (this.position === null) this.restart(answer.epoch, answer.head);
        this.epoch = answer.epoch;
        return;
      case "more":
        if (this.position !== null && answer.head - this.position <= CATCH_UP_MOST) await this.catchUp(gen);
        else this.position = null;
        break;
      case "truncated":
        this.skipTo((answer.from ?? answer.head + 1) - 1);
        break;
      case "epoch_changed":
        this.position = null;
        this.epoch = null;
        this.ahead.clear();
        break;
      case "denied":
        this.suspend();
        this.listener.ended("denied");
        return;
    }
    if (gen === this.gen) this.attach();
  }

  /** Read until there is nothing more. */
  private async catchUp(gen: number): Promise<void> {
    for (let more = true; more && gen === this.gen && this.position !== null;) {
      const page = await this.sync(this.position);
      if (gen !== this.gen) return;
      more = this.takePage(page) && page.more;
    }
  }

  private sync(after: number): Promise<Page> {
    return this.ports.request({ op: "sync", channel: this.channel, after, limit: SYNC_LIMIT });
  }

  /** False when the page belongs to another epoch, and attaching has to sort that out. */
  private takePage(page: Page): boolean {
    if (this.epoch !== null && page.epoch !== this.epoch) return false;
    if (this.position !== null && page.floor > this.position) this.skipTo(page.floor);
    for (const record of page.items) {
      if (this.position !== null && record.offset > this.position) this.ahead.set(record.offset, record);
    }
    this.handOn();
    return true;
  }

  /** Fetch what is missing below the records that wait. */
  private fill(): void {
    if (this.filling) return;
    this.filling = true;
    void this.run(async (gen) => {
      while (this.ahead.size > 0 && this.position !== null) {
        const before = this.position;
        const page = await this.sync(before);
        if (gen !== this.gen) return;
        if (!this.takePage(page)) {
          this.attach();
          return;
        }
        if (this.position === before) this.ahead.clear();
      }
      this.filling = false;
    }, false);
  }

  private handOn(): void {
    if (this.position === null) return;
    const records: Delivery[] = [];
    for (;;) {
      const next = this.ahead.get(this.position + 1);
      if (!next) break;
      this.ahead.delete(next.offset);
      this.position = next.offset;
      records.push(next);
    }
    for (const offset of this.ahead.keys()) if (offset <= this.position) this.ahead.delete(offset);
    if (records.length > 0) this.listener.records(records);
  }

  private skipTo(floor: number): void {
    this.position = floor;
    this.listener.truncated(floor);
    this.handOn();
  }

  private restart(epoch: string, position: number): void {
    this.epoch = epoch;
    this.position = position;
    this.ahead.clear();
    this.listener.started(position);
  }

  /**
   * Run one exchange with the server as the newest (`raise`: it outdates those before it). What the link loses starts
   * again with the next `attach`; what fails for now is tried again by attaching.
   */
  private async run(exchange: (gen: number) => Promise<void>, raise = true): Promise<void> {
    if (raise) {
      this.gen += 1;
      this.filling = false;
      this.cancelTimer();
    }
    const gen = this.gen;
    try {
      await exchange(gen);
    } catch (error) {
      if (gen !== this.gen || error instanceof LinkLost) return;
      if (!(error instanceof Refusal)) throw error;
      if (error.code === "epoch_changed") {
        this.position = null;
        this.epoch = null;
        this.attach();
      } else if (error.temporary) {
        const wait = error.retryAfter ?? RETRY * (1 + this.ports.random());
        this.cancelTimer = this.ports.clock.after(wait, () => this.attach());
      } else {
        this.suspend();
        this.listener.ended("denied");
      }
    }
  }
}

/** Nothing depends on the answer. */
function ignoreRefusal(error: unknown): void {
  if (!(error instanceof Refusal || error instanceof LinkLost)) throw error;
}
