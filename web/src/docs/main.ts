import { render } from "lit-html";

import type { OpenApi } from "./document";
import { page } from "./views";

const root = document.querySelector<HTMLElement>("#docs");
if (!root) throw new Error("the page has no #docs");

async function show(into: HTMLElement): Promise<void> {
  let api: OpenApi;
  try {
    const answer = await fetch("/openapi.json", { credentials: "omit" });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    api = (await answer.json()) as OpenApi;
  } catch (error) {
    const note = document.createElement("p");
    note.className = "note";
    note.role = "alert";
    note.textContent = `openapi.json cannot be read (${error instanceof Error ? error.message : String(error)}). Load the page again.`;
    into.replaceChildren(note);
    return;
  }
  const search = (text: string): void => {
    render(page(api, text, search), into);
  };
  search("");
  // Until now there was nothing that the address could point at.
  if (location.hash) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

void show(root);
