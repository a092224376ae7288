/** One row of the timeline. What people wrote goes into text nodes and nowhere else. */

import { html, nothing, type TemplateResult } from "lit-html";

import { Refusal, errorText } from "../errors";
import type { State } from "../store";
import { nameOf, type DeliveryState, type MessageRow, type Row } from "../timeline";
import { avatar } from "./avatar";
import { icons } from "./icons";
import { dayName, exactTime, timeOfDay } from "./times";

export interface RowActions {
  retry(clientId: string): void;
  discard(clientId: string): void;
  /** Put what was not sent back into the box. */
  edit(clientId: string, text: string): void;
  expand(key: string): void;
}

export interface RowContext {
  readonly state: State;
  readonly group: boolean;
  readonly now: number;
  readonly expanded: ReadonlySet<string>;
  readonly actions: RowActions;
}

/** Longer texts are folded. */
const FOLD_CHARACTERS = 1_800;
const FOLD_LINES = 28;

const STATES: Readonly<Record<Exclude<DeliveryState, "incoming">, string>> = {
  sending: "Sending",
  sent: "Sent",
  received: "Received",
  read: "Read",
  failed: "Not sent",
};

const REVIEWS: Readonly<Record<NonNullable<MessageRow["review"]>, string>> = {
  held: "Waiting for review. Only you can see it until then.",
  refused: "Withheld. Only you can see it.",
};

export function rowTemplate(row: Row, context: RowContext): TemplateResult {
  switch (row.row) {
    case "day":
      return html`<div class="day"><span>${dayName(row.time, context.now)}</span></div>`;
    case "unread":
      return html`<div class="unread-line" role="separator"><span>New</span></div>`;
    case "notice":
      return html`<p class="event" dir="auto" data-offset=${row.offset}>${row.text}</p>`;
    case "message":
      return message(row, context);
  }
}

function message(row: MessageRow, context: RowContext): TemplateResult {
  const name = nameOf(context.state, row.author);
  const folded = isLong(row.text) && !context.expanded.has(row.key);
  const classes = ["message", row.own ? "own" : "other", row.first ? "first" : "", row.last ? "last" : ""];
  return html`
    <article
      class=${classes.filter(Boolean).join(" ")}
      data-offset=${row.offset ?? nothing}
      data-state=${row.state}
      data-client-id=${row.clientId ?? nothing}
    >
      ${context.group && !row.own && row.last ? avatar(row.author, name) : nothing}
      <div class="bubble">
        ${
          context.group && !row.own && row.first
            ? html`<p class="author" dir="auto">${name}</p>`
            : html`<p class="visually-hidden">${name}</p>`
        }
        <p class="body" dir="auto">
          <span class=${folded ? "text folded" : "text"}>${row.text}</span>
          ${
            folded
              ? html`<button class="link" type="button" @click=${() => context.actions.expand(row.key)}>
                  Show all
                </button>`
              : nothing
          }
          <span class="meta">
            <time datetime=${new Date(row.time).toISOString()} title=${exactTime(row.time)}
              >${timeOfDay(row.time)}</time
            >
            ${row.state === "incoming" ? nothing : stateMark(row, row.state)}
          </span>
        </p>
      </div>
      ${row.review ? html`<p class="review">${REVIEWS[row.review]}</p>` : nothing}
      ${row.failed ? failure(row, row.failed, context.actions) : nothing}
    </article>
  `;
}

function stateMark(row: MessageRow, state: Exclude<DeliveryState, "incoming">): TemplateResult {
  const partly = state !== "read" && row.readers > 0;
  const label = partly ? `Read by ${row.readers} of ${row.others}` : STATES[state];
  const icon = { ...icons, read: icons.received }[state];
  return html`<span class="state ${state}" role="img" aria-label=${label} title=${label}>${icon}</span>`;
}

function failure(row: MessageRow, failed: NonNullable<MessageRow["failed"]>, actions: RowActions): TemplateResult {
  const clientId = row.clientId ?? "";
  return html`
    <div class="failure">
      <p>Not sent. ${errorText(new Refusal(failed.code, failed.params))}</p>
      ${
        failed.code === "blocked"
          ? html`<button class="link" type="button" @click=${() => actions.edit(clientId, row.text)}>Edit</button>`
          : html`<button class="link" type="button" @click=${() => actions.retry(clientId)}>Retry</button>`
      }
      <button class="link danger" type="button" @click=${() => actions.discard(clientId)}>Discard</button>
    </div>
  `;
}

function isLong(text: string): boolean {
  return text.length > FOLD_CHARACTERS || text.split("\n", FOLD_LINES + 1).length > FOLD_LINES;
}
