import { expect, test } from "vitest";

import { conversationHash, parseRoute } from "../src/route";

const ID = "0193a1b2-0000-7000-8000-000000000001";

test.each([
  ["", { page: "list" }],
  ["#/", { page: "list" }],
  ["#/nonsense", { page: "list" }],
  ["#/sign-in", { page: "sign-in" }],
  ["#/sign-up", { page: "sign-up" }],
  ["#/forgot", { page: "forgot" }],
  ["#/account", { page: "account" }],
  [conversationHash(ID), { page: "conversation", id: ID }],
  ["#/c/not-an-id", { page: "list" }],
])("%j", (hash, route) => {
  expect(parseRoute(hash)).toEqual(route);
});

test.each(["verify", "reset"])("a link from a mail carries its token: %s", (page) => {
  expect(parseRoute(`#/${page}/AZ-_09.a~b`)).toEqual({ page, token: "AZ-_09.a~b" });
});

test.each(["#/verify/", "#/verify", "#/reset/a/b", "#/verify/a b", `#/reset/${"a".repeat(513)}`])(
  "a link that was cut or mangled opens nothing: %j",
  (hash) => {
    expect(parseRoute(hash)).toEqual({ page: "list" });
  },
);
