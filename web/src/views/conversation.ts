/** The open conversation: its head, its timeline and the composer. */

import { html, nothing, type TemplateResult } from "lit-html";
import { guard } from "lit-html/directives/guard.js";
import { keyed } from "lit-html/directives/keyed.js";
import { createRef, ref } from "lit-html/directives/ref.js";
import { repeat } from "lit-html/directives/repeat.js";

import { errorText } from "../errors";
import { logEnd, saidIn, type Log, type State, type Thread } from "../store";
import { timeline, titleOf, type Row } from "../timeline";
import { avatar } from "./avatar";
import { composer } from "./composer";
import { icons } from "./icons";
import { rowTemplate, type RowActions, type RowContext } from "./message";

export interface ConversationActions extends Omit<RowActions, "expand" | "edit"> {
  loadOlder(id: string): void;
  send(id: string, text: string): void;
  write(id: string, draft: string): void;
  /** Put a message that was not sent back into the box. */
  edit(id: string, clientId: string, text: string): void;
  showMembers(): void;
  /** The newest records are before the person's eyes. */
  seen(id: string): void;
  rerender(): void;
}

export interface ConversationProps {
  readonly state: State;
  readonly thread: Thread;
  readonly draft: string;
  readonly textLimit: number;
  readonly now: number;
}

/** Pixels from the end that still count as being there, and from the top that load more. */
const AT_END = 48;
const NEAR_TOP = 600;

export class ConversationView {
  private id: string | null = null;
  private current: Thread | null = null;
  private unreadAfter: number | null = null;
  private atEnd = true;
  /** The newest offset when the person left the end. */
  private leftAt = 0;
  private readonly expanded = new Set<string>();
  private readonly scroller = createRef<HTMLElement>();
  private anchor: { readonly element: Element; readonly top: number } | null = null;
  private renderedStart = 0;
  private watched: HTMLElement | null = null;
  private readonly sizes = new ResizeObserver(() => {
    const scroller = this.scroller.value;
    if (scroller && this.atEnd) scroller.scrollTop = scroller.scrollHeight;
  });
  private rows: { readonly of: readonly unknown[]; readonly rows: readonly Row[] } | null = null;

  constructor(private readonly actions: ConversationActions) {}

  template(props: ConversationProps): TemplateResult {
    const { thread } = props;
    const { id } = thread.info;
    if (id !== this.id) this.enter(thread);
    const log = thread.log;
    const title = titleOf(thread);
    const content = html`
      <section class="conversation ${thread.info.kind}" aria-labelledby="conversation-title" data-conversation=${id}>
        ${this.head(thread, title)}
        <div
          class="messages"
          role="log"
          aria-label="Messages"
          aria-live="off"
          aria-busy=${log === null || log.loading ? "true" : "false"}
          tabindex="0"
          ${ref(this.scroller)}
          @scroll=${this.scrolled}
        >
          <div class="messages-inner">${this.top(log, thread, title)} ${this.timelineTemplate(props)}</div>
        </div>
        ${this.jump(log)}
        ${
          thread.gone === null
            ? composer({
                draft: props.draft,
                placeholder: `Write to ${title}`,
                limit: props.textLimit,
                write: (draft) => this.actions.write(id, draft),
                send: (text) => this.send(id, text),
              })
            : html`<p class="gone" role="status">You are no longer a member of this conversation.</p>`
        }
      </section>
    `;
    return html`${keyed(id, content)}`;
  }

  /** Remember what the person looks at, where the next render puts records above it. */
  beforeRender(thread: Thread): void {
    const scroller = this.scroller.value;
    this.anchor = null;
    if (!scroller || this.atEnd || thread.info.id !== this.id || thread.log?.start === this.renderedStart) return;
    const edge = scroller.getBoundingClientRect().top;
    for (const element of scroller.querySelectorAll(".messages-inner > [data-offset]")) {
      const { top, bottom } = element.getBoundingClientRect();
      if (bottom < edge) continue;
      this.anchor = { element, top };
      return;
    }
  }

  afterRender(thread: Thread): void {
    const scroller = this.scroller.value;
    this.current = thread;
    if (!scroller) return;
    this.watchSize(scroller);
    this.renderedStart = thread.log?.start ?? 0;
    if (this.atEnd) scroller.scrollTop = scroller.scrollHeight;
    else if (this.anchor?.element.isConnected) {
      scroller.scrollTop += this.anchor.element.getBoundingClientRect().top - this.anchor.top;
    }
    this.loadIfNeeded(thread, scroller);
    this.look(thread);
  }

  /** The page came to the front, or its size changed. */
  look(thread: Thread): void {
    const { log, info } = thread;
    if (!log || (log.loading && log.records.length === 0)) return;
    if (this.atEnd && document.visibilityState === "visible" && document.hasFocus()) this.actions.seen(info.id);
  }

  /** The person turned away: what comes from now on is new when they are back. */
  lookAway(thread: Thread): void {
    if (thread.info.unread === 0) this.unreadAfter = thread.info.head;
  }

  /** Keep the end in view when the room for it changes. */
  private watchSize(scroller: HTMLElement): void {
    if (this.watched === scroller) return;
    this.watched = scroller;
    this.sizes.disconnect();
    this.sizes.observe(scroller);
  }

  private enter(thread: Thread): void {
    const { id, unread, read } = thread.info;
    this.id = id;
    this.unreadAfter = unread > 0 ? read : null;
    this.atEnd = true;
    this.expanded.clear();
    this.renderedStart = 0;
  }

