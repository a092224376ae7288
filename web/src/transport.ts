/**
 * How a link reaches the server: over WebTransport where browser, server and network have it, else over WebSocket.
 *
 *     the server is asked ──it has WebTransport──▶ WebTransport is tried ──▶ open
 *            │                                        │
 *            │ it has none, or does not say soon      │ it fails, or is not open after its head start:
 *            ▼                                        ▼ both are tried, and the first that opens is taken
 *        WebSocket is tried ◀─────────────────────────┘
 *
 * So a network that swallows UDP costs the head start once. When WebSocket works where WebTransport did not, the next
 * connections are made over WebSocket at once, for a time that doubles with each such failure; another network, or a
 * page that is loaded anew, starts afresh, and so does WebTransport that opens after all, since it was only slow.
 */

import type { Cancel, Clock } from "./clock";
import { Refusal } from "./errors";
import type { Socket, SocketListener, Transport } from "./link";
import type { WebTransportAddress } from "./webtransport_socket";

export interface TransportPorts {
  /** Where the server takes WebTransport; null when it does not. */
  readonly address: () => Promise<WebTransportAddress | null>;
  /** Null in a browser that has none. */
  readonly webTransport: ((address: WebTransportAddress, listener: SocketListener) => Socket) | null;
  readonly webSocket: (listener: SocketListener) => Socket;
  readonly clock: Clock;
}

/** How long the server may take to say whether it has WebTransport, in ms: longer than it takes to start again. */
const ANSWER_PATIENCE = 5_000;
/** How long WebTransport is tried alone, in ms: more than three round trips of most networks. */
const HEAD_START = 750;
/** How long WebTransport is left alone after it failed, in ms, at first and at most. */
const AVOID_FIRST = 60_000;
const AVOID_MOST = 30 * 60_000;

export class Transports {
  private failures = 0;
  private avoidUntil = 0;

  constructor(private readonly ports: TransportPorts) {}

  readonly open = (listener: SocketListener): Socket => {
    const { webTransport, clock } = this.ports;
    const usable = webTransport !== null && clock.now() >= this.avoidUntil;
    return new Attempt({ ...this.ports, webTransport: usable ? webTransport : null }, listener, this);
  };

  /** UDP passes, or may pass now, on another network. */
  forget(): void {
    this.failures = 0;
    this.avoidUntil = 0;
  }

  /** The server was heard over WebTransport. */
  worked(): void {
    this.failures = 0;
  }

  /** WebTransport did not work where something else might have. */
  failed(): void {
    this.avoidUntil = this.ports.clock.now() + Math.min(AVOID_MOST, AVOID_FIRST * 2 ** this.failures);
    this.failures += 1;
  }
}

/** One connection in the making; once one of its sockets has opened, that one. */
class Attempt implements Socket {
  private readonly tried = new Set<Transport>();
  private readonly racing = new Map<Transport, Socket>();
  private taken: Socket | null = null;
  private heard = false;
  private over = false;
  private cancel: Cancel = () => undefined;

  constructor(
    private readonly ports: TransportPorts,
    private readonly listener: SocketListener,
    private readonly transports: Transports,
  ) {
    void this.start();
  }

  get transport(): Transport {
    return this.taken?.transport ?? "websocket";
  }

  send(text: string): void {
    this.taken?.send(text);
  }

  close(): void {
    this.finish();
    for (const socket of this.racing.values()) socket.close();
  }

  private async start(): Promise<void> {
    const { address, webTransport } = this.ports;
    if (webTransport === null) {
      this.tryWebSocket();
      return;
    }
    this.cancel = this.ports.clock.after(ANSWER_PATIENCE, this.tryWebSocket);
    try {
      const found = await address();
      if (this.over || this.tried.size > 0) return;
      if (found !== null) {
        this.begin("webtransport", (listener) => webTransport(found, listener));
        this.cancel();
        this.cancel = this.ports.clock.after(HEAD_START, this.tryWebSocket);
        return;
      }
    } catch (error) {
      if (!(error instanceof Refusal)) console.error("WebTransport cannot be tried:", error);
    }
    this.tryWebSocket();
  }

  private readonly tryWebSocket = (): void => {
    this.cancel();
    if (!this.over && !this.tried.has("websocket")) this.begin("websocket", this.ports.webSocket);
  };

  private begin(transport: Transport, open: (listener: SocketListener) => Socket): void {
    this.tried.add(transport);
    const socket = open({
      opened: () => this.opened(transport),
      message: (text) => {
        if (this.taken === socket) this.message(text);
      },
      closed: (code) => this.closed(transport, code),
    });
    this.racing.set(transport, socket);
  }

  private opened(transport: Transport): void {
    if (this.over) return;
    if (this.taken !== null) {
      this.racing.get(transport)?.close();
      this.transports.forget();
      return;
    }
    this.cancel();
    this.taken = this.racing.get(transport) ?? null;
    if (transport === "webtransport") this.racing.get("websocket")?.close();
    else if (this.tried.has("webtransport")) this.transports.failed();
    this.listener.opened();
  }

  private message(text: string | null): void {
    if (!this.heard && this.transport === "webtransport") this.transports.worked();
    this.heard = true;
    this.listener.message(text);
  }

  private closed(transport: Transport, code: number): void {
    if (this.over) return;
    if (this.taken !== null) {
      if (this.taken.transport !== transport) return;
      this.close();
      this.listener.closed(code);
      return;
    }
    this.racing.delete(transport);
    this.tryWebSocket();
    if (this.racing.size > 0) return;
    this.finish();
    this.listener.closed(code);
  }

  private finish(): void {
    this.cancel();
    // It opened, and then nothing came.
    if (!this.over && this.taken?.transport === "webtransport" && !this.heard) this.transports.failed();
    this.over = true;
  }
}
