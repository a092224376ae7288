import { encodeRecord, RecordReader } from "../../src/records";
import type { Session } from "../../src/webtransport_socket";
import { settle } from "./clock";
import type { Json } from "./wire";

interface Later<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

function later<T>(): Later<T> {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  // As in a browser, nobody has to look (WebTransport §6.2: ready and closed are marked as handled).
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}

/** A stream into which the test puts bytes. */
class Incoming {
  private controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  readonly stream = new ReadableStream<Uint8Array>({
    start: (controller) => {
      this.controller = controller;
    },
  });

  put(bytes: Uint8Array): void {
    this.controller?.enqueue(bytes);
  }
  end(): void {
    this.controller?.close();
  }
  fail(): void {
    this.controller?.error(new Error("gone"));
  }
}

/** One WebTransport session as the test's server sees it. */
export class TestSession implements Session {
  private readonly connected = later<undefined>();
  private readonly over = later<WebTransportCloseInfo>();
  private readonly reader = new RecordReader(1 << 20);
  private readonly down = new Incoming();
  private readonly loose = new Incoming();
  readonly sent: Json[] = [];
  readonly ready = this.connected.promise;
  readonly closed = this.over.promise;
  readonly datagrams = { readable: this.loose.stream };
  streams = 0;
  closes = 0;
  /** Whether the client has ended its side of the stream. */
  ended = false;
  /** Whether the server has stopped to take what the client writes. */
  deaf = false;

  createBidirectionalStream(): Promise<WebTransportBidirectionalStream> {
    this.streams += 1;
    const writable = new WritableStream<Uint8Array>({
      write: (bytes) => {
        if (this.deaf) throw new Error("stopped");
        for (const text of this.reader.receive(bytes)) this.sent.push(JSON.parse(text) as Json);
      },
      close: () => {
        this.ended = true;
      },
    });
    return Promise.resolve({ readable: this.down.stream, writable } as unknown as WebTransportBidirectionalStream);
  }

  close(): void {
    this.closes += 1;
  }

  async accept(): Promise<void> {
    this.connected.resolve(undefined);
    await settle();
  }

  /** The handshake fails. */
  async refuse(): Promise<void> {
    const error = new Error("Opening handshake failed.");
    this.connected.reject(error);
    this.over.reject(error);
    await settle();
  }

  async say(frame: Json): Promise<void> {
    await this.put(encodeRecord(JSON.stringify(frame)));
  }

  /** Bytes on the stream. */
  async put(bytes: Uint8Array): Promise<void> {
    this.down.put(bytes);
    await settle();
  }

  async datagram(bytes: Uint8Array): Promise<void> {
    this.loose.put(bytes);
    await settle();
  }

  /** The server closes the session. */
  async hangUp(info: WebTransportCloseInfo): Promise<void> {
    this.over.resolve(info);
    await settle();
  }

  /** The connection is lost. */
  async lose(): Promise<void> {
    this.down.fail();
    this.loose.fail();
    this.over.reject(new Error("gone"));
    await settle();
  }

  async endStream(): Promise<void> {
    this.down.end();
    await settle();
  }
}