  /** The rows, drawn again only where something changed: thousands of them stand still while somebody types. */
  private timelineTemplate(props: ConversationProps) {
    const rows = this.timeline(props.state, props.thread);
    const today = new Date(props.now).toDateString();
    const context = this.context(props);
    const draw = () =>
      repeat(
        rows,
        (row) => row.key,
        (row) => guard(this.inputs(row, context, today), () => rowTemplate(row, context)),
      );
    return guard([rows, this.expanded.size, today], draw);
  }

  private timeline(state: State, thread: Thread): readonly Row[] {
    const of = [thread, state.names, this.unreadAfter];
    if (!this.rows || this.rows.of.some((input, index) => input !== of[index])) {
      this.rows = { of, rows: timeline(state, thread, this.unreadAfter) };
    }
    return this.rows.rows;
  }

  /** What the look of a row depends on: rows that have not changed are not rendered again. */
  private inputs(row: Row, { state }: RowContext, today: string): unknown[] {
    if (row.row === "day") return [row.time, today];
    if (row.row !== "message") return [row.row === "notice" ? row.text : row.key];
    const { state: delivery, first, last, offset, readers, failed, review, time, text } = row;
    const name = state.names.get(row.author);
    return [delivery, first, last, offset, readers, failed, review, time, text, name, this.expanded.has(row.key)];
  }

  private context({ state, thread, now }: ConversationProps): RowContext {
    const expand = (key: string): void => {
      this.expanded.add(key);
      this.actions.rerender();
    };
    const { id } = thread.info;
    const { retry, discard } = this.actions;
    const edit = (clientId: string, text: string): void => {
      this.actions.edit(id, clientId, text);
      this.scroller.value?.parentElement?.querySelector<HTMLElement>("textarea")?.focus();
    };
    return {
      state,
      now,
      group: thread.info.kind === "group",
      expanded: this.expanded,
      actions: { retry, discard, edit, expand },
    };
  }

  private head(thread: Thread, title: string): TemplateResult {
    const { info } = thread;
    return html`
      <header class="conversation-head">
        <a class="icon-button back" href="#/" aria-label="Back to conversations">${icons.back}</a>
        ${avatar(info.peer?.person ?? info.id, title)}
        <div class="conversation-name">
          <h1 id="conversation-title" tabindex="-1"><bdi>${title}</bdi></h1>
          ${info.kind === "group" ? html`<p>${info.members} ${info.members === 1 ? "member" : "members"}</p>` : nothing}
        </div>
        ${
          info.kind === "group" && thread.gone === null
            ? html`<button
                class="icon-button"
                type="button"
                aria-label="Members"
                title="Members"
                @click=${() => this.actions.showMembers()}
              >
                ${icons.members}
              </button>`
            : nothing
        }
      </header>
    `;
  }

  private top(log: Log | null, thread: Thread, title: string): TemplateResult {
    if (log === null || log.loading) return html`<p class="top-note" role="status">Loading messages…</p>`;
    if (log.error !== null) {
      const retry = (): void => this.actions.loadOlder(thread.info.id);
      return html`
        <p class="top-note" role="alert">
          Older messages could not be loaded. ${errorText(log.error)}
          <button class="link" type="button" @click=${retry}>Try again</button>
        </p>
      `;
    }
    if (log.start > log.floor) return html`<p class="top-note"></p>`;
    const who = thread.info.kind === "direct" ? "your conversation with " : "";
    const empty = log.records.length === 0 && thread.outgoing.length === 0;
    return html`
      <div class=${empty ? "beginning empty" : "beginning"}>
        ${empty ? html`<img src="/logo.svg" alt="" width="48" height="48" />` : nothing}
        <p>This is the beginning of ${who}<bdi>${title}</bdi>.</p>
        ${empty ? html`<p class="hint">Write the first message below.</p>` : nothing}
      </div>
    `;
  }

  private jump(log: Log | null): TemplateResult {
    if (this.atEnd) return html`<div class="jump"></div>`;
    const news = log?.records.filter((record) => record.offset > this.leftAt && saidIn(record) !== null).length ?? 0;
    return html`
      <div class="jump">
        <button type="button" aria-label="Jump to the newest messages" @click=${this.toEnd}>
          ${news > 0 ? html`<span>${news} new</span>` : nothing} ${icons.down}
        </button>
      </div>
    `;
  }

  private send(id: string, text: string): void {
    this.atEnd = true;
    this.actions.send(id, text);
  }

  private readonly toEnd = (): void => {
    this.atEnd = true;
    this.actions.rerender();
    this.scroller.value?.focus();
  };

  private readonly scrolled = (): void => {
    const scroller = this.scroller.value;
    const thread = this.current;
    if (!scroller || !thread) return;
    const atEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight <= AT_END;
    if (atEnd !== this.atEnd) {
      this.atEnd = atEnd;
      if (!atEnd && thread.log) this.leftAt = logEnd(thread.log);
      this.actions.rerender();
    }
    this.loadIfNeeded(thread, scroller);
    this.look(thread);
  };

  private loadIfNeeded(thread: Thread, scroller: HTMLElement): void {
    const { log } = thread;
    if (log && log.error === null && scroller.scrollTop < NEAR_TOP) this.actions.loadOlder(thread.info.id);
  }
}
