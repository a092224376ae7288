import { beforeEach, expect, test } from "vitest";

import { LinkLost, Refusal } from "../src/errors";
import { WatermarkReporter } from "../src/watermarks";
import { VirtualClock, settle } from "./support/clock";

let clock: VirtualClock;
let sent: { received?: number; read?: number; channel: string }[];
let failure: Error | null;
let reporter: WatermarkReporter;

beforeEach(() => {
  clock = new VirtualClock();
  sent = [];
  failure = null;
  reporter = new WatermarkReporter(({ op: _, ...rest }) => {
    sent.push(rest);
    return failure ? Promise.reject(failure) : Promise.resolve();
  }, clock);
  reporter.start();
});

test("the first is sent at once, later ones at most once a second, the last value wins", async () => {
  reporter.raise("c", { received: 1 });
  reporter.raise("c", { received: 2 });
  reporter.raise("c", { read: 3 });
  await settle();
  expect(sent).toEqual([{ channel: "conv:c", received: 1 }]);
  await clock.advance(1000);
  expect(sent.slice(1)).toEqual([{ channel: "conv:c", received: 3, read: 3 }]);
  await clock.advance(10_000);
  expect(sent).toHaveLength(2);
});

test("conversations do not wait for one another", async () => {
  reporter.raise("c", { read: 1 });
  reporter.raise("d", { read: 1 });
  await settle();
  expect(sent.map((one) => one.channel)).toEqual(["conv:c", "conv:d"]);
});

test("nothing is said twice, and nothing falls", async () => {
  reporter.raise("c", { read: 5 });
  await clock.advance(2000);
  reporter.raise("c", { read: 4 });
  reporter.raise("c", { received: 5 });
  await clock.advance(2000);
  expect(sent).toHaveLength(1);
});

test("what was not confirmed is said again on the next link", async () => {
  failure = new LinkLost();
  reporter.raise("c", { read: 5 });
  await settle();
  reporter.stop();
  failure = null;
  reporter.raise("c", { read: 6 });
  expect(sent).toHaveLength(1);
  reporter.start();
  await settle();
  expect(sent.slice(1)).toEqual([{ channel: "conv:c", received: 6, read: 6 }]);
});

test("a server that lost the last second is told again", async () => {
  reporter.raise("c", { read: 5 });
  await clock.advance(2000);
  reporter.known("c", { received: 4, read: 4 });
  await settle();
  expect(sent.slice(1)).toEqual([{ channel: "conv:c", received: 5, read: 5 }]);
  await clock.advance(2000);
  reporter.known("c", { received: 5, read: 5 });
  expect(sent).toHaveLength(2);
});

test("a temporary refusal is tried again, a final one is not", async () => {
  failure = new Refusal("unavailable", {}, true);
  reporter.raise("c", { read: 5 });
  await clock.advance(1000);
  failure = new Refusal("not_found");
  await clock.advance(1000);
  await clock.advance(60_000);
  expect(sent).toHaveLength(3);
});
