/**
 * The conversations of one signed-in person: what the link says goes into the store, what the person does goes out.
 *
 * Only what is shown is attached: the open conversation, and in the background those in which something arrived while
 * this page looked on, so that "received" means that the message is here. The list is read whole whenever the link
 * comes up, since heads are not logged; head events keep it current from there.
 */

import type { Clock } from "./clock";
import { LinkLost, Refusal } from "./errors";
import { Feed, type FeedListener } from "./feed";
import { Link, type ChannelFrame, type LinkListener, type LinkPorts, type LinkStatus } from "./link";
import { Outbox, type Entry, type OutboxListener, type OutboxStorage } from "./outbox";
import {
  conversationChannel,
  personalChannel,
  read,
  type Ack,
  type Conversation,
  type Delivery,
  type JsonObject,
  type Listing,
  type Me,
  type Member,
  type Welcome,
} from "./protocol";
import { initialState, logEnd, reduce, saidIn, type Action, type State } from "./store";
import { WatermarkReporter } from "./watermarks";

export type Who = { readonly email: string } | { readonly person: string };

export interface ChatPorts extends LinkPorts {
  readonly storage: OutboxStorage & { adopt(person: string): Promise<readonly Entry[]> };
  readonly newId: () => string;
}

export interface ChatListener {
  changed(): void;
  /** A text message of somebody else has arrived live. */
  arrived(conversation: string, record: Delivery): void;
  /** Something that the person did, or should know, did not work. */
  trouble(error: unknown): void;
  /** The login ended on the server. */
  ended(reason: Refusal): void;
}

const HISTORY_PAGE = 60;
const LIST_PAGE = 100;
const MEMBERS_PAGE = 200;
/** Conversations attached at the same time; the one that was used last stays longest. */
const ATTACHED_MOST = 12;
/** Records that a conversation keeps loaded when it is closed, and the most while it is open at its end. */
const KEEP_CLOSED = 200;
const KEEP_OPEN = 4_000;
const RETRY = 2_000;

export class Chat implements LinkListener, OutboxListener {
  state: State;
  linkStatus: LinkStatus = { phase: "stopped" };
  /** The conversation that is shown. */
  active: string | null = null;

  private readonly clock: Clock;
  private readonly link: Link;
  private readonly outbox: Outbox;
  private readonly watermarks: WatermarkReporter;
  private readonly personal: Feed;
  private readonly feeds = new Map<string, Feed>();
  /** Conversations that have a feed, by the number of their channel. */
  private readonly numbers = new Map<number, string>();
  /** Attached conversations, least recently used first. */
  private readonly attached = new Set<string>();
  private readonly opening = new Set<string>();
  private epoch = "";
  private linkEra = 0;
  private warnedOfStorage = false;

  constructor(
    private readonly me: Me,
    private readonly ports: ChatPorts,
    private readonly listener: ChatListener,
  ) {
    this.clock = ports.clock;
    this.state = initialState(me);
    this.link = new Link(ports, this);
    this.outbox = new Outbox(ports.storage, { ...this.exchange(), request: (frame) => this.link.request(frame) }, this);
    this.watermarks = new WatermarkReporter((frame) => this.link.request(frame), ports.clock);
    this.personal = new Feed(personalChannel(me.person), this.exchange(), {
      started: () => undefined,
      records: (records) => records.forEach((record) => this.membership(record)),
      truncated: () => undefined,
      ended: () => undefined,
    });
  }

  // --- life ---------------------------------------------------------------------------------------------------------

  start(): void {
    this.link.start();
    void this.adopt();
  }

  stop(): void {
    this.link.stop();
  }

  wake(): void {
    this.link.wake();
    void this.adopt();
  }

  /** The account has changed: its name, perhaps. */
  know(me: Me): void {
    this.dispatch({ type: "me", me });
  }

  retryNow(): void {
    this.link.retry();
  }

  /** Messages that are not acknowledged. */
  get unsent(): number {
    return this.outbox.size;
  }

  /** Forget the messages that are not acknowledged, before signing out. */
  discardUnsent(): Promise<void> {
    return this.outbox.clear();
  }

  // --- conversations ------------------------------------------------------------------------------------------------

