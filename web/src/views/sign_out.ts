/** Asked only when something would be lost. */

import { html, type TemplateResult } from "lit-html";

import { closeDialog, dialog } from "./dialog";

export function signOutDialog(unsent: number, signOut: () => void, closed: () => void): TemplateResult {
  const messages = unsent === 1 ? "One message has" : `${unsent} messages have`;
  const confirm = (event: Event): void => {
    closeDialog(event);
    signOut();
  };
  return dialog({
    title: "Sign out?",
    closed,
    content: html`
      <p>${messages} not been sent yet and would be discarded.</p>
      <div class="dialog-buttons">
        <button class="secondary" type="button" @click=${closeDialog}>Stay</button>
        <button class="primary danger" type="button" @click=${confirm}>Discard and sign out</button>
      </div>
    `,
  });
}
