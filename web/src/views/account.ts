/** One's own account: name, address, password, roles, and the devices where one is signed in. */

import { html, nothing, type TemplateResult } from "lit-html";
import { repeat } from "lit-html/directives/repeat.js";

import { errorText } from "../errors";
import type { Listing, Login, Me, Profile } from "../protocol";
import { FormState, field, formError, submitButton, valueOf } from "./form";
import { icons } from "./icons";
import { exactTime, shortTime } from "./times";

export interface AccountActions {
  rename(name: string): Promise<void>;
  changePassword(current: string, password: string): Promise<void>;
  requestVerification(): Promise<void>;
  logins(cursor: string | null): Promise<Listing<Login>>;
  nameLogin(login: string, device: string): Promise<Login>;
  endLogin(login: string): Promise<void>;
  profiles(): Promise<readonly Profile[]>;
  setProfile(kind: Profile["kind"], state: Profile["state"]): Promise<Profile>;
}

/** What is read from the server: there, on its way, or refused. */
type Loaded<T> =
  | { readonly state: "loading" }
  | { readonly state: "failed"; readonly error: string }
  | { readonly state: "here"; readonly value: T };

const ROLES: readonly { readonly kind: Profile["kind"]; readonly title: string; readonly text: string }[] = [
  { kind: "mentor", title: "Mentor", text: "I accompany others." },
  { kind: "mentee", title: "Mentee", text: "I look for somebody who accompanies me." },
];

export class AccountView {
  private logins: Loaded<Listing<Login>> = { state: "loading" };
  private profiles: Loaded<readonly Profile[]> = { state: "loading" };
  private naming: string | null = null;
  private said: string | null = null;
  private error: string | null = null;
  private readonly nameForm: FormState;
  private readonly passwordForm: FormState;
  private readonly deviceForm: FormState;

  constructor(
    private readonly actions: AccountActions,
    private readonly rerender: () => void,
  ) {
    this.nameForm = new FormState(rerender);
    this.passwordForm = new FormState(rerender);
    this.deviceForm = new FormState(rerender);
  }

  /** Read everything again, as when the page is opened. */
  readonly load = async (): Promise<void> => {
    this.said = this.error = this.naming = null;
    await Promise.all([this.loadLogins(), this.loadProfiles()]);
  };

  template(me: Me, now: number): TemplateResult {
    return html`
      <div class="account" role="region" aria-labelledby="account-title">
        <header class="conversation-head">
          <a class="icon-button back" href="#/" aria-label="Back to conversations">${icons.back}</a>
          <h1 id="account-title" tabindex="-1" data-focus>Your account</h1>
        </header>
        <div class="account-body">
          <div role="status">${this.said === null ? nothing : html`<p class="notice">${this.said}</p>`}</div>
          <div role="alert">${this.error === null ? nothing : html`<p class="form-error">${this.error}</p>`}</div>
          ${this.person(me)} ${this.roles(me)} ${this.password(me)} ${this.devices(now)}
        </div>
      </div>
    `;
  }

  // --- person -------------------------------------------------------------------------------------------------------

  private person(me: Me): TemplateResult {
    return html`
      <section aria-labelledby="account-person">
        <h2 id="account-person">You</h2>
        <p class="account-row">
          <bdi>${me.email}</bdi>
          <span class="tag">${me.verified ? "Verified" : "Not verified"}</span>
          ${
            me.verified
              ? nothing
              : html`<button class="link" type="button" @click=${this.resend}>Send the mail again</button>`
          }
        </p>
        <form class="form inline-form" novalidate aria-label="Change your name" @submit=${this.submitName}>
          ${field(this.nameForm, { label: "Name", name: "name", autocomplete: "name", value: me.name })}
          ${formError(this.nameForm)} ${submitButton(this.nameForm, "Save", "Saving…")}
        </form>
      </section>
    `;
  }