  /** Show a conversation, or none. */
  async show(id: string | null): Promise<void> {
    if (this.active !== null && this.active !== id)
      this.dispatch({ type: "trimmed", id: this.active, keep: KEEP_CLOSED });
    this.active = id;
    this.listener.changed();
    if (id === null) return;
    if (!this.state.threads.has(id) && this.state.listed) await this.refetch(id);
    this.follow(id);
  }

  async loadOlder(id: string): Promise<void> {
    const log = this.state.threads.get(id)?.log;
    if (!log || log.loading || log.start <= log.floor) return;
    const before = log.start + 1;
    this.dispatch({ type: "loading", id });
    try {
      const channel = conversationChannel(id);
      const page = await this.link.request({ op: "sync", channel, before, limit: HISTORY_PAGE });
      this.dispatch({ type: "older", id, before, page });
    } catch (error) {
      this.dispatch({ type: "older_failed", id, error });
    }
  }

  /** Let go of what is far above, while the end is what is read. */
  trim(id: string): void {
    const size = this.state.threads.get(id)?.log?.records.length ?? 0;
    if (size > KEEP_OPEN) this.dispatch({ type: "trimmed", id, keep: KEEP_OPEN / 2 });
  }

  /** The person has the newest records of a conversation before their eyes. */
  seen(id: string): void {
    const thread = this.state.threads.get(id);
    if (!thread?.log || thread.gone !== null) return;
    const end = logEnd(thread.log);
    if (end <= thread.info.read) return;
    this.dispatch({ type: "own_read", id, read: end });
    this.watermarks.raise(id, { read: end });
  }

  send(conversation: string, text: string): void {
    const { person } = this.me;
    const entry = {
      client_id: this.ports.newId(),
      person,
      conversation,
      text,
      created: this.clock.now(),
      failed: null,
    };
    void this.outbox.add(entry);
  }

  retry(clientId: string): void {
    void this.outbox.retry(clientId, this.ports.newId());
  }

  discard(clientId: string): void {
    void this.outbox.discard(clientId);
  }

  /** @throws Refusal, LinkLost; so do all below. */
  async createDirect(who: Who): Promise<string> {
    return this.created({ kind: "direct", people: [who] });
  }

  async createGroup(title: string, people: readonly Who[]): Promise<string> {
    return this.created({ kind: "group", title, people });
  }

  async addMember(conversation: string, who: Who): Promise<void> {
    const member = read.member(await this.command("conversation.add", { conversation, person: who }));
    this.dispatch({ type: "member_added", id: conversation, member });
  }

  async removeMember(conversation: string, person: string): Promise<void> {
    await this.command("conversation.remove", { conversation, person });
    await this.loadMembers(conversation);
  }

  async leave(conversation: string): Promise<void> {
    await this.command("conversation.leave", { conversation });
    this.forget(conversation, "left");
  }

  async loadMembers(id: string): Promise<void> {
    const members = await this.readAll<Member>(
      "conversation.members",
      { conversation: id },
      MEMBERS_PAGE,
      read.members,
    );
    this.dispatch({ type: "members", id, members });
  }

  private async created(params: JsonObject): Promise<string> {
    const info = read.conversation(await this.command("conversation.create", params));
    this.dispatch({ type: "conversation", info });
    return info.id;
  }

  private async command(name: string, params: JsonObject): Promise<unknown> {
    return (await this.link.request({ op: "command", name, params })).result;
  }

  private async readAll<T>(
    name: string,
    params: JsonObject,
    limit: number,
    check: (value: unknown) => Listing<T>,
  ): Promise<readonly T[]> {
    const items: T[] = [];
    let cursor: string | undefined;
    do {
      const page = check(await this.command(name, { ...params, limit, ...(cursor === undefined ? {} : { cursor }) }));
      items.push(...page.items);
      cursor = page.next;
    } while (cursor !== undefined);
    return items;
  }

  // --- following ----------------------------------------------------------------------------------------------------

  private exchange() {
    const { clock, random } = this.ports;
    return { clock, random, request: this.link.request.bind(this.link) };
  }

