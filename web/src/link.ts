/**
 * One client's realtime connection that comes back by itself (`docs/protocol.md`).
 *
 *     stopped ──start──▶ connecting ──welcome──▶ online
 *                        ▲        │               │
 *               time is up,       │ lost          │ lost
 *                   wake │        ▼               ▼
 *                        └───── waiting ◀─────────┘        any ──"stop" close──▶ failed (or the login ended)
 *
 * Lost is whatever ends a socket: a close of either side, silence for two ping intervals, a frame that breaks the
 * protocol. It rejects every command in flight with {@link LinkLost}: whether they were done is not known, and asking
 * again is the business of whoever sent them (attachments: `feed.ts`, publishes: `outbox.ts`). Waiting lasts as long as
 * the server said, else a random time up to min(30 s, 0.25 s · 2ⁿ), n being the number of failures in a row.
 *
 * Socket, clock, randomness and tokens are arguments, so a test decides everything that happens.
 */

import type { Cancel, Clock } from "./clock";
import { LinkLost, Refusal } from "./errors";
import {
  ANSWERED_BY,
  CLOSE_ACTIONS,
  ProtocolError,
  decode,
  encode,
  type Answers,
  type ClientFrame,
  type CloseAction,
  type ErrorFrame,
  type Limits,
  type Request,
  type ServerFrame,
  type Welcome,
} from "./protocol";
import type { AccessToken } from "./session";

export type Transport = "webtransport" | "websocket";

export interface Socket {
  readonly transport: Transport;
  send(text: string): void;
  close(): void;
}

export interface SocketListener {
  opened(): void;
  /** Null stands for a message that is not text. */
  message(text: string | null): void;
  closed(code: number): void;
}

export type LinkStatus =
  | { readonly phase: "stopped" | "connecting" }
  | { readonly phase: "online"; readonly transport: Transport }
  | { readonly phase: "waiting"; readonly until: number }
  /** The server refuses to go on; `reason` is a close code or an error code. */
  | { readonly phase: "failed"; readonly reason: string };

/** Frames that the server sends on its own and that concern channels. */
export type ChannelFrame = Extract<ServerFrame, { op: "delivery" | "event" | "lag" | "detached" }>;

export interface LinkListener {
  status(status: LinkStatus): void;
  /** Where to resume the personal channel. */
  resume(): { readonly epoch: string; readonly offset: number } | null;
  /** The link is up; commands may be sent from within this call. */
  welcome(welcome: Welcome): void;
  frame(frame: ChannelFrame): void;
  /** The login ended; the link has stopped. */
  ended(reason: Refusal): void;
}

export interface LinkPorts {
  readonly open: (listener: SocketListener) => Socket;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly token: (lifetime: number, refused: string | null) => Promise<AccessToken>;
  readonly device: string;
}

interface Pending {
  readonly request: Request;
  readonly resolve: (answer: never) => void;
  readonly reject: (error: Error) => void;
}

/** All times in ms. */
const CONNECT_TIMEOUT = 10_000;
const BACKOFF_FIRST = 250;
const BACKOFF_MOST = 30_000;
/** A link that lived for less counts as one more failure in a row. */
const SHORT_LIFE = 1_000;
/** A token that expires sooner is not worth connecting with. */
const TOKEN_MARGIN = 30_000;
/** The token is renewed this long before it expires, spread so that tabs do not all do it at once. */
const RENEW_BEFORE = 75_000;
const RENEW_SPREAD = 30_000;
const RENEW_RETRY = 4_000;
/** How late a ping may be before a machine that woke up takes the link for dead. */
const PING_GRACE = 5_000;

export class Link {
  private status: LinkStatus = { phase: "stopped" };
  /** Raised whenever a socket is given up: whatever still refers to an older one is ignored. */
  private attempt = 0;
  private failures = 0;
  private socket: Socket | null = null;
  private limits: Limits | null = null;
  private refused: string | null = null;
  private token: string | null = null;
  private tokenGeneration = 0;
  /** The attempt whose token is being renewed. */
  private renewing: number | null = null;
  private nextId = 1;
  private readonly inFlight = new Map<number, Pending>();
  private readonly queue: Pending[] = [];
  private pingInterval = 0;
  private heardAt = 0;
  private onlineSince = 0;
  private told = false;
  private cancelTimer: Cancel = () => undefined;
  private cancelRenewal: Cancel = () => undefined;

  constructor(
    private readonly ports: LinkPorts,
    private readonly listener: LinkListener,
  ) {}

  start(): void {
    if (this.status.phase === "stopped" || this.status.phase === "failed") void this.connect();
  }

  stop(): void {
    this.drop();
    this.failures = 0;
    this.refused = null;
    this.change({ phase: "stopped" });
  }

  /** The network or the person came back: do not wait any longer, unless it is the server that asked to. */
  wake(): void {
    const { clock } = this.ports;
    if (this.status.phase === "waiting" && !this.told) {
      void this.connect();
    } else if (this.status.phase === "online" && clock.now() - this.heardAt > this.pingInterval + PING_GRACE) {
      this.lost("reconnect", null);
      void this.connect();
    }
  }

