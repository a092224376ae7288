import type { Socket, SocketListener } from "../../src/link";
import { settle } from "./clock";

export type Json = Record<string, unknown> & { readonly op: string };

/** One socket as the test's server sees it. */
export class TestSocket implements Socket {
  readonly transport = "websocket";
  readonly sent: Json[] = [];
  closed = false;
  private taken = 0;

  constructor(readonly listener: SocketListener) {}

  send(text: string): void {
    this.sent.push(JSON.parse(text) as Json);
  }

  close(): void {
    this.closed = true;
  }

  /** Frames that came since this was asked last. */
  news(): Json[] {
    const news = this.sent.slice(this.taken);
    this.taken = this.sent.length;
    return news;
  }

  async say(frame: Json): Promise<void> {
    this.listener.message(JSON.stringify(frame));
    await settle();
  }

  async drop(code = 1006): Promise<void> {
    this.listener.closed(code);
    await settle();
  }
}

export const WELCOME = {
  op: "welcome",
  link: "17",
  person: "0193a1b2-0000-7000-8000-000000000001",
  number: 4,
  epoch: "9f3a",
  head: 2,
  outcome: "complete",
  time: 1_764_000_000_000,
  ping_ms: 25_000,
  token_ms: 600_000,
  limits: { frame_bytes: 65_536, text_bytes: 16_384, in_flight: 64, rate: 50, burst: 200 },
};

export function delivery(offset: number, members: Record<string, unknown> = {}): Json {
  return {
    op: "delivery",
    number: 9,
    offset,
    message: `m${offset}`,
    ordinal: offset,
    time: 1_764_000_000_000 + offset * 1000,
    author: "ana",
    kind: "text",
    body: { text: `text ${offset}` },
    ...members,
  };
}
