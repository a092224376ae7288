/** How the connection is, said in a few words. */

import { html, nothing, type TemplateResult } from "lit-html";

import type { LinkStatus, Transport } from "../link";

/** What carries the link: a name, and what it means. */
const TRANSPORTS: Readonly<Record<Transport, readonly [string, string]>> = {
  webtransport: ["WebTransport", "Connected over WebTransport (HTTP/3)"],
  websocket: ["WebSocket", "Connected over WebSocket (TCP)"],
};

export function connection(status: LinkStatus, now: number, networkUp: boolean, retry: () => void): TemplateResult {
  const { tone, text, detail } = describe(status, now, networkUp);
  const canRetry = status.phase === "failed" || (status.phase === "waiting" && status.until - now > 1_500);
  return html`
    <div class="connection" data-testid="connection" data-phase=${status.phase}>
      <span class="dot ${tone}" aria-hidden="true"></span>
      <span role="status">${text}</span>${detail === "" ? nothing : html`<span aria-hidden="true">${detail}</span>`}
      ${status.phase === "online" ? carrier(status.transport) : nothing} ${canRetry ? html`<button class="link" type="button" @click=${retry}>Try now</button>` : nothing}
    </div>
  `;
}

function carrier(transport: Transport): TemplateResult {
  const [name, meaning] = TRANSPORTS[transport];
  return html`<span class="transport" title=${meaning} data-testid="transport" data-transport=${transport}>${name}</span>`;
}

function describe(status: LinkStatus, now: number, networkUp: boolean): { tone: string; text: string; detail: string } {
  switch (status.phase) {
    case "online":
      return { tone: "good", text: "Online", detail: "" };
    case "connecting":
      return { tone: "busy", text: "Connecting…", detail: "" };
    case "waiting": {
      const seconds = Math.ceil((status.until - now) / 1000);
      if (!networkUp) return { tone: "bad", text: "Offline", detail: "" };
      // The countdown is not for screen readers, which would have to say every second.
      if (seconds > 1) return { tone: "busy", text: "Reconnecting", detail: ` in ${seconds} s` };
      return { tone: "busy", text: "Reconnecting…", detail: "" };
    }
    case "failed":
      return { tone: "bad", text: `Disconnected (${status.reason})`, detail: "" };
    case "stopped":
      return { tone: "bad", text: "Offline", detail: "" };
  }
}
