/**
 * Tells the server how far messages were received and read: at most once a second and conversation, the last value wins
 * (`docs/protocol.md`, watermark). What was not confirmed when the link went is said again on the next.
 */

import type { Cancel, Clock } from "./clock";
import { LinkLost, Refusal } from "./errors";
import { conversationChannel, type Request } from "./protocol";
import type { Mark } from "./store";

const INTERVAL = 1_000;
const NOTHING: Mark = { received: 0, read: 0 };

interface Reported {
  wanted: Mark;
  confirmed: Mark;
  sending: boolean;
  resting: boolean;
  cancel: Cancel;
}

export class WatermarkReporter {
  private readonly reported = new Map<string, Reported>();
  private era = 0;
  private online = false;

  constructor(
    private readonly request: (request: Extract<Request, { op: "watermark" }>) => Promise<unknown>,
    private readonly clock: Clock,
  ) {}

  /** The person's watermarks are at least here. */
  raise(conversation: string, mark: Partial<Mark>): void {
    const entry = this.entry(conversation);
    const read = Math.max(entry.wanted.read, mark.read ?? 0);
    const received = Math.max(entry.wanted.received, mark.received ?? 0, read);
    entry.wanted = { received, read };
    this.report(conversation, entry);
  }

  /** What the server says that it has; it may have lost the last second in a crash. */
  known(conversation: string, mark: Mark): void {
    const entry = this.entry(conversation);
    if (entry.sending) return;
    entry.confirmed = { received: mark.received, read: mark.read };
    this.report(conversation, entry);
  }

  start(): void {
    this.era += 1;
    this.online = true;
    for (const [conversation, entry] of this.reported) {
      entry.cancel();
      entry.sending = false;
      entry.resting = false;
      this.report(conversation, entry);
    }
  }

  stop(): void {
    this.era += 1;
    this.online = false;
    for (const entry of this.reported.values()) entry.cancel();
  }

  private entry(conversation: string): Reported {
    let entry = this.reported.get(conversation);
    if (!entry) {
      entry = { wanted: NOTHING, confirmed: NOTHING, sending: false, resting: false, cancel: () => undefined };
      this.reported.set(conversation, entry);
    }
    return entry;
  }

  private report(conversation: string, entry: Reported): void {
    const { wanted, confirmed } = entry;
    if (!this.online || entry.sending || entry.resting) return;
    if (wanted.read <= confirmed.read && wanted.received <= confirmed.received) return;
    entry.sending = true;
    entry.resting = true;
    entry.cancel = this.clock.after(INTERVAL, () => {
      entry.resting = false;
      this.report(conversation, entry);
    });
    void this.send(conversation, entry, wanted, {
      ...(wanted.received > confirmed.received ? { received: wanted.received } : {}),
      ...(wanted.read > confirmed.read ? { read: wanted.read } : {}),
    });
  }

  private async send(conversation: string, entry: Reported, wanted: Mark, news: Partial<Mark>): Promise<void> {
    const era = this.era;
    const channel = conversationChannel(conversation);
    try {
      await this.request({ op: "watermark", channel, ...news });
    } catch (error) {
      if (!(error instanceof Refusal || error instanceof LinkLost)) throw error;
      if (era !== this.era) return;
      entry.sending = false;
      // A final refusal: the conversation is closed to this person, and nobody asks any more.
      if (error instanceof Refusal && !error.temporary) entry.confirmed = wanted;
      return;
    }
    if (era !== this.era) return;
    entry.sending = false;
    entry.confirmed = wanted;
    this.report(conversation, entry);
  }
}
