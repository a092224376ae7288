/** Where a message is written. */

import { html, nothing, type TemplateResult } from "lit-html";
import { live } from "lit-html/directives/live.js";

import { icons } from "./icons";

export interface ComposerProps {
  readonly draft: string;
  readonly placeholder: string;
  /** In bytes of UTF-8. */
  readonly limit: number;
  readonly write: (draft: string) => void;
  readonly send: (text: string) => void;
}

/** The counter shows when fewer bytes are left. */
const COUNT_FROM = 1_000;

export function composer(props: ComposerProps): TemplateResult {
  const text = sendable(props.draft);
  const left = bytesLeft(text, props.limit);
  const send = (form: HTMLFormElement): void => {
    const field = form.querySelector("textarea");
    // What was typed since the last frame counts, too.
    const typed = sendable(field?.value ?? "");
    if (typed === "" || bytesLeft(typed, props.limit) < 0) return;
    props.send(typed);
    field?.focus();
  };
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    send(event.currentTarget as HTMLFormElement);
  };
  const key = (event: KeyboardEvent): void => {
    // Enter while an input method is open chooses a word; on a touch keyboard it is the only way to a new line.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || matchMedia("(pointer: coarse)").matches) return;
    event.preventDefault();
    const { form } = event.currentTarget as HTMLTextAreaElement;
    if (form) send(form);
  };
  return html`
    <form class="composer" @submit=${submit}>
      <div class="grow-box" data-text="${props.draft}​">
        <textarea
          name="message"
          rows="1"
          dir="auto"
          aria-label="Message"
          aria-describedby="composer-note"
          aria-invalid=${left < 0 ? "true" : "false"}
          placeholder=${props.placeholder}
          autocomplete="off"
          enterkeyhint="send"
          .value=${live(props.draft)}
          @input=${(event: InputEvent) => props.write((event.currentTarget as HTMLTextAreaElement).value)}
          @keydown=${key}
        ></textarea>
      </div>
      <button class="send" type="submit" ?disabled=${text === "" || left < 0}>
        ${icons.send}<span class="visually-hidden">Send</span>
      </button>
      <p class="composer-note" id="composer-note" role="status">${left < COUNT_FROM ? note(left) : nothing}</p>
    </form>
  `;
}

/** What is sent of a draft: without outer white space, NUL and lone surrogates, which no server takes. */
function sendable(draft: string): string {
  return draft.replaceAll("\0", "").toWellFormed().trim();
}

function bytesLeft(text: string, limit: number): number {
  // No character takes more than three bytes for each of its code units.
  return text.length * 3 <= limit - COUNT_FROM ? limit : limit - new TextEncoder().encode(text).length;
}

function note(left: number): string {
  const bytes = new Intl.NumberFormat().format(Math.abs(left));
  return left < 0 ? `Too long by ${bytes} bytes` : `${bytes} bytes left`;
}
