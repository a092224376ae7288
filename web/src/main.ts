import { Api } from "./api";
import { App } from "./app";
import { nextTask, systemClock } from "./clock";
import { browserSocket } from "./link";
import { OutboxDatabase } from "./outbox_database";
import { SUBPROTOCOL } from "./protocol";
import { Session } from "./session";
import { Transports } from "./transport";
import { ulids } from "./ulid";
import { WebTransportSocket, browserSession } from "./webtransport_socket";

const root = document.querySelector<HTMLElement>("#app");
if (!root) throw new Error("the page has no #app");

if (isSecureContext) {
  const address = new URL("/v1/realtime", location.href);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  const api = new Api();
  const transports = new Transports({
    address: () => api.webTransport(),
    webTransport:
      "WebTransport" in window
        ? (place, listener) => new WebTransportSocket(browserSession(place), listener, nextTask)
        : null,
    webSocket: browserSocket(address.href, SUBPROTOCOL),
    clock: systemClock,
  });
  window.addEventListener("online", () => transports.forget());
  new App(root, new Session(api, localStorage, navigator.locks, systemClock), api, {
    open: transports.open,
    clock: systemClock,
    random: Math.random,
    storage: OutboxDatabase.claim(indexedDB, navigator.locks, crypto.randomUUID()),
    newId: ulids(),
  }).start();
} else {
  // Without one the browser has no locks, which keep several tabs from spending the same refresh token.
  const note = document.createElement("p");
  note.className = "no-script";
  note.textContent = "Chiron needs a secure address: one that begins with https://, or one of this machine.";
  root.append(note);
}
