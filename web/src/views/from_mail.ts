/**
 * What the links in mails open: verifying an address, and choosing a new password. Opening one changes nothing: mail
 * scanners open every link, so the token is sent only when the person says so.
 */

import { html, nothing, type TemplateResult } from "lit-html";

import { FormState, field, formError, submitButton, valueOf } from "./form";

export interface FromMailActions {
  verify(token: string): Promise<void>;
  resetPassword(token: string, password: string): Promise<void>;
}

export class FromMailView {
  private token: string | null = null;
  private done = false;
  private readonly form: FormState;

  constructor(
    private readonly actions: FromMailActions,
    rerender: () => void,
  ) {
    this.form = new FormState(rerender);
  }

  /** `signedIn`: whether this browser knows who the person is, so that they can go on without signing in. */
  template(page: "verify" | "reset", token: string, signedIn: boolean): TemplateResult {
    if (token !== this.token) {
      this.form.reset();
      this.done = false;
    }
    this.token = token;
    return html`
      <main class="auth">
        <div class="auth-card">
          <img class="auth-logo" src="/logo.svg" alt="" width="56" height="56" />
          <h1>${page === "verify" ? "Verify your address" : "Choose a new password"}</h1>
          ${page === "verify" ? this.verify(token, signedIn) : this.reset(token)}
        </div>
      </main>
    `;
  }

  private verify(token: string, signedIn: boolean): TemplateResult {
    if (this.done) {
      return html`
        <p role="status" tabindex="-1" data-focus>Your e-mail address is verified. Welcome to Chiron.</p>
        <p class="auth-switch"><a href=${signedIn ? "#/" : "#/sign-in"}>${signedIn ? "Go on" : "Sign in"}</a></p>
      `;
    }
    const submit = (event: SubmitEvent): void => {
      event.preventDefault();
      void this.send(event, {}, () => this.actions.verify(token));
    };
    return html`
      <form class="form" novalidate aria-label="Verify your address" @submit=${submit}>
        <p>Is this you, and do you want to use this address with Chiron?</p>
        ${formError(this.form)}
        <button
          class="primary"
          type="submit"
          data-focus
          aria-disabled=${this.form.busy ? "true" : "false"}
        >
          ${this.form.busy ? "Verifying…" : "Verify this address"}
        </button>
      </form>
      ${this.wayBack(signedIn)}
    `;
  }

  private reset(token: string): TemplateResult {
    if (this.done) {
      return html`
        <p role="status" tabindex="-1" data-focus>
          Your password is changed, and every device was signed out. Sign in with the new one.
        </p>
        <p class="auth-switch"><a href="#/sign-in">Sign in</a></p>
      `;
    }
    const submit = (event: SubmitEvent): void => {
      event.preventDefault();
      const password = valueOf(event.currentTarget as HTMLFormElement, "password");
      const missing = { password: password === "" ? "Choose a password." : null };
      void this.send(event, missing, () => this.actions.resetPassword(token, password));
    };
    return html`
      <form class="form" novalidate aria-label="Choose a new password" @submit=${submit}>
        ${field(this.form, {
          label: "New password",
          name: "password",
          type: "password",
          autocomplete: "new-password",
          hint: "At least 10 characters; a few words make a good one.",
          focused: true,
        })}
        ${formError(this.form)} ${submitButton(this.form, "Change password", "Changing…")}
      </form>
      <p class="auth-switch"><a href="#/forgot">Ask for another link</a></p>
    `;
  }

  private wayBack(signedIn: boolean): TemplateResult | typeof nothing {
    return signedIn ? html`<p class="auth-switch"><a href="#/">Not now</a></p>` : nothing;
  }

  private async send(
    event: SubmitEvent,
    missing: Readonly<Record<string, string | null>>,
    work: () => Promise<void>,
  ): Promise<void> {
    const form = event.currentTarget as HTMLFormElement;
    await this.form.submit(form, ["password"], missing, async () => {
      await work();
      this.done = true;
    });
  }
}