  private follow(id: string): void {
    const thread = this.state.threads.get(id);
    if (this.linkStatus.phase !== "online" || !thread || thread.gone !== null) return;
    const already = this.attached.delete(id);
    this.attached.add(id);
    if (!already) this.feed(id, thread.info).attach();
    if (id === this.active) {
      this.fillScreen(id);
      this.reloadMembers(id);
    }
    for (const oldest of this.attached) {
      if (this.attached.size <= ATTACHED_MOST) break;
      if (oldest === this.active || oldest === id) continue;
      this.attached.delete(oldest);
      this.feeds.get(oldest)?.detach();
      this.dispatch({ type: "trimmed", id: oldest, keep: KEEP_CLOSED });
    }
  }

  private feed(id: string, info: Conversation): Feed {
    let feed = this.feeds.get(id);
    if (!feed) {
      // In the background start where this person's devices are; on the screen at the newest record.
      const position = id === this.active ? null : Math.max(info.received, info.floor);
      const epoch = position === null ? null : this.epoch;
      feed = new Feed(conversationChannel(id), this.exchange(), this.feedListener(id), epoch, position);
      this.feeds.set(id, feed);
      this.numbers.set(info.number, id);
    }
    return feed;
  }

  private feedListener(id: string): FeedListener {
    return {
      started: (position) => {
        this.dispatch({ type: "started", id, position });
        if (id === this.active) this.fillScreen(id);
      },
      records: (records) => this.records(id, records),
      truncated: (floor) => this.dispatch({ type: "truncated", id, floor }),
      ended: (reason) => this.forget(id, reason),
    };
  }

  private reloadMembers(id: string): void {
    void this.loadMembers(id).catch((error: unknown) => this.background(error));
  }

  private fillScreen(id: string): void {
    const log = this.state.threads.get(id)?.log;
    if (log && (log.records.length < HISTORY_PAGE / 2 || log.error !== null)) void this.loadOlder(id);
  }

  private records(id: string, records: readonly Delivery[]): void {
    this.dispatch({ type: "records", id, records });
    this.watermarks.raise(id, { received: records.at(-1)?.offset ?? 0 });
    if (records.some((record) => record.kind !== "text" && record.kind !== "message.decided")) {
      // Who came or went may have changed roles, too.
      void this.refetch(id);
      if (id === this.active) this.reloadMembers(id);
    }
    for (const record of records) {
      if (record.author !== this.me.person) {
        if (saidIn(record) !== null) this.listener.arrived(id, record);
      } else if (record.client_id !== undefined) {
        void this.outbox.seen(record.client_id);
      }
    }
  }

  private forget(id: string, why: "removed" | "left" | "denied"): void {
    this.feeds.get(id)?.suspend();
    this.feeds.delete(id);
    this.attached.delete(id);
    this.dispatch({ type: "gone", id, why });
  }

  // --- what the link says -------------------------------------------------------------------------------------------

  status(status: LinkStatus): void {
    this.linkStatus = status;
    if (status.phase !== "online") {
      this.linkEra += 1;
      this.outbox.stop();
      this.watermarks.stop();
      this.personal.suspend();
      for (const feed of this.feeds.values()) feed.suspend();
      this.attached.clear();
    }
    this.listener.changed();
  }

  resume() {
    return this.personal.resume;
  }

  welcome(welcome: Welcome): void {
    this.epoch = welcome.epoch;
    this.personal.welcomed(welcome);
    if (this.active !== null) this.follow(this.active);
    this.outbox.start();
    this.watermarks.start();
    void this.list(this.linkEra);
  }

  frame(frame: ChannelFrame): void {
    if (frame.number === this.me.number) {
      this.personalFrame(frame);
      return;
    }
    const id = this.numbers.get(frame.number);
    const feed = id === undefined ? undefined : this.feeds.get(id);
    if (id === undefined || !feed) return;
    switch (frame.op) {
      case "delivery":
        feed.delivery(frame);
        break;
      case "lag":
        feed.lag();
        break;
      case "detached":
        feed.removed();
        break;
      case "event":
        if (frame.kind === "watermark") {
          this.dispatch({ type: "watermark", id, marks: read.watermarks(frame.body, "watermark") });
        }
    }
  }

  ended(reason: Refusal): void {
    this.listener.ended(reason);
  }

