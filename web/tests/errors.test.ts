import { readFileSync } from "node:fs";

import { expect, test } from "vitest";

import { LinkLost, Refusal, TEXTS, errorText } from "../src/errors";

const page = readFileSync(new URL("../../docs/protocol.md", import.meta.url), "utf8");
const codes = [...page.matchAll(/^\| `(\w+)` \| \d{3} \|/gm)].map(([, code]) => code ?? "");

test("the protocol's table was found", () => {
  expect(codes).toContain("credentials");
  expect(codes.length).toBeGreaterThan(20);
});

test.each(codes)("%s has a sentence, with and without parameters", (code) => {
  for (const params of [
    {},
    { reason: "a reason", field: "name", email: "a@b.c", limit: 7, what: "person", incident: "i1" },
  ]) {
    expect(errorText(new Refusal(code, params))).toMatch(/^[A-Z].*[.]$/);
    expect(errorText(new Refusal(code, params))).not.toContain("undefined");
  }
});

test("there are no sentences for codes that nobody sends", () => {
  const own = ["network", "outbox_storage"];
  expect(Object.keys(TEXTS).filter((code) => !codes.includes(code))).toEqual(expect.arrayContaining(own));
  expect(Object.keys(TEXTS)).toHaveLength(codes.length + own.length);
});

test("parameters are part of the sentence", () => {
  expect(errorText(new Refusal("person_unknown", { email: "a@b.c" }))).toContain("a@b.c");
  expect(errorText(new Refusal("invalid", { field: "name", reason: "a name has 1 to 80 characters" }))).toBe(
    "A name has 1 to 80 characters.",
  );
  expect(errorText(new Refusal("too_large", { limit: 16_384 }))).toContain("16384");
});

test("why a message was not sent is said in words", () => {
  const said = (reasons: unknown): string => errorText(new Refusal("blocked", { reasons }));
  expect(said(["threat", "abuse", "spam"])).toContain("a threat or an insult.");
  expect(said(["brand_new"])).toContain("something that is not allowed here");
  expect(said("threat")).toContain("something that is not allowed here");
});

test("a code of a newer server is named, and a lost link is explained", () => {
  expect(errorText(new Refusal("brand_new"))).toContain("brand_new");
  expect(errorText(new LinkLost())).toContain("connection");
  expect(errorText(new TypeError("x"))).toContain("page");
});

test("errors know the field of the form that is to blame", () => {
  expect(new Refusal("invalid", { field: "password" }).field).toBe("password");
  expect(new Refusal("email_taken").field).toBe("email");
  expect(new Refusal("credentials").field).toBeNull();
});
