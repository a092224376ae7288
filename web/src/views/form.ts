/** Fields with a label, a hint and an error, and the state of a form that sends something. */

import { html, nothing, type TemplateResult } from "lit-html";
import { ifDefined } from "lit-html/directives/if-defined.js";

import { LinkLost, Refusal, errorText } from "../errors";

export interface FieldOptions {
  readonly label: string;
  readonly name: string;
  readonly type?: "text" | "email" | "password";
  readonly autocomplete?: "email" | "username" | "name" | "current-password" | "new-password" | "off";
  readonly placeholder?: string;
  readonly hint?: string;
  /** Where the person begins. */
  readonly focused?: boolean;
  readonly multiline?: boolean;
  /** What stands there at first. */
  readonly value?: string;
}

/** Errors of a form by field, and the one that belongs to no field. */
export class FormState {
  busy = false;
  general: string | null = null;
  private readonly errors = new Map<string, string>();

  constructor(private readonly rerender: () => void) {}

  error(field: string): string | null {
    return this.errors.get(field) ?? null;
  }

  reset(): void {
    this.busy = false;
    this.general = null;
    this.errors.clear();
  }

  /**
   * Run `work` unless something is missing. `missing` gives the sentence for each field that cannot be sent as it is;
   * a refusal that names one of `fields` is shown there, any other above the button.
   */
  async submit(
    form: HTMLFormElement,
    fields: readonly string[],
    missing: Readonly<Record<string, string | null>>,
    work: () => Promise<void>,
  ): Promise<void> {
    if (this.busy) return;
    this.reset();
    for (const [field, sentence] of Object.entries(missing)) if (sentence !== null) this.errors.set(field, sentence);
    if (this.errors.size === 0) {
      this.busy = true;
      this.rerender();
      try {
        await work();
      } catch (error) {
        const field = error instanceof Refusal ? error.field : null;
        if (field !== null && fields.includes(field)) this.errors.set(field, errorText(error));
        else this.general = errorText(error);
        if (!(error instanceof Refusal || error instanceof LinkLost)) console.error(error);
      } finally {
        this.busy = false;
      }
    }
    this.rerender();
    form.querySelector<HTMLElement>("[aria-invalid=true]")?.focus();
  }
}

export function field(form: FormState, options: FieldOptions): TemplateResult {
  const { label, name, type = "text", hint } = options;
  const id = `field-${name}`;
  const error = form.error(name);
  const described = [hint ? `${id}-hint` : "", error === null ? "" : `${id}-error`].filter(Boolean).join(" ");
  const control = options.multiline
    ? html`<textarea
        id=${id}
        name=${name}
        rows="3"
        dir="auto"
        placeholder=${ifDefined(options.placeholder)}
        autocomplete="off"
        spellcheck="false"
        ?data-focus=${options.focused}
        aria-invalid=${error === null ? "false" : "true"}
        aria-describedby=${described || nothing}
      ></textarea>`
    : html`<input
        id=${id}
        name=${name}
        type=${type}
        dir="auto"
        placeholder=${ifDefined(options.placeholder)}
        autocomplete=${ifDefined(options.autocomplete)}
        autocapitalize=${type === "text" ? "words" : "none"}
        value=${ifDefined(options.value)}
        ?data-focus=${options.focused}
        aria-invalid=${error === null ? "false" : "true"}
        aria-describedby=${described || nothing}
      />`;
  return html`
    <div class="field">
      <label for=${id}>${label}</label>
      ${control} ${hint ? html`<p class="hint" id="${id}-hint">${hint}</p>` : nothing}
      ${error === null ? nothing : html`<p class="field-error" id="${id}-error">${error}</p>`}
    </div>
  `;
}

export function formError(form: FormState): TemplateResult {
  return html`<div role="alert">
    ${form.general === null ? nothing : html`<p class="form-error">${form.general}</p>`}
  </div>`;
}

export function submitButton(form: FormState, label: string, busyLabel: string): TemplateResult {
  return html`<button class="primary" type="submit" aria-disabled=${form.busy ? "true" : "false"}>
    ${form.busy ? busyLabel : label}
  </button>`;
}

/** The text of a field of a submitted form. */
export function valueOf(form: HTMLFormElement, name: string): string {
  const value = new FormData(form).get(name);
  return typeof value === "string" ? value : "";
}

export function emailMissing(email: string): string | null {
  if (email.trim() === "") return "Enter an e-mail address.";
  return /^\S+@\S+$/.test(email.trim()) ? null : "This is not an e-mail address.";
}
