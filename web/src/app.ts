/** The page: who is signed in, where they are, and what is drawn. */

import { html, nothing, render, type TemplateResult } from "lit-html";

import type { Api } from "./api";
import { Chat, type ChatListener, type ChatPorts } from "./chat";
import { errorText, type Refusal } from "./errors";
import type { Delivery, Me } from "./protocol";
import { conversationHash, parseRoute, type Route } from "./route";
import type { Session } from "./session";
import { textOf, type Thread } from "./store";
import { nameOf, titleOf, unreadTotal } from "./timeline";
import { AuthView } from "./views/auth";
import { ConversationView, type ConversationActions } from "./views/conversation";
import { icons } from "./views/icons";
import { MembersDialog } from "./views/members";
import { NewConversationDialog } from "./views/new_conversation";
import { sidebar } from "./views/sidebar";
import { signOutDialog } from "./views/sign_out";

type Dialog =
  | { readonly kind: "new"; readonly view: NewConversationDialog }
  | { readonly kind: "members"; readonly view: MembersDialog }
  | { readonly kind: "sign-out" };

/** How long a notice stays, and how long a page in the background waits before it is drawn, in ms. */
const NOTICE = 8_000;
const BACKGROUND_FRAME = 100;
/** The longest text that a screen reader is given when it arrives. */
const ANNOUNCED_CHARACTERS = 240;
/** Bytes of UTF-8 (`docs/protocol.md`, publish). */
const TEXT_LIMIT = 16_384;
const DEVICE = "web";

export class App implements ChatListener {
  private chat: Chat | null = null;
  private route: Route = { page: "list" };
  private dialog: Dialog | null = null;
  private notice: string | null = null;
  private announcement = "";
  private signInReason: string | null = null;
  private readonly drafts = new Map<string, string>();
  private readonly auth: AuthView;
  private conversation: ConversationView;
  private focusWanted = false;
  private scheduled = false;
  private cancelNotice: () => void = () => undefined;
  private cancelTick: () => void = () => undefined;

  constructor(
    private readonly root: HTMLElement,
    private readonly session: Session,
    private readonly api: Api,
    private readonly ports: Omit<ChatPorts, "token" | "device">,
  ) {
    this.auth = new AuthView(
      {
        signIn: async (account) => this.session.begin(await this.api.signIn(account, DEVICE)),
        signUp: async (account) => this.session.begin(await this.api.signUp(account, DEVICE)),
      },
      this.schedule,
    );
    this.conversation = new ConversationView(this.conversationActions());
  }

  start(): void {
    this.session.onChange = (person, reason) => this.personChanged(person, reason);
    window.addEventListener("storage", (event) => this.session.storageChanged(event.key));
    window.addEventListener("hashchange", () => this.navigated());
    window.addEventListener("online", () => this.chat?.wake());
    window.addEventListener("offline", this.schedule);
    window.addEventListener("focus", () => this.turned(true));
    window.addEventListener("blur", () => this.turned(false));
    document.addEventListener("visibilitychange", () => this.turned(document.visibilityState === "visible"));
    this.personChanged(this.session.person, null);
  }

  // --- what happens -------------------------------------------------------------------------------------------------

  changed(): void {
    this.schedule();
  }

  arrived(conversation: string, record: Delivery): void {
    if (!this.chat) return;
    const name = nameOf(this.chat.state, record.author);
    const shown = this.route.page === "conversation" && this.route.id === conversation;
    const text = textOf(record.body).slice(0, ANNOUNCED_CHARACTERS).toWellFormed();
    this.announcement = shown ? `${name}: ${text}` : `New message from ${name}`;
    this.schedule();
  }

  trouble(error: unknown): void {
    this.notice = errorText(error);
    this.cancelNotice();
    this.cancelNotice = this.ports.clock.after(NOTICE, this.dismissNotice);
    this.schedule();
  }

  ended(reason: Refusal): void {
    this.session.ended(reason);
  }

