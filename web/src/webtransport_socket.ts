/**
 * A link's socket over WebTransport, with what {@link Socket} promises, so that the link need not know
 * (`docs/protocol.md`, Over HTTP/3).
 *
 * Frames are records on one bidirectional stream that the client opens. Ephemeral events also come as datagrams, each
 * one frame; those that overtake the first record, which is the welcome, are dropped. The session's close code is the
 * link's. As over WebSocket, each message is told in a task of its own, so that what one has settled is done before the
 * next, however many come at a time.
 */

import type { Socket, SocketListener } from "./link";
import { RecordError, RecordReader, decodeText, encodeRecord } from "./records";

/** What is used of a browser's WebTransport. */
export type Session = Pick<WebTransport, "ready" | "closed" | "close" | "createBidirectionalStream"> & {
  readonly datagrams: Pick<WebTransportDatagramDuplexStream, "readable">;
};

/** Where a server takes WebTransport. */
export interface WebTransportAddress {
  readonly url: string;
  /** SHA-256 of certificates in base64, one of which the server has; empty when an authority vouches for it. */
  readonly hashes: readonly string[];
}

/** Bytes of a record: a page of the log has some 64 KiB, and a longer one may end it. */
const RECORD_MOST = 1 << 20;
/** What a WebSocket says when the connection was not closed but lost (RFC 6455 §7.1.5). */
const LOST = 1006;

export class WebTransportSocket implements Socket {
  readonly transport = "webtransport";
  private writer: WritableStreamDefaultWriter<Uint8Array> | null = null;
  private heard = false;
  private over = false;
  /** Settled when everything that has come is told. */
  private told: Promise<void> = Promise.resolve();

  constructor(
    private readonly session: Session,
    private readonly listener: SocketListener,
    private readonly nextTask: () => Promise<void>,
  ) {
    session.closed.then(
      ({ closeCode }) => this.end(closeCode ?? LOST),
      () => this.end(LOST),
    );
    // Whatever fails in a session fails all of it.
    this.run().catch(() => this.end(LOST));
  }

  send(text: string): void {
    this.writer?.write(encodeRecord(text)).catch(() => this.end(LOST));
  }

  /** Nothing more is told afterwards. */
  close(): void {
    this.over = true;
    this.session.close();
  }

  private async run(): Promise<void> {
    await this.session.ready;
    const { readable, writable } = await this.session.createBidirectionalStream();
    if (this.over) return;
    this.writer = writable.getWriter();
    this.listener.opened();
    // Without datagrams the stream goes on; the session's end is told by the stream as well.
    each(this.session.datagrams.readable, (bytes) => this.datagram(bytes)).catch(() => undefined);
    const records = new RecordReader(RECORD_MOST);
    await each(readable, (piece) => this.take(() => records.receive(piece)));
    // The server has said everything; once we have, too, it closes the session and says why.
    await this.writer.close();
  }

  private async datagram(bytes: Uint8Array): Promise<void> {
    if (this.heard) await this.take(() => [decodeText(bytes)]);
  }

  private take(read: () => readonly string[]): Promise<void> {
    let texts: readonly (string | null)[];
    try {
      texts = read();
    } catch (error) {
      if (!(error instanceof RecordError)) throw error;
      texts = [null];
    }
    for (const text of texts) this.told = this.told.then(() => this.tell(text));
    return this.told;
  }

  private async tell(text: string | null): Promise<void> {
    await this.nextTask();
    if (this.over) return;
    this.heard = true;
    // What the listener throws is an error of the page, as in a handler of an event, and none of the session.
    queueMicrotask(() => this.listener.message(text));
  }

  /** Once what came before is told. */
  private end(code: number): void {
    this.told = this.told.then(() => {
      if (this.over) return;
      this.close();
      this.listener.closed(code);
    });
  }
}

/** The WebTransport of a browser. */
export function browserSession({ url, hashes }: WebTransportAddress): Session {
  const serverCertificateHashes = hashes.map((hash) => ({
    algorithm: "sha-256",
    value: Uint8Array.from(atob(hash), (character) => character.charCodeAt(0)),
  }));
  return new WebTransport(url, serverCertificateHashes.length > 0 ? { serverCertificateHashes } : {});
}

async function each(stream: ReadableStream<Uint8Array>, work: (bytes: Uint8Array) => Promise<void>): Promise<void> {
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    await work(value);
  }
}
