/** The list of conversations, and who is signed in. */

import { html, nothing, type TemplateResult } from "lit-html";
import { repeat } from "lit-html/directives/repeat.js";

import type { LinkStatus } from "../link";
import type { State, Thread } from "../store";
import { listOrder, nameIn, titleOf } from "../timeline";
import { avatar } from "./avatar";
import { connection } from "./connection";
import { icons } from "./icons";
import { exactTime, shortTime } from "./times";

export interface SidebarProps {
  readonly state: State;
  readonly status: LinkStatus;
  readonly networkUp: boolean;
  readonly active: string | null;
  readonly now: number;
  readonly drafts: ReadonlyMap<string, string>;
  readonly startConversation: () => void;
  readonly retryConnection: () => void;
  readonly signOut: () => void;
}

export function sidebar(props: SidebarProps): TemplateResult {
  const { state, status } = props;
  return html`
    <nav class="sidebar" aria-label="Conversations">
      <header class="sidebar-head">
        <img src="/logo.svg" alt="" width="32" height="32" />
        <h1>Chiron</h1>
        <button
          class="icon-button"
          type="button"
          aria-label="New conversation"
          title="New conversation"
          @click=${props.startConversation}
        >
          ${icons.add}
        </button>
      </header>
      <div class="sidebar-body">${list(props)}</div>
      <footer class="sidebar-foot">
        ${avatar(state.me.person, state.me.name)}
        <div class="who">
          <span class="who-name" dir="auto">${state.me.name}</span>
          ${connection(status, props.now, props.networkUp, props.retryConnection)}
        </div>
        <a class="icon-button" href="#/account" aria-label="Your account" title="Your account">${icons.account}</a>
        <button class="icon-button" type="button" aria-label="Sign out" title="Sign out" @click=${props.signOut}>
          ${icons.signOut}
        </button>
      </footer>
    </nav>
  `;
}

function list(props: SidebarProps): TemplateResult {
  const threads = listOrder(props.state);
  if (threads.length > 0) {
    const stop = threads.some((thread) => thread.info.id === props.active) ? props.active : threads[0]?.info.id;
    return html`
      <ul class="threads" role="list" aria-label="Conversations" @keydown=${moveFocus}>
        ${repeat(
          threads,
          (thread) => thread.info.id,
          (thread) => html`<li>${entry(thread, props, thread.info.id === stop)}</li>`,
        )}
      </ul>
    `;
  }
  if (props.state.listed) {
    return html`
      <div class="hint-block">
        <p>No conversations yet.</p>
        <button class="secondary" type="button" @click=${props.startConversation}>Start the first one</button>
      </div>
    `;
  }
  if (props.status.phase === "waiting" || props.status.phase === "failed") {
    return html`<div class="hint-block">
      <p>The server cannot be reached. Your conversations appear here when it is back.</p>
    </div>`;
  }
  return html`
    <div class="skeleton" role="status" aria-label="Loading conversations">
      ${[0, 1, 2, 3].map(() => html`<div class="skeleton-row"><span></span><span></span></div>`)}
    </div>
  `;
}

function entry(thread: Thread, props: SidebarProps, stop: boolean): TemplateResult {
  const { info } = thread;
  const title = titleOf(thread);
  const current = info.id === props.active;
  const time = thread.outgoing.at(-1)?.created ?? info.last?.time;
  return html`
    <a
      class="thread"
      href="#/c/${info.id}"
      aria-current=${current ? "page" : nothing}
      tabindex=${stop ? "0" : "-1"}
      data-conversation=${info.id}
      data-unread=${info.unread}
    >
      ${avatar(info.peer?.person ?? info.id, title)}
      <span class="thread-title"><bdi>${title}</bdi></span>
      ${time === undefined ? nothing : lastTime(time, props.now)}
      <span class="thread-last">${preview(thread, props, current)}</span>
      ${
        info.unread > 0
          ? html`<span class="badge"
              >${info.unread > 999 ? "999+" : info.unread}<span class="visually-hidden"> unread</span></span
            >`
          : nothing
      }
    </a>
  `;
}

function lastTime(time: number, now: number): TemplateResult {
  return html`<time class="thread-time" title=${exactTime(time)}>${shortTime(time, now)}</time>`;
}

function preview(thread: Thread, { state, drafts }: SidebarProps, current: boolean): TemplateResult | string {
  const draft = drafts.get(thread.info.id) ?? "";
  if (draft.trim() !== "" && !current) return labelled("Draft", draft);
  const sending = thread.outgoing.at(-1);
  if (sending) return labelled(sending.failed ? "Not sent" : "You", sending.text);
  const { last, kind } = thread.info;
  if (!last) return kind === "group" ? `${thread.info.members} members` : "Say hello";
  const own = last.author === state.me.person;
  const text = last.text ?? "";
  if (last.verdict === "hold" && !own) return html`<em>A message is being reviewed</em>`;
  if (last.kind === "message.decided" && text === "") return html`<em>A message was withheld</em>`;
  if (last.kind !== "text" && last.kind !== "message.decided") return html`<em>Members changed</em>`;
  const author = own || kind === "group" ? nameIn(state, last.author) : null;
  return labelled(author, text);
}

function labelled(label: string | null, text: string): TemplateResult {
  return html`${label === null ? nothing : html`<em><bdi>${label}</bdi>:</em> `}<bdi>${oneLine(text)}</bdi>`;
}

/** As much of a text as a list shows. */
function oneLine(text: string): string {
  return text.slice(0, 200).replace(/\s+/g, " ").toWellFormed();
}

/** One stop for the Tab key; arrows move inside the list. */
function moveFocus(event: KeyboardEvent): void {
  const links = [...(event.currentTarget as HTMLElement).querySelectorAll<HTMLElement>("a.thread")];
  const here = links.indexOf(document.activeElement as HTMLElement);
  const targets: Record<string, number> = {
    ArrowDown: Math.min(here + 1, links.length - 1),
    ArrowUp: Math.max(here - 1, 0),
    Home: 0,
    End: links.length - 1,
  };
  const target = targets[event.key];
  if (here < 0 || target === undefined) return;
  event.preventDefault();
  links[target]?.focus();
}