  private personChanged(person: Me | null, reason: Refusal | null): void {
    this.chat?.stop();
    this.chat = null;
    this.dialog = null;
    this.notice = null;
    this.announcement = "";
    this.drafts.clear();
    this.signInReason = reason ? errorText(reason) : null;
    if (person) {
      const token = this.session.token.bind(this.session);
      this.chat = new Chat(person, { ...this.ports, token, device: DEVICE }, this);
      this.conversation = new ConversationView(this.conversationActions());
      this.chat.start();
    }
    this.navigated();
  }

  private navigated(): void {
    this.route = parseRoute(location.hash);
    const outside = this.route.page === "sign-in" || this.route.page === "sign-up";
    if (this.chat && outside) this.go("#/");
    else if (!this.chat && !outside) this.go("#/sign-in");
    this.focusWanted = true;
    void this.chat?.show(this.route.page === "conversation" ? this.route.id : null);
    this.schedule();
  }

  /** Replace the address, as when it does not fit to who is signed in. */
  private go(hash: string): void {
    history.replaceState(null, "", hash);
    this.route = parseRoute(hash);
  }

  private turned(here: boolean): void {
    if (here) this.chat?.wake();
    const thread = this.thread();
    if (!thread) return;
    if (here) this.conversation.look(thread);
    else this.conversation.lookAway(thread);
  }

  private readonly askToSignOut = (): void => {
    if (this.chat && this.chat.unsent > 0) this.dialog = { kind: "sign-out" };
    else void this.signOut();
    this.schedule();
  };

  private readonly signOut = async (): Promise<void> => {
    const { chat } = this;
    chat?.stop();
    await chat?.discardUnsent();
    await this.session.end();
  };

  private readonly dismissNotice = (): void => {
    this.notice = null;
    this.schedule();
  };

  private readonly closeDialog = (): void => {
    this.dialog = null;
    this.schedule();
  };

  private readonly startConversation = (): void => {
    const { chat } = this;
    if (!chat) return;
    const view = new NewConversationDialog(
      {
        createDirect: async (email) => this.open(await chat.createDirect({ email })),
        createGroup: async (title, emails) =>
          this.open(
            await chat.createGroup(
              title,
              emails.map((email) => ({ email })),
            ),
          ),
        closed: this.closeDialog,
      },
      this.schedule,
    );
    this.dialog = { kind: "new", view };
    this.schedule();
  };

  private showMembers(): void {
    const { chat } = this;
    const id = this.thread()?.info.id;
    if (!chat || id === undefined) return;
    const view = new MembersDialog(
      {
        add: (email) => chat.addMember(id, { email }),
        remove: (person) => chat.removeMember(id, person),
        leave: async () => {
          await chat.leave(id);
          location.hash = "#/";
        },
        closed: this.closeDialog,
      },
      this.schedule,
    );
    this.dialog = { kind: "members", view };
    this.schedule();
  }

  private open(id: string): void {
    location.hash = conversationHash(id);
  }

  private conversationActions(): ConversationActions {
    return {
      loadOlder: (id) => void this.chat?.loadOlder(id),
      send: (id, text) => {
        this.drafts.delete(id);
        this.chat?.send(id, text);
      },
      write: (id, draft) => {
        this.drafts.set(id, draft);
        this.schedule();
      },
      showMembers: () => this.showMembers(),
      seen: (id) => {
        this.chat?.seen(id);
        this.chat?.trim(id);
      },
      retry: (clientId) => this.chat?.retry(clientId),
      discard: (clientId) => this.chat?.discard(clientId),
      rerender: this.schedule,
    };
  }

  private thread(): Thread | null {
    if (!this.chat || this.route.page !== "conversation") return null;
    return this.chat.state.threads.get(this.route.id) ?? null;
  }

  // --- what is drawn ------------------------------------------------------------------------------------------------

  /** Draw with the next frame; in the background, where there are none, soon. */
  private readonly schedule = (): void => {
    if (this.scheduled) return;
    this.scheduled = true;
    const draw = (): void => {
      if (!this.scheduled) return;
      this.scheduled = false;
      this.draw();
    };
    requestAnimationFrame(draw);
    this.ports.clock.after(BACKGROUND_FRAME, draw);
  };

