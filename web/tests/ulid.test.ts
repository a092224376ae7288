import { expect, test } from "vitest";

import { ulids } from "../src/ulid";

test("the example of the specification", () => {
  const next = ulids(
    () => 1_469_918_176_385,
    (bytes) => bytes.fill(0),
  );
  expect(next()).toBe("01ARYZ6S410000000000000000");
});

test("ids of one millisecond sort in the order in which they were made", () => {
  const next = ulids(() => 1_764_000_000_000);
  const made = Array.from({ length: 1000 }, next);
  expect([...made].sort()).toEqual(made);
  expect(new Set(made).size).toBe(1000);
  for (const id of made) expect(id).toMatch(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/);
});

test("a clock that goes back does not bring ids back", () => {
  const times = [2000, 1000, 3000];
  const next = ulids(() => times.shift() ?? 0);
  const made = [next(), next(), next()];
  expect([...made].sort()).toEqual(made);
});

test("the random part carries into the time", () => {
  const next = ulids(
    () => 5,
    (bytes) => bytes.fill(255),
  );
  const made = [next(), next()];
  expect([...made].sort()).toEqual(made);
  expect(made[1]).toBe(`0000000006${"0".repeat(16)}`);
});
