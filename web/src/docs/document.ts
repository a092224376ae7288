/** The parts of an OpenAPI 3.1 document that the server writes and this page shows. */

export interface Schema {
  $ref?: string;
  type?: string;
  format?: string;
  description?: string;
  enum?: unknown[];
  const?: unknown;
  anyOf?: Schema[];
  allOf?: Schema[];
  items?: Schema;
  properties?: Record<string, Schema>;
  additionalProperties?: boolean | Schema;
  required?: string[];
  default?: unknown;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  pattern?: string;
}

export interface Parameter {
  name: string;
  in: string;
  required?: boolean;
  description?: string;
  schema: Schema;
}

export interface Answer {
  $ref?: string;
  description?: string;
  content?: Record<string, { schema: Schema }>;
}

export interface Operation {
  operationId: string;
  tags: string[];
  summary: string;
  description?: string;
  security: unknown[];
  parameters?: Parameter[];
  requestBody?: { content: Record<string, { schema: Schema }> };
  responses: Record<string, Answer>;
  "x-rule": string;
  "x-verified": boolean;
  "x-cost": number;
}

export interface OpenApi {
  info: { title: string; version: string; description: string };
  tags: { name: string }[];
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema>; responses: Record<string, Answer> };
}

export const PROBLEM = "application/problem+json";

/** An operation with its place: what a reader looks for. */
export interface Entry {
  method: string;
  path: string;
  operation: Operation;
}

export interface Section {
  tag: string;
  entries: Entry[];
}

/** Operations by tag, in the order of tags and paths. */
export function sections(document: OpenApi): Section[] {
  const all: Entry[] = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  );
  return document.tags.map(({ name }) => ({
    tag: name,
    entries: all.filter((entry) => entry.operation.tags.includes(name)),
  }));
}

/** Only what has every word in its method, path, summary or name. */
export function matching(all: Section[], search: string): Section[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = ({ method, path, operation }: Entry): boolean => {
    const text = `${method} ${path} ${operation.summary} ${operation.operationId}`.toLowerCase();
    return words.every((word) => text.includes(word));
  };
  return all
    .map(({ tag, entries }) => ({ tag, entries: entries.filter(fits) }))
    .filter(({ entries }) => entries.length > 0);
}

export function nameOf(reference: string): string {
  return reference.slice(reference.lastIndexOf("/") + 1);
}

export function resolved(document: OpenApi, answer: Answer): Answer {
  return answer.$ref === undefined ? answer : (document.components.responses[nameOf(answer.$ref)] ?? {});
}

/** The codes that this answer may carry. */
export function codesOf(answer: Answer): string[] {
  return (answer.content?.[PROBLEM]?.schema.properties?.["code"]?.enum ?? []) as string[];
}

/** Bounds, format and default of a value, in words. */
export function bounds(schema: Schema): string[] {
  const found: string[] = [];
  const range = (low: number | undefined, high: number | undefined, of: string): void => {
    if (low !== undefined && high !== undefined) found.push(`${shown(low)} to ${shown(high)}${of}`);
    else if (high !== undefined) found.push(`at most ${shown(high)}${of}`);
    else if (low !== undefined) found.push(`at least ${shown(low)}${of}`);
  };
  range(schema.minimum, schema.maximum, "");
  range(schema.minLength, schema.maxLength, " characters");
  range(schema.minItems, schema.maxItems, " items");
  if (schema.default !== undefined && schema.default !== null && schema.default !== "")
    found.push(`default ${JSON.stringify(schema.default)}`);
  return found;
}

function shown(value: number): string {
  return value === Number.MAX_SAFE_INTEGER ? "2⁵³ − 1" : value.toLocaleString("en");
}
