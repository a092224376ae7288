import { html, nothing, type TemplateResult } from "lit-html";

import {
  bounds,
  codesOf,
  matching,
  nameOf,
  PROBLEM,
  resolved,
  sections,
  type Answer,
  type Entry,
  type OpenApi,
  type Parameter,
  type Schema,
  type Section,
} from "./document";

type Piece = TemplateResult | string | typeof nothing;

/** The whole page; `search` is what was typed, `typed` is told of each change. */
export function page(api: OpenApi, search: string, typed: (text: string) => void): TemplateResult {
  const shown = matching(sections(api), search);
  return html`
    <a class="skip" href="#operations">To the operations</a>
    <header class="head">
      <img src="/logo.svg" alt="" width="40" height="40" />
      <h1>${api.info.title} <span class="version">${api.info.version}</span></h1>
      <p><a href="/openapi.json">openapi.json</a></p>
    </header>
    <nav class="contents" aria-label="Contents">${contents(shown, search, typed)}</nav>
    <main id="operations" tabindex="-1">
      <div class="preface">${paragraphs(api.info.description)}</div>
      ${shown.map((section) => sectionView(api, section))}
      ${shown.length === 0 ? html`<p role="status">Nothing is called that.</p>` : nothing}
      <section aria-labelledby="types">
        <h2 id="types">Types</h2>
        ${Object.entries(api.components.schemas).map(([name, schema]) => typeView(name, schema))}
      </section>
    </main>
  `;
}

function contents(shown: Section[], search: string, typed: (text: string) => void): TemplateResult {
  return html`
    <label class="search">
      <span>Search</span>
      <input
        type="search"
        autocomplete="off"
        spellcheck="false"
        .value=${search}
        @input=${(event: Event) => typed((event.target as HTMLInputElement).value)}
      />
    </label>
    ${shown.map(
      ({ tag, entries }) => html`
        <p class="tag"><a href="#tag-${tag}">${tag}</a></p>
        <ul>
          ${entries.map(
            ({ method, path, operation }) => html`
              <li>
                <a href="#${operation.operationId}">${methodView(method)} <span>${short(path)}</span></a>
              </li>
            `,
          )}
        </ul>
      `,
    )}
    <p class="tag"><a href="#types">Types</a></p>
  `;
}

/** Without the version, which says nothing in a list. */
function short(path: string): TemplateResult[] {
  return breakable(path.replace(/^\/v1(?=\/)/, ""));
}

/** Where a line may end: before each slash. */
function breakable(path: string): TemplateResult[] {
  return path.split(/(?=\/)/).map((part) => html`<wbr />${part}`);
}

function methodView(method: string): TemplateResult {
  return html`<span class="method ${method.toLowerCase()}">${method}</span>`;
}

function sectionView(api: OpenApi, { tag, entries }: Section): TemplateResult {
  return html`
    <section aria-labelledby="tag-${tag}">
      <h2 id="tag-${tag}">${tag}</h2>
      ${entries.map((entry) => operationView(api, entry))}
    </section>
  `;
}

function operationView(api: OpenApi, { method, path, operation }: Entry): TemplateResult {
  const body = operation.requestBody && Object.entries(operation.requestBody.content);
  const answers = Object.entries(operation.responses).map(([status, answer]) => ({
    status,
    answer: resolved(api, answer),
  }));
  return html`
    <article id=${operation.operationId} aria-labelledby="name-${operation.operationId}">
      <h3 id="name-${operation.operationId}">${methodView(method)} <code>${breakable(path)}</code></h3>
      <p class="summary">${operation.summary}</p>
      ${operation.description ? paragraphs(operation.description) : nothing}
      <p class="terms">
        ${operation.security.length > 0 ? "With an access token" : "For anybody"} · rule
        <code>${operation["x-rule"]}</code>${operation["x-verified"] ? ", verified address" : nothing} · cost
        ${operation["x-cost"]}
      </p>
      ${operation.parameters ? parametersView(operation.parameters) : nothing}
      ${body?.map(([media, { schema }]) => html`<h4>Body <code>${media}</code></h4>${shape(schema)}`)}
      <h4>Answers</h4>
      <dl class="answers">
        ${answers.filter(({ answer }) => carriesMore(answer)).map(({ status, answer }) => answerView(status, answer))}
      </dl>
      ${refusalsView(answers)}
    </article>
  `;
}

function parametersView(parameters: Parameter[]): TemplateResult {
  return html`
    <h4>Parameters</h4>
    <dl class="members">
      ${parameters.map(
        (parameter) => html`
          <dt>
            <code>${parameter.name}</code> <span class="kind">${parameter.in}</span>
            ${parameter.required ? nothing : optional()}
          </dt>
          <dd>${typeOf(parameter.schema)}${remarks(parameter.schema, parameter.description)}</dd>
        `,
      )}
    </dl>
  `;
}

