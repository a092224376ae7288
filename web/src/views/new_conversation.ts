/** Starting a conversation with one person or a group. */

import { html, type TemplateResult } from "lit-html";

import { closeDialog, dialog } from "./dialog";
import { FormState, emailMissing, field, formError, submitButton, valueOf } from "./form";

export interface NewConversationActions {
  createDirect(email: string): Promise<void>;
  createGroup(title: string, emails: readonly string[]): Promise<void>;
  closed(): void;
}

type Kind = "direct" | "group";

export class NewConversationDialog {
  private kind: Kind = "direct";
  private readonly form: FormState;

  constructor(
    private readonly actions: NewConversationActions,
    private readonly rerender: () => void,
  ) {
    this.form = new FormState(rerender);
  }

  template(): TemplateResult {
    return dialog({
      title: "New conversation",
      closed: () => this.actions.closed(),
      content: html`
        <fieldset class="segments">
          <legend class="visually-hidden">Kind of conversation</legend>
          ${this.choice("direct", "One person")} ${this.choice("group", "A group")}
        </fieldset>
        ${this.kind === "direct" ? this.direct() : this.group()}
      `,
    });
  }

  private choice(kind: Kind, label: string): TemplateResult {
    return html`
      <label class="segment">
        <input type="radio" name="kind" .checked=${this.kind === kind} @change=${() => this.choose(kind)} />
        <span>${label}</span>
      </label>
    `;
  }

  private choose(kind: Kind): void {
    this.kind = kind;
    this.form.reset();
    this.rerender();
  }

  private direct(): TemplateResult {
    return html`
      <form class="form" novalidate aria-label="One person" @submit=${this.submitDirect}>
        ${field(this.form, {
          label: "E-mail",
          name: "email",
          type: "email",
          autocomplete: "off",
          placeholder: "mentor@example.org",
          focused: true,
        })}
        ${formError(this.form)} ${this.buttons("Start conversation", "Starting…")}
      </form>
    `;
  }

  private group(): TemplateResult {
    return html`
      <form class="form" novalidate aria-label="A group" @submit=${this.submitGroup}>
        ${field(this.form, { label: "Title", name: "title", autocomplete: "off", focused: true })}
        ${field(this.form, {
          label: "E-mails",
          name: "emails",
          multiline: true,
          hint: "One a line, or separated by commas.",
        })}
        ${formError(this.form)} ${this.buttons("Create group", "Creating…")}
      </form>
    `;
  }

  private buttons(label: string, busyLabel: string): TemplateResult {
    return html`
      <div class="dialog-buttons">
        <button class="secondary" type="button" @click=${closeDialog}>Cancel</button>
        ${submitButton(this.form, label, busyLabel)}
      </div>
    `;
  }

  private readonly submitDirect = (event: SubmitEvent): void => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const email = valueOf(form, "email").trim();
    void this.form.submit(form, ["email"], { email: emailMissing(email) }, async () => {
      await this.actions.createDirect(email);
      form.closest("dialog")?.close();
    });
  };

  private readonly submitGroup = (event: SubmitEvent): void => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const title = valueOf(form, "title").trim();
    const emails = valueOf(form, "emails")
      .split(/[\s,;]+/)
      .filter(Boolean);
    const odd = emails.find((email) => emailMissing(email) !== null);
    const missing = {
      title: title === "" ? "Give the group a title." : null,
      emails:
        emails.length === 0
          ? "Enter at least one e-mail address."
          : odd === undefined
            ? null
            : `“${odd}” is not an e-mail address.`,
    };
    void this.form.submit(form, ["title"], missing, async () => {
      await this.actions.createGroup(title, emails);
      form.closest("dialog")?.close();
    });
  };
}