  private draw(): void {
    const thread = this.thread();
    if (thread) this.conversation.beforeRender(thread);
    render(this.chat ? this.home(this.chat, thread) : this.outside(), this.root);
    if (thread) this.conversation.afterRender(thread);
    document.title = this.title(thread);
    this.tick();
    if (this.focusWanted && (thread || this.route.page !== "conversation")) {
      this.focusWanted = false;
      this.moveFocus();
    }
  }

  private outside(): TemplateResult {
    return this.auth.template(this.route.page === "sign-up" ? "sign-up" : "sign-in", this.signInReason);
  }

  private home(chat: Chat, thread: Thread | null): TemplateResult {
    const shows = this.route.page === "conversation";
    return html`
      <div class=${shows ? "home shows-conversation" : "home"}>
        ${sidebar({
          state: chat.state,
          status: chat.linkStatus,
          networkUp: navigator.onLine,
          active: shows ? chat.active : null,
          now: this.ports.clock.now(),
          drafts: this.drafts,
          startConversation: this.startConversation,
          retryConnection: () => chat.retryNow(),
          signOut: this.askToSignOut,
        })}
        <main class="pane">${shows ? this.pane(chat, thread) : this.welcome()}</main>
      </div>
      <div class="visually-hidden" aria-live="polite" data-testid="announcement">${this.announcement}</div>
      <div class="notices" role="alert">
        ${
          this.notice === null
            ? nothing
            : html`<div class="toast">
                <p>${this.notice}</p>
                <button class="icon-button" type="button" aria-label="Dismiss" @click=${this.dismissNotice}>
                  ${icons.close}
                </button>
              </div>`
        }
      </div>
      ${this.dialogTemplate(chat, thread)}
    `;
  }

  private pane(chat: Chat, thread: Thread | null): TemplateResult {
    if (thread) {
      return this.conversation.template({
        state: chat.state,
        thread,
        draft: this.drafts.get(thread.info.id) ?? "",
        textLimit: TEXT_LIMIT,
        now: this.ports.clock.now(),
      });
    }
    const text = chat.state.listed ? "There is no such conversation, or you are not a member." : "Loading…";
    return html`
      <div class="placeholder">
        <p role="status">${text}</p>
        <a href="#/">Back to conversations</a>
      </div>
    `;
  }

  private welcome(): TemplateResult {
    return html`
      <div class="placeholder">
        <img src="/logo.svg" alt="" width="72" height="72" />
        <p>Choose a conversation, or start one.</p>
      </div>
    `;
  }

  private dialogTemplate(chat: Chat, thread: Thread | null): TemplateResult | typeof nothing {
    switch (this.dialog?.kind) {
      case "new":
        return this.dialog.view.template();
      case "members":
        return thread ? this.dialog.view.template(chat.state, thread) : nothing;
      case "sign-out":
        return signOutDialog(chat.unsent, () => void this.signOut(), this.closeDialog);
      case undefined:
        return nothing;
    }
  }

  private title(thread: Thread | null): string {
    const unread = this.chat ? unreadTotal(this.chat.state) : 0;
    return `${unread > 0 ? `(${unread}) ` : ""}${thread ? `${titleOf(thread)} – ` : ""}Chiron`;
  }

  /** Draw again when the countdown to the next attempt has gone down. */
  private tick(): void {
    this.cancelTick();
    const status = this.chat?.linkStatus;
    if (status?.phase !== "waiting") return;
    const left = status.until - this.ports.clock.now();
    if (left > 1_000) this.cancelTick = this.ports.clock.after(left % 1_000 || 1_000, this.schedule);
  }

  private moveFocus(): void {
    const target = this.chat
      ? matchMedia("(pointer: coarse)").matches
        ? this.root.querySelector<HTMLElement>("#conversation-title")
        : this.root.querySelector<HTMLElement>("textarea[name=message]")
      : this.root.querySelector<HTMLElement>("[data-focus]");
    target?.focus();
  }
}
