/** Signing in, signing up, and asking for a new password. */

import { html, nothing, type TemplateResult } from "lit-html";

import { FormState, emailMissing, field, formError, submitButton, valueOf } from "./form";

export interface AuthActions {
  signIn(account: { email: string; password: string }): Promise<void>;
  signUp(account: { email: string; password: string; name: string }): Promise<void>;
  requestReset(email: string): Promise<void>;
}

export type AuthPage = "sign-in" | "sign-up" | "forgot";

export class AuthView {
  private page: AuthPage | null = null;
  /** The address to which a mail was sent, if there is such an account. */
  private asked: string | null = null;
  private readonly form: FormState;

  constructor(
    private readonly actions: AuthActions,
    rerender: () => void,
  ) {
    this.form = new FormState(rerender);
  }

  /** `notice`: why the person has to sign in again. */
  template(page: AuthPage, notice: string | null): TemplateResult {
    if (page !== this.page) {
      this.form.reset();
      this.asked = null;
    }
    this.page = page;
    return html`
      <main class="auth">
        <div class="auth-card">
          <img class="auth-logo" src="/logo.svg" alt="" width="56" height="56" />
          <h1>Chiron</h1>
          ${notice === null ? nothing : html`<p class="notice" role="status">${notice}</p>`}
          ${this.content(page)}
        </div>
      </main>
    `;
  }

  private content(page: AuthPage): TemplateResult {
    switch (page) {
      case "sign-in":
        return this.signIn();
      case "sign-up":
        return this.signUp();
      case "forgot":
        return this.asked === null ? this.forgot() : this.sent(this.asked);
    }
  }

  private forgot(): TemplateResult {
    return html`
      <p class="auth-lead">We send you a link with which you choose a new password.</p>
      <form class="form" novalidate aria-label="Reset password" @submit=${this.submitForgot}>
        ${field(this.form, { label: "E-mail", name: "email", type: "email", autocomplete: "username", focused: true })}
        ${formError(this.form)} ${submitButton(this.form, "Send the link", "Sending…")}
      </form>
      <p class="auth-switch"><a href="#/sign-in">Back to sign in</a></p>
    `;
  }

  private sent(email: string): TemplateResult {
    return html`
      <p role="status" tabindex="-1" data-focus>
        If <bdi class="strong">${email}</bdi> has an account here, a mail with a link is on its way. It works for an hour.
      </p>
      <p class="auth-switch"><a href="#/sign-in">Back to sign in</a></p>
    `;
  }

  private signIn(): TemplateResult {
    return html`
      <p class="auth-lead">Good to see you again.</p>
      <form class="form" novalidate aria-label="Sign in" @submit=${this.submitSignIn}>
        ${field(this.form, { label: "E-mail", name: "email", type: "email", autocomplete: "username", focused: true })}
        ${field(this.form, { label: "Password", name: "password", type: "password", autocomplete: "current-password" })}
        ${formError(this.form)} ${submitButton(this.form, "Sign in", "Signing in…")}
      </form>
      <p class="auth-switch"><a href="#/forgot">Forgot your password?</a></p>
      <p class="auth-switch">New here? <a href="#/sign-up">Create an account</a></p>
    `;
  }

  private signUp(): TemplateResult {
    return html`
      <p class="auth-lead">Every hero had a teacher.</p>
      <form class="form" novalidate aria-label="Create account" @submit=${this.submitSignUp}>
        ${field(this.form, {
          label: "Name",
          name: "name",
          autocomplete: "name",
          hint: "This is what others see.",
          focused: true,
        })}
        ${field(this.form, { label: "E-mail", name: "email", type: "email", autocomplete: "username" })}
        ${field(this.form, {
          label: "Password",
          name: "password",
          type: "password",
          autocomplete: "new-password",
          hint: "At least 10 characters; a few words make a good one.",
        })}
        ${formError(this.form)} ${submitButton(this.form, "Create account", "Creating account…")}
      </form>
      <p class="auth-switch">Already have an account? <a href="#/sign-in">Sign in</a></p>
    `;
  }

  private readonly submitSignIn = (event: SubmitEvent): void => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const account = { email: valueOf(form, "email").trim(), password: valueOf(form, "password") };
    const missing = {
      email: emailMissing(account.email),
      password: account.password === "" ? "Enter your password." : null,
    };
    void this.form.submit(form, ["email", "password"], missing, () => this.actions.signIn(account));
  };

  private readonly submitForgot = (event: SubmitEvent): void => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const email = valueOf(form, "email").trim();
    void this.form.submit(form, ["email"], { email: emailMissing(email) }, async () => {
      await this.actions.requestReset(email);
      this.asked = email;
    });
  };

  private readonly submitSignUp = (event: SubmitEvent): void => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const account = {
      name: valueOf(form, "name").trim(),
      email: valueOf(form, "email").trim(),
      password: valueOf(form, "password"),
    };
    const missing = {
      name: account.name === "" ? "Enter your name." : null,
      email: emailMissing(account.email),
      password: account.password === "" ? "Choose a password." : null,
    };
    void this.form.submit(form, ["name", "email", "password"], missing, () => this.actions.signUp(account));
  };
}