  private personalFrame(frame: ChannelFrame): void {
    if (frame.op === "delivery") this.personal.delivery(frame);
    else if (frame.op === "lag") this.personal.lag();
    else if (frame.op === "event" && frame.kind === "head") this.head(frame.body);
  }

  private head(body: JsonObject): void {
    const head = read.head(body);
    const known = this.state.threads.get(head.conversation);
    if (!known) {
      void this.refetch(head.conversation);
      return;
    }
    const news = head.head > Math.max(known.info.head, head.received) && head.last?.author !== this.me.person;
    if (news && !this.attached.has(head.conversation)) this.follow(head.conversation);
    this.dispatch({ type: "head", head });
  }

  private membership(record: Delivery): void {
    if (record.kind !== "membership.added" && record.kind !== "membership.removed") return;
    const { conversation } = read.membership(record.body, record.kind);
    if (record.kind === "membership.added") void this.refetch(conversation);
    else if (this.state.threads.get(conversation)?.gone === null) this.forget(conversation, "removed");
  }

  /** Read the whole list, until it works or the link is gone. */
  private async list(era: number): Promise<void> {
    try {
      const items = await this.readAll<Conversation>("conversation.list", {}, LIST_PAGE, read.conversations);
      if (era !== this.linkEra) return;
      this.dispatch({ type: "listed", items, complete: true });
      for (const { id, received, read } of items) {
        const own = this.state.threads.get(id)?.info;
        this.watermarks.known(id, { received, read });
        if (own && (own.read > read || own.received > received)) this.watermarks.raise(id, own);
      }
      if (this.active !== null && !this.attached.has(this.active)) await this.show(this.active);
    } catch (error) {
      if (era !== this.linkEra || error instanceof LinkLost) return;
      if (!(error instanceof Refusal && error.temporary)) {
        this.listener.trouble(error);
        return;
      }
      this.clock.after(error.retryAfter ?? RETRY, () => {
        if (era === this.linkEra) void this.list(era);
      });
    }
  }

  /** Read one conversation that is new here, or has changed. */
  private async refetch(id: string): Promise<void> {
    if (this.opening.has(id)) return;
    this.opening.add(id);
    try {
      const info = read.conversation(await this.command("conversation.open", { conversation: id }));
      this.dispatch({ type: "conversation", info });
      if (id === this.active) this.follow(id);
    } catch (error) {
      this.background(error);
    } finally {
      this.opening.delete(id);
    }
  }

  /** What fails in the background is done again when the link comes back, or is no longer there to be done. */
  private background(error: unknown): void {
    if (!(error instanceof LinkLost || error instanceof Refusal)) throw error;
  }

  // --- what the outbox says -----------------------------------------------------------------------------------------

  changed(entry: Entry): void {
    const { client_id, conversation: id, text, created, failed } = entry;
    this.dispatch({ type: "outgoing", id, message: { client_id, text, created, failed, offset: null } });
  }

  acknowledged(entry: Entry, ack: Ack): void {
    const { client_id, conversation: id, text } = entry;
    const thread = this.state.threads.get(id);
    this.dispatch({ type: "acknowledged", id, clientId: client_id, offset: ack.offset });
    if (!thread) return;
    const { message, offset, ordinal, time, verdict } = ack;
    this.feeds.get(id)?.acknowledged({
      number: thread.info.number,
      offset,
      message,
      ordinal,
      time,
      author: this.me.person,
      kind: "text",
      body: { text },
      client_id,
      ...(verdict === undefined ? {} : { verdict }),
    });
  }

  removed(entry: Entry): void {
    this.dispatch({ type: "outgoing_removed", id: entry.conversation, clientId: entry.client_id });
  }

  storageFailed(error: unknown): void {
    console.error("The outbox cannot be kept:", error);
    if (this.warnedOfStorage) return;
    this.warnedOfStorage = true;
    this.listener.trouble(new Refusal("outbox_storage"));
  }

  private async adopt(): Promise<void> {
    try {
      this.outbox.restore(await this.ports.storage.adopt(this.me.person));
    } catch (error) {
      this.storageFailed(error);
    }
  }

  private dispatch(action: Action): void {
    const next = reduce(this.state, action);
    if (next === this.state) return;
    this.state = next;
    this.listener.changed();
  }
}
