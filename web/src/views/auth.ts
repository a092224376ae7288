/** Signing in and signing up. */

import { html, nothing, type TemplateResult } from "lit-html";

import { FormState, emailMissing, field, formError, submitButton, valueOf } from "./form";

export interface AuthActions {
  signIn(account: { email: string; password: string }): Promise<void>;
  signUp(account: { email: string; password: string; name: string }): Promise<void>;
}

export type AuthPage = "sign-in" | "sign-up";

export class AuthView {
  private page: AuthPage | null = null;
  private readonly form: FormState;

  constructor(
    private readonly actions: AuthActions,
    rerender: () => void,
  ) {
    this.form = new FormState(rerender);
  }

  /** `notice`: why the person has to sign in again. */
  template(page: AuthPage, notice: string | null): TemplateResult {
    if (page !== this.page) this.form.reset();
    this.page = page;
    return html`
      <main class="auth">
        <div class="auth-card">
          <img class="auth-logo" src="/logo.svg" alt="" width="56" height="56" />
          <h1>Chiron</h1>
          ${notice === null ? nothing : html`<p class="notice" role="status">${notice}</p>`}
          ${page === "sign-in" ? this.signIn() : this.signUp()}
        </div>
      </main>
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