function optional(): TemplateResult {
  return html`<span class="kind">optional</span>`;
}

/** Whether it is more than a refusal. */
function carriesMore(answer: Answer): boolean {
  return codesOf(answer).length === 0 || Object.keys(answer.content ?? {}).some((media) => media !== PROBLEM);
}

function answerView(status: string, answer: Answer): TemplateResult {
  const content = Object.entries(answer.content ?? {}).filter(([media]) => media !== PROBLEM);
  return html`
    <dt><span class="status">${status}</span></dt>
    <dd>
      ${content.length === 0
        ? answer.description
        : content.map(([media, { schema }]) => html`${typeOf(schema)} <code class="media">${media}</code>`)}
    </dd>
  `;
}

function refusalsView(answers: { status: string; answer: Answer }[]): TemplateResult {
  const rows = answers.filter(({ answer }) => codesOf(answer).length > 0);
  return html`
    <details>
      <summary>Refusals</summary>
      <dl class="answers">
        ${rows.map(
          ({ status, answer }) => html`
            <dt><span class="status">${status === "default" ? "else" : status}</span></dt>
            <dd>${codesOf(answer).map((code) => html`<a class="code" href="#type-Problem">${code}</a> `)}</dd>
          `,
        )}
      </dl>
    </details>
  `;
}

function typeView(name: string, schema: Schema): TemplateResult {
  return html`
    <article id="type-${name}" aria-labelledby="name-type-${name}">
      <h3 id="name-type-${name}"><code>${name}</code></h3>
      ${schema.description ? paragraphs(schema.description) : nothing} ${shape(schema)}
    </article>
  `;
}

/** The members of an object, or what else it is. */
function shape(schema: Schema): Piece {
  const members = Object.entries(schema.properties ?? {});
  if (schema.$ref !== undefined || members.length === 0) return html`<p>${typeOf(schema)}</p>`;
  const required = new Set(schema.required);
  return html`
    <dl class="members">
      ${members.map(
        ([name, member]) => html`
          <dt><code>${name}</code> ${required.has(name) ? nothing : optional()}</dt>
          <dd>${typeOf(member)}${remarks(member, member.description)}</dd>
        `,
      )}
    </dl>
  `;
}

/** What a value is, in a few words; named types are links. */
function typeOf(schema: Schema): Piece {
  if (schema.$ref !== undefined) {
    const name = nameOf(schema.$ref);
    return html`<a class="type" href="#type-${name}">${name}</a>`;
  }
  if (schema.anyOf)
    return html`${schema.anyOf.map((variant, place) => html`${place > 0 ? " or " : nothing}${typeOf(variant)}`)}`;
  if (schema.enum && schema.enum.length > 12) return html`<span class="type">string</span>`;
  if (schema.enum) {
    const values = schema.enum.map((value) => JSON.stringify(value));
    return html`${values.map((value, place) => html`${place > 0 ? " or " : nothing}<code>${value}</code>`)}`;
  }
  if (schema.type === "array") return html`list of ${schema.items ? typeOf(schema.items) : "anything"}`;
  if (schema.type === "object" && typeof schema.additionalProperties === "object")
    return html`object of ${typeOf(schema.additionalProperties)}`;
  return html`<span class="type">${schema.format ?? schema.type ?? "anything"}</span>`;
}

function remarks(schema: Schema, description: string | undefined): Piece {
  const variants = schema.anyOf ?? [];
  const words = [schema, ...variants].flatMap(bounds);
  const pattern = [schema, ...variants].find((each) => each.pattern !== undefined && each.format === undefined)?.pattern;
  return html`${words.map((word) => html`<span class="bound">${word}</span>`)}
  ${pattern === undefined ? nothing : html`<span class="bound">like <code>${pattern}</code></span>`}
  ${description === undefined ? nothing : paragraphs(description)}`;
}

/** The little of CommonMark that descriptions use: paragraphs, lists of one level, code and links. */
export function paragraphs(text: string): TemplateResult[] {
  return text.split(/\n{2,}/).map((block) => {
    const lines = block.split("\n");
    return lines.every((line) => line.startsWith("- "))
      ? html`<ul class="list">${lines.map((line) => html`<li>${inline(line.slice(2))}</li>`)}</ul>`
      : html`<p>${inline(lines.join(" "))}</p>`;
  });
}

function inline(text: string): Piece[] {
  return text.split(/(`[^`]*`|\[[^\]]*\]\(https:[^)\s]*\))/).map((part, place) => {
    if (place % 2 === 0) return part;
    if (part.startsWith("`")) return html`<code>${part.slice(1, -1)}</code>`;
    const [, words, address] = /^\[(.*)\]\((.*)\)$/.exec(part) ?? [];
    return html`<a href=${address ?? ""} rel="noreferrer">${words}</a>`;
  });
}
