/** Who is in a group; adding, removing, leaving. */

import { html, nothing, type TemplateResult } from "lit-html";
import { repeat } from "lit-html/directives/repeat.js";

import { errorText } from "../errors";
import type { Member } from "../protocol";
import type { State, Thread } from "../store";
import { avatar } from "./avatar";
import { dialog } from "./dialog";
import { FormState, emailMissing, field, formError, submitButton, valueOf } from "./form";

export interface MembersActions {
  add(email: string): Promise<void>;
  remove(person: string): Promise<void>;
  leave(): Promise<void>;
  closed(): void;
}

export class MembersDialog {
  private readonly form: FormState;
  private leaving = false;
  private error: string | null = null;

  constructor(
    private readonly actions: MembersActions,
    private readonly rerender: () => void,
  ) {
    this.form = new FormState(rerender);
  }

  template(state: State, thread: Thread): TemplateResult {
    const owner = thread.info.role === "owner";
    return dialog({
      title: "Members",
      closed: () => this.actions.closed(),
      content: html`
        ${
          thread.members === null
            ? html`<p class="hint" role="status">Loading…</p>`
            : html`
                <ul class="members" role="list" aria-label="Members">
                  ${repeat(
                    thread.members,
                    (member) => member.person,
                    (member) => html`<li>${this.member(member, state, owner)}</li>`,
                  )}
                </ul>
              `
        }
        <div role="alert">${this.error === null ? nothing : html`<p class="form-error">${this.error}</p>`}</div>
        ${owner ? this.adding() : nothing} ${this.leaveControls()}
      `,
    });
  }

  private member(member: Member, state: State, owner: boolean): TemplateResult {
    const me = member.person === state.me.person;
    return html`
      ${avatar(member.person, member.name)}
      <span class="member-name" dir="auto">${member.name}${me ? " (you)" : ""}</span>
      ${member.role === "owner" ? html`<span class="tag">Owner</span>` : nothing}
      ${
        owner && !me
          ? html`<button
              class="link danger"
              type="button"
              aria-label="Remove ${member.name}"
              @click=${() => void this.attempt(() => this.actions.remove(member.person))}
            >
              Remove
            </button>`
          : nothing
      }
    `;
  }

  private adding(): TemplateResult {
    return html`
      <form class="form inline-form" novalidate aria-label="Add a member" @submit=${this.submitAdd}>
        ${field(this.form, { label: "Add by e-mail", name: "email", type: "email", autocomplete: "off" })}
        ${formError(this.form)} ${submitButton(this.form, "Add", "Adding…")}
      </form>
    `;
  }

  private leaveControls(): TemplateResult {
    if (!this.leaving) {
      return html`
        <div class="dialog-buttons">
          <button class="link danger" type="button" @click=${() => this.askToLeave(true)}>Leave group</button>
        </div>
      `;
    }
    return html`
      <div class="dialog-buttons" role="group" aria-label="Leave this group?">
        <p class="grow">Leave this group? Only a member can bring you back.</p>
        <button class="secondary" type="button" @click=${() => this.askToLeave(false)}>Stay</button>
        <button class="primary danger" type="button" @click=${this.confirmLeave}>Leave</button>
      </div>
    `;
  }

  private askToLeave(leaving: boolean): void {
    this.leaving = leaving;
    this.rerender();
  }

  private readonly confirmLeave = (event: Event): void => {
    const element = (event.currentTarget as HTMLElement).closest("dialog");
    void this.attempt(async () => {
      await this.actions.leave();
      element?.close();
    });
  };

  private readonly submitAdd = (event: SubmitEvent): void => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const email = valueOf(form, "email").trim();
    void this.form.submit(form, ["email"], { email: emailMissing(email) }, async () => {
      await this.actions.add(email);
      form.reset();
    });
  };

  private async attempt(work: () => Promise<void>): Promise<void> {
    this.error = null;
    try {
      await work();
    } catch (error) {
      this.error = errorText(error);
    }
    this.rerender();
  }
}
