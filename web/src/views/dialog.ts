/** A modal dialog of the page: the browser keeps focus inside, closes it on Escape and returns focus afterwards. */

import { html, type TemplateResult } from "lit-html";
import { ref } from "lit-html/directives/ref.js";

import { icons } from "./icons";

export interface DialogProps {
  readonly title: string;
  readonly content: TemplateResult;
  readonly closed: () => void;
}

export function dialog({ title, content, closed }: DialogProps): TemplateResult {
  return html`
    <dialog class="dialog" aria-labelledby="dialog-title" ${ref(open)} @close=${closed} @click=${closeOnBackdrop}>
      <div class="dialog-content">
        <header class="dialog-head">
          <h2 id="dialog-title">${title}</h2>
          <button class="icon-button" type="button" aria-label="Close" @click=${closeDialog}>${icons.close}</button>
        </header>
        ${content}
      </div>
    </dialog>
  `;
}

/** Close the dialog around the element of an event. */
export function closeDialog(event: Event): void {
  (event.currentTarget as HTMLElement).closest("dialog")?.close();
}

/** Called while the element is made; only inside the page it can be shown. */
function open(element: Element | undefined): void {
  if (!(element instanceof HTMLDialogElement)) return;
  queueMicrotask(() => {
    if (!element.isConnected || element.open) return;
    element.showModal();
    element.querySelector<HTMLElement>("[data-focus]")?.focus();
  });
}

function closeOnBackdrop(event: MouseEvent): void {
  // The dialog itself is hit only beside its content.
  if (event.target === event.currentTarget) (event.currentTarget as HTMLDialogElement).close();
}