  /** The person asked for it: connect now, whatever was said before. */
  retry(): void {
    if (this.status.phase === "waiting" || this.status.phase === "failed") void this.connect();
  }

  /**
   * Send a command, now or when the link that is being made is up; answers come in any order.
   * @throws Refusal when the server refuses it, LinkLost when the link is down or lost before the answer.
   */
  request<R extends Request>(request: R): Promise<Answers[R["op"]]> {
    return new Promise<Answers[R["op"]]>((resolve, reject) => {
      if (this.status.phase !== "online" && this.status.phase !== "connecting") {
        reject(new LinkLost());
        return;
      }
      this.queue.push({ request, resolve: resolve as (answer: never) => void, reject });
      this.pump();
    });
  }

  // --- connecting ---------------------------------------------------------------------------------------------------

  private async connect(): Promise<void> {
    this.cancelTimer();
    const attempt = ++this.attempt;
    this.change({ phase: "connecting" });
    let token: AccessToken;
    try {
      token = await this.ports.token(TOKEN_MARGIN, this.refused);
    } catch (error) {
      if (attempt !== this.attempt) return;
      if (error instanceof Refusal && !error.temporary) this.end(error);
      else this.lost("reconnect", error instanceof Refusal ? error.retryAfter : null);
      return;
    }
    if (attempt !== this.attempt) return;
    this.token = token.value;
    this.cancelTimer = this.ports.clock.after(CONNECT_TIMEOUT, () => this.lost("reconnect", null));
    const ifCurrent = (work: () => void): void => {
      if (attempt === this.attempt) work();
    };
    this.socket = this.ports.open({
      opened: () => ifCurrent(() => this.opened(token.value)),
      message: (text) => ifCurrent(() => this.message(text)),
      closed: (code) => ifCurrent(() => this.closed(code, null)),
    });
  }

  private opened(token: string): void {
    const resume = this.listener.resume();
    this.nextId = 1;
    const id = this.nextId++;
    this.send({ op: "connect", id, token, device: this.ports.device, ...(resume ? { resume } : {}) });
  }

  private welcomed(welcome: Welcome): void {
    if (this.status.phase !== "connecting" || !this.socket) throw new ProtocolError("a second welcome");
    this.limits = welcome.limits;
    this.refused = null;
    this.tokenGeneration = 0;
    this.pingInterval = welcome.ping_ms;
    this.onlineSince = this.ports.clock.now();
    this.watchSilence();
    this.renewIn(welcome.token_ms);
    this.change({ phase: "online", transport: this.socket.transport });
    this.listener.welcome(welcome);
    this.pump();
  }

  // --- frames -------------------------------------------------------------------------------------------------------

  private message(text: string | null): void {
    this.heardAt = this.ports.clock.now();
    try {
      if (text === null) throw new ProtocolError("a message that is not text");
      const frame = decode(text);
      if (frame) this.take(frame);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      console.error("The server broke the protocol:", error.message);
      this.lost("reconnect", null);
    }
  }

  private take(frame: ServerFrame): void {
    switch (frame.op) {
      case "welcome":
        this.welcomed(frame);
        break;
      case "attached":
      case "ok":
      case "ack":
      case "page":
        this.answered(frame);
        break;
      case "error":
        this.refusedBy(frame);
        break;
      case "ping":
        this.send({ op: "pong" });
        break;
      case "token_expiring":
        void this.renew();
        break;
      case "close":
        this.closed(frame.code, frame.reconnect_in_ms);
        break;
      default:
        this.listener.frame(frame);
    }
  }

  private answered(frame: Extract<ServerFrame, { op: "attached" | "ok" | "ack" | "page" }>): void {
    const { op } = this.inFlight.get(frame.id)?.request ?? {};
    if (op && frame.op !== ANSWERED_BY[op]) throw new ProtocolError(`${op} was answered by ${frame.op}`);
    this.settle(frame.id)?.resolve(frame as never);
    this.pump();
  }

  private refusedBy(frame: ErrorFrame): void {
    const refusal = new Refusal(frame.code, frame.params, frame.temporary, frame.retry_after_ms ?? null);
    if (this.status.phase === "connecting") {
      this.connectRefused(refusal, frame.action);
      return;
    }
    // Errors without an id concern the link; a close with the same reason follows.
    const pending = frame.id === undefined ? null : this.settle(frame.id);
    pending?.reject(refusal);
    this.pump();
  }

  private connectRefused(refusal: Refusal, action: string): void {
    if (action === "refresh") this.lost("refresh", refusal.retryAfter);
    else if (refusal.temporary || action === "reconnect") this.lost("reconnect", refusal.retryAfter);
    else if (refusal.code === "login_ended") this.end(refusal);
    else this.fail(refusal.code);
  }

