import { html, type TemplateResult } from "lit-html";

const TONES = 6;

/** A disc with the initials of a name; its tone follows from the id. */
export function avatar(id: string, name: string): TemplateResult {
  return html`<span class="avatar tone-${tone(id)}" aria-hidden="true">${initials(name)}</span>`;
}

function initials(name: string): string {
  const words = name.trim().split(/\s+/);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : [words[0]];
  return letters.map((word) => firstLetter(word ?? "")).join("");
}

/** The first character as a person sees it, which may be several code points. */
function firstLetter(word: string): string {
  const [first] = new Intl.Segmenter(undefined, { granularity: "grapheme" }).segment(word);
  return (first?.segment ?? "").toLocaleUpperCase();
}

function tone(id: string): number {
  let sum = 0;
  for (const character of id) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) % 65_521;
  return sum % TONES;
}