  private readonly submitName = (event: SubmitEvent): void => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const name = valueOf(form, "name").trim();
    void this.nameForm.submit(form, ["name"], { name: name === "" ? "Enter your name." : null }, async () => {
      await this.actions.rename(name);
      this.say("Your name is changed.");
    });
  };

  private readonly resend = (): void => {
    void this.attempt(async () => {
      await this.actions.requestVerification();
      this.say("The mail is on its way.");
    });
  };

  // --- roles --------------------------------------------------------------------------------------------------------

  private roles(me: Me): TemplateResult {
    return html`
      <section aria-labelledby="account-roles">
        <h2 id="account-roles">Roles</h2>
        ${
          me.verified
            ? this.loaded(this.profiles, this.loadProfiles, (profiles) => this.roleList(profiles))
            : html`<p class="hint">Verify your address first; then you can be a mentor or a mentee here.</p>`
        }
      </section>
    `;
  }

  private roleList(profiles: readonly Profile[]): TemplateResult {
    return html`
      <ul class="account-list" role="list">
        ${ROLES.map(({ kind, title, text }) => {
          const active = profiles.find((profile) => profile.kind === kind)?.state === "active";
          return html`
            <li>
              <span class="grow-text"><span class="strong">${title}</span><span class="hint">${text}</span></span>
              <button
                class="switch"
                type="button"
                role="switch"
                aria-checked=${active ? "true" : "false"}
                aria-label=${title}
                @click=${() => this.toggle(kind, !active)}
              >
                ${active ? "On" : "Off"}
              </button>
            </li>
          `;
        })}
      </ul>
    `;
  }

  private toggle(kind: Profile["kind"], active: boolean): void {
    void this.attempt(async () => {
      const profile = await this.actions.setProfile(kind, active ? "active" : "paused");
      if (this.profiles.state !== "here") return;
      const others = this.profiles.value.filter((one) => one.kind !== kind);
      this.profiles = { state: "here", value: [...others, profile] };
    });
  }

  // --- password -----------------------------------------------------------------------------------------------------

  private password(me: Me): TemplateResult {
    return html`
      <section aria-labelledby="account-password">
        <h2 id="account-password">Password</h2>
        <form class="form" novalidate aria-label="Change your password" @submit=${this.submitPassword}>
          <input class="visually-hidden" type="text" autocomplete="username" .value=${me.email} readonly tabindex="-1" aria-hidden="true" />
          ${field(this.passwordForm, {
            label: "Current password",
            name: "current",
            type: "password",
            autocomplete: "current-password",
          })}
          ${field(this.passwordForm, {
            label: "New password",
            name: "password",
            type: "password",
            autocomplete: "new-password",
            hint: "At least 10 characters; a few words make a good one. Other devices are signed out.",
          })}
          ${formError(this.passwordForm)}
          <div class="dialog-buttons">${submitButton(this.passwordForm, "Change password", "Changing…")}</div>
        </form>
      </section>
    `;
  }

  private readonly submitPassword = (event: SubmitEvent): void => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const current = valueOf(form, "current");
    const password = valueOf(form, "password");
    const missing = {
      current: current === "" ? "Enter your current password." : null,
      password: password === "" ? "Choose a password." : null,
    };
    void this.passwordForm.submit(form, ["current", "password"], missing, async () => {
      await this.actions.changePassword(current, password);
      form.reset();
      this.say("Your password is changed. Other devices are signed out.");
      await this.loadLogins();
    });
  };

  // --- devices ------------------------------------------------------------------------------------------------------

  private devices(now: number): TemplateResult {
    return html`
      <section aria-labelledby="account-devices">
        <h2 id="account-devices">Where you are signed in</h2>
        ${this.loaded(this.logins, this.loadLogins, (page) => this.deviceList(page, now))}
      </section>
    `;
  }

  private deviceList(page: Listing<Login>, now: number): TemplateResult {
    const others = page.items.some((login) => !login.current);
    return html`
      <ul class="account-list" role="list" aria-label="Devices">
        ${repeat(
          page.items,
          (login) => login.login,
          (login) => html`<li>${this.naming === login.login ? this.renaming(login) : this.device(login, now)}</li>`,
        )}
      </ul>
      <div class="dialog-buttons">
        ${
          page.next === undefined
            ? nothing
            : html`<button class="secondary" type="button" @click=${this.loadMoreLogins}>Show more</button>`
        }
        ${
          others
            ? html`<button class="link danger" type="button" @click=${() => this.end("others")}>
                Sign out everywhere else
              </button>`
            : nothing
        }
      </div>
    `;
  }

  private device(login: Login, now: number): TemplateResult {
    const name = login.device === "" ? "Unnamed device" : login.device;
    return html`
      <span class="grow-text">
        <bdi class="strong">${name}</bdi>
        <span class="hint" title=${exactTime(login.refreshed_at)}>
          ${login.current ? "This device" : `Last used ${shortTime(login.refreshed_at, now)}`}
        </span>
      </span>
      <button class="link" type="button" aria-label="Name ${name}" @click=${() => this.name(login.login)}>Name</button>
      ${
        login.current
          ? nothing
          : html`<button
              class="link danger"
              type="button"
              aria-label="Sign out ${name}"
              @click=${() => this.end(login.login)}
            >
              Sign out
            </button>`
      }
    `;
  }

  private renaming(login: Login): TemplateResult {
    const submit = (event: SubmitEvent): void => {
      event.preventDefault();
      const form = event.currentTarget as HTMLFormElement;
      const device = valueOf(form, "device").trim();
      void this.deviceForm.submit(form, ["device"], {}, async () => {
        const named = await this.actions.nameLogin(login.login, device);
        this.naming = null;
        this.changeLogins((items) => items.map((one) => (one.login === named.login ? named : one)));
      });
    };
    return html`
      <form class="form inline-form grow" novalidate aria-label="Name this device" @submit=${submit}>
        ${field(this.deviceForm, { label: "Name of the device", name: "device", autocomplete: "off", value: login.device })}
        ${formError(this.deviceForm)} ${submitButton(this.deviceForm, "Save", "Saving…")}
      </form>
    `;
  }

  private name(login: string): void {
    this.naming = login;
    this.deviceForm.reset();
    this.rerender();
  }

  private end(login: string): void {
    void this.attempt(async () => {
      await this.actions.endLogin(login);
      this.changeLogins((items) => items.filter((one) => one.current || (login !== "others" && one.login !== login)));
      this.say(login === "others" ? "Every other device is signed out." : "That device is signed out.");
    });
  }

  private readonly loadLogins = async (): Promise<void> => {
    this.logins = await this.fetched(() => this.actions.logins(null));
    this.rerender();
  };

  private readonly loadProfiles = async (): Promise<void> => {
    this.profiles = await this.fetched(() => this.actions.profiles());
    this.rerender();
  };

  private readonly loadMoreLogins = (): void => {
    void this.attempt(async () => {
      if (this.logins.state !== "here") return;
      const { items, next } = this.logins.value;
      const page = await this.actions.logins(next ?? null);
      this.logins = { state: "here", value: { ...page, items: [...items, ...page.items] } };
    });
  };

  private changeLogins(change: (items: readonly Login[]) => readonly Login[]): void {
    if (this.logins.state !== "here") return;
    this.logins = { state: "here", value: { ...this.logins.value, items: change(this.logins.value.items) } };
  }

  // --- states -------------------------------------------------------------------------------------------------------

  private loaded<T>(
    what: Loaded<T>,
    again: () => Promise<void>,
    show: (value: T) => TemplateResult,
  ): TemplateResult {
    switch (what.state) {
      case "loading":
        return html`<p class="hint" role="status">Loading…</p>`;
      case "failed":
        return html`
          <p class="form-error" role="alert">${what.error}</p>
          <button class="secondary" type="button" @click=${() => void again()}>Try again</button>
        `;
      case "here":
        return show(what.value);
    }
  }

  private async fetched<T>(work: () => Promise<T>): Promise<Loaded<T>> {
    try {
      return { state: "here", value: await work() };
    } catch (error) {
      return { state: "failed", error: errorText(error) };
    }
  }

  private say(sentence: string): void {
    this.said = sentence;
    this.error = null;
  }

  private async attempt(work: () => Promise<void>): Promise<void> {
    this.said = this.error = null;
    try {
      await work();
    } catch (error) {
      this.error = errorText(error);
    }
    this.rerender();
  }
}