  private settle(id: number): Pending | null {
    const pending = this.inFlight.get(id) ?? null;
    this.inFlight.delete(id);
    return pending;
  }

  private pump(): void {
    while (this.limits && this.inFlight.size < this.limits.in_flight) {
      const pending = this.queue.shift();
      if (!pending) return;
      const id = this.nextId++;
      const text = encode({ ...pending.request, id });
      if (longerThan(text, this.limits.frame_bytes)) {
        pending.reject(new Refusal("too_large", { limit: this.limits.frame_bytes }));
        continue;
      }
      this.inFlight.set(id, pending);
      this.socket?.send(text);
    }
  }

  private send(frame: ClientFrame): void {
    this.socket?.send(encode(frame));
  }

  // --- staying alive ------------------------------------------------------------------------------------------------

  private watchSilence(): void {
    const { clock } = this.ports;
    const limit = 2 * this.pingInterval;
    const check = (): void => {
      const silent = clock.now() - this.heardAt;
      if (silent >= limit) this.lost("reconnect", null);
      else this.cancelTimer = clock.after(limit - silent, check);
    };
    this.cancelTimer();
    this.cancelTimer = clock.after(limit, check);
  }

  private renewIn(lifetime: number): void {
    const early = RENEW_BEFORE + this.ports.random() * RENEW_SPREAD;
    this.cancelRenewal();
    this.cancelRenewal = this.ports.clock.after(Math.max(lifetime / 2, lifetime - early), () => void this.renew());
  }

  private async renew(): Promise<void> {
    const attempt = this.attempt;
    if (this.renewing === attempt) return;
    this.renewing = attempt;
    const { clock, random } = this.ports;
    this.cancelRenewal();
    try {
      const token = await this.ports.token(RENEW_BEFORE, this.token);
      if (attempt !== this.attempt) return;
      await this.request({ op: "refresh", token: token.value, gen: ++this.tokenGeneration });
      if (attempt !== this.attempt) return;
      this.token = token.value;
      this.renewIn(token.expiresAt - clock.now());
    } catch (error) {
      // Without a newer token the server closes with 4003, and connecting again asks for one.
      if (attempt !== this.attempt) return;
      const wait = (error instanceof Refusal ? error.retryAfter : null) ?? RENEW_RETRY * (1 + random());
      this.cancelRenewal = clock.after(wait, () => void this.renew());
    } finally {
      if (this.renewing === attempt) this.renewing = null;
    }
  }

  // --- losing the link ----------------------------------------------------------------------------------------------

  private closed(code: number, reconnectIn: number | null): void {
    const action = CLOSE_ACTIONS[code] ?? "reconnect";
    if (action !== "stop") this.lost(action, reconnectIn);
    else if (code === 4004) this.end(new Refusal("login_ended"));
    else this.fail(String(code));
  }

  /** `reconnectIn`: what the server said, in ms; null or 0 when it did not ask to wait. */
  private lost(action: Exclude<CloseAction, "stop">, reconnectIn: number | null): void {
    const { clock, random } = this.ports;
    const online = this.status.phase === "online";
    if (online && clock.now() - this.onlineSince >= SHORT_LIFE) this.failures = 0;
    if (action === "refresh") this.refused = this.token;
    this.drop();
    const ceiling = Math.min(BACKOFF_MOST, BACKOFF_FIRST * 2 ** this.failures);
    const delay = reconnectIn || random() * ceiling;
    this.failures += 1;
    this.told = Boolean(reconnectIn);
    this.cancelTimer = clock.after(delay, () => void this.connect());
    this.change({ phase: "waiting", until: clock.now() + delay });
  }

  private end(reason: Refusal): void {
    this.stop();
    this.listener.ended(reason);
  }

  private fail(reason: string): void {
    this.drop();
    this.change({ phase: "failed", reason });
  }

  private drop(): void {
    this.attempt += 1;
    this.cancelTimer();
    this.cancelRenewal();
    const socket = this.socket;
    this.socket = null;
    this.limits = null;
    socket?.close();
    const left = [...this.inFlight.values(), ...this.queue];
    this.inFlight.clear();
    this.queue.length = 0;
    for (const pending of left) pending.reject(new LinkLost());
  }

  private change(status: LinkStatus): void {
    this.status = status;
    this.listener.status(status);
  }
}

function longerThan(text: string, bytes: number): boolean {
  if (text.length * 3 <= bytes) return false;
  return new TextEncoder().encode(text).length > bytes;
}

/** The WebSocket of a browser. */
export function browserSocket(url: string, protocol: string): (listener: SocketListener) => Socket {
  return (listener) => {
    const socket = new WebSocket(url, protocol);
    socket.onopen = () => listener.opened();
    socket.onmessage = (event: MessageEvent<unknown>) =>
      listener.message(typeof event.data === "string" ? event.data : null);
    socket.onclose = (event) => listener.closed(event.code);
    return {
      transport: "websocket",
      send: (text) => socket.send(text),
      close: () => socket.close(),
    };
  };
}
