/** The page: who is signed in, where they are, and what is drawn. */

import { html, nothing, render, type TemplateResult } from "lit-html";

import type { Api } from "./api";
import { Chat, type ChatListener, type ChatPorts } from "./chat";
import { errorText, type Refusal } from "./errors";
import type { Delivery, Me } from "./protocol";
import { conversationHash, parseRoute, type Route } from "./route";
import type { Session } from "./session";
import { saidIn, type Thread } from "./store";
import { nameOf, titleOf, unreadTotal } from "./timeline";
import { AccountView } from "./views/account";
import { AuthView } from "./views/auth";
import { ConversationView, type ConversationActions } from "./views/conversation";
import { FromMailView } from "./views/from_mail";
import { icons } from "./views/icons";
import { MembersDialog } from "./views/members";
import { NewConversationDialog } from "./views/new_conversation";
import { sidebar } from "./views/sidebar";
import { signOutDialog } from "./views/sign_out";
import { unverified } from "./views/unverified";

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
/** How often at most a page that comes to the front asks whether the address was verified meanwhile, in ms. */
const VERIFIED_CHECK = 5_000;

export class App implements ChatListener {
  private chat: Chat | null = null;
  private route: Route = { page: "list" };
  private dialog: Dialog | null = null;
  private notice: string | null = null;
  private announcement = "";
  private signInReason: string | null = null;
  private readonly drafts = new Map<string, string>();
  private readonly auth: AuthView;
  private readonly fromMail: FromMailView;
  private readonly account: AccountView;
  private mailSent = false;
  private checkedVerified = 0;
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
        requestReset: (email) => this.api.requestReset(email),
      },
      this.schedule,
    );
    this.fromMail = new FromMailView(
      {
        verify: async (token) => {
          await this.api.verify(token);
          if (this.session.person) await this.session.renew();
        },
        resetPassword: (token, password) => this.api.resetPassword(token, password),
      },
      this.schedule,
    );
    this.account = new AccountView(
      {
        rename: async (name) => {
          await this.session.authorized((token) => this.api.rename(token, name));
          await this.session.renew();
        },
        changePassword: (current, password) =>
          this.session.authorized((token) => this.api.changePassword(token, current, password)),
        requestVerification: () => this.session.authorized((token) => this.api.requestVerification(token)),
        logins: (cursor) => this.session.authorized((token) => this.api.logins(token, cursor)),
        nameLogin: (login, device) => this.session.authorized((token) => this.api.nameLogin(token, login, device)),
        endLogin: (login) => this.session.authorized((token) => this.api.endLogin(token, login)),
        profiles: () => this.session.authorized((token) => this.api.profiles(token)),
        setProfile: (kind, state) => this.session.authorized((token) => this.api.setProfile(token, kind, state)),
      },
      this.schedule,
    );
    this.conversation = new ConversationView(this.conversationActions());
  }

  start(): void {
    this.session.onChange = (person, reason) => this.personChanged(person, reason);
    // The link knows who is verified by its token, so it is opened anew.
    this.session.onUpdate = (person) => {
      if (person.verified === this.chat?.state.me.verified) this.chat.know(person);
      else this.personChanged(person, null);
    };
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
    const text = (saidIn(record) ?? "").slice(0, ANNOUNCED_CHARACTERS).toWellFormed();
    this.announcement = shown ? `${name}: ${text}` : `New message from ${name}`;
    this.schedule();
  }

  trouble(error: unknown): void {
    this.say(errorText(error));
  }

  private say(notice: string): void {
    this.notice = notice;
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
    this.mailSent = false;
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
    const { page } = this.route;
    const outside = page === "sign-in" || page === "sign-up" || page === "forgot";
    const anywhere = page === "verify" || page === "reset";
    if (this.chat && outside) this.go("#/");
    else if (!this.chat && !outside && !anywhere) this.go("#/sign-in");
    this.focusWanted = true;
    if (this.chat && page === "account") void this.account.load();
    void this.chat?.show(this.route.page === "conversation" ? this.route.id : null);
    this.schedule();
  }

  /** Replace the address, as when it does not fit to who is signed in. */
  private go(hash: string): void {
    history.replaceState(null, "", hash);
    this.route = parseRoute(hash);
  }

  private turned(here: boolean): void {
    if (here) {
      this.chat?.wake();
      this.checkVerified();
    }
    const thread = this.thread();
    if (!thread) return;
    if (here) this.conversation.look(thread);
    else this.conversation.lookAway(thread);
  }

  /** Whether the link in the mail was opened meanwhile, perhaps on another device. */
  private checkVerified(): void {
    const now = this.ports.clock.now();
    if (!this.session.person || this.session.person.verified || now - this.checkedVerified < VERIFIED_CHECK) return;
    this.checkedVerified = now;
    this.session.renew().catch(() => undefined);
  }

  private readonly verifiedNow = (): void => {
    this.session
      .renew()
      .then((person) => {
        if (!person.verified) this.say("Not verified yet. Open the link in the mail first.");
      })
      .catch((error: unknown) => this.trouble(error));
  };

  private readonly resendMail = (): void => {
    this.session
      .authorized((token) => this.api.requestVerification(token))
      .then(() => {
        this.mailSent = true;
        this.schedule();
      })
      .catch((error: unknown) => this.trouble(error));
  };

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
      edit: (id, clientId, text) => {
        const draft = (this.drafts.get(id) ?? "").trim();
        this.drafts.set(id, draft === "" ? text : `${draft}\n${text}`);
        this.chat?.discard(clientId);
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
    render(this.page(thread), this.root);
    if (thread) this.conversation.afterRender(thread);
    document.title = this.title(thread);
    this.tick();
    if (this.focusWanted && (thread || this.route.page !== "conversation")) {
      this.focusWanted = false;
      this.moveFocus();
    }
  }

  private page(thread: Thread | null): TemplateResult {
    const { route } = this;
    if (route.page === "verify" || route.page === "reset") {
      return this.fromMail.template(route.page, route.token, this.chat !== null);
    }
    if (this.chat) return this.home(this.chat, thread);
    const asked = route.page === "sign-up" || route.page === "forgot" ? route.page : "sign-in";
    return this.auth.template(asked, this.signInReason);
  }

  private home(chat: Chat, thread: Thread | null): TemplateResult {
    const shows = this.route.page === "conversation";
    const person = this.session.person;
    return html`
      <div class=${shows || this.route.page === "account" ? "home shows-conversation" : "home"}>
        ${
          person === null || person.verified
            ? nothing
            : unverified({
                email: person.email,
                sent: this.mailSent,
                resend: this.resendMail,
                check: this.verifiedNow,
              })
        }
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
        <main class="pane">${this.main(chat, thread)}</main>
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

  private main(chat: Chat, thread: Thread | null): TemplateResult {
    switch (this.route.page) {
      case "conversation":
        return this.pane(chat, thread);
      case "account":
        return this.account.template(this.session.person ?? chat.state.me, this.ports.clock.now());
      default:
        return this.welcome();
    }
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
        : this.root.querySelector<HTMLElement>("textarea[name=message], [data-focus]")
      : this.root.querySelector<HTMLElement>("[data-focus]");
    target?.focus();
  }
}
