import { beforeEach, describe, expect, test } from "vitest";

import { Refusal } from "../src/errors";
import type { Me, SessionDocument } from "../src/protocol";
import { Session, type Locks, type SharedStorage } from "../src/session";
import { VirtualClock, settle } from "./support/clock";
import { ME } from "./support/things";

const THEA: Me = { ...ME, person: "0193a1b2-0000-7000-8000-000000000001" };
const ANA: Me = { ...THEA, person: "0193a1b2-0000-7000-8000-000000000002", name: "Ana", email: "ana@example.org" };

/** What the tabs of one browser share. */
class Browser implements SharedStorage, Locks {
  readonly items = new Map<string, string>();
  private tail: Promise<unknown> = Promise.resolve();

  getItem(key: string): string | null {
    return this.items.get(key) ?? null;
  }
  setItem(key: string, value: string): void {
    this.items.set(key, value);
  }
  removeItem(key: string): void {
    this.items.delete(key);
  }
  request<T>(_name: string, work: () => Promise<T>): Promise<T> {
    const result = this.tail.then(work);
    this.tail = result.catch(() => undefined);
    return result;
  }
}

/** A server whose refresh tokens work once. */
class Server {
  generation = 1;
  spent: string[] = [];
  ended: string[] = [];
  failure: Refusal | null = null;
  person: Me = THEA;

  document(person: Me = this.person): SessionDocument {
    return { access_token: `a${this.generation}`, refresh_token: `r${this.generation}`, expires_in: 600, person };
  }
  async refresh(token: string): Promise<SessionDocument> {
    await settle();
    if (this.failure) throw this.failure;
    this.spent.push(token);
    if (token !== `r${this.generation}`) throw new Refusal("unauthenticated");
    this.generation += 1;
    return this.document();
  }
  signOut(token: string): Promise<void> {
    this.ended.push(token);
    return Promise.resolve();
  }
}

let clock: VirtualClock;
let browser: Browser;
let server: Server;

beforeEach(() => {
  clock = new VirtualClock();
  browser = new Browser();
  server = new Server();
});

function tab(): Session & { changes: [string | null, string | null][] } {
  const session = new Session(server, browser, browser, clock);
  const changes: [string | null, string | null][] = [];
  session.onChange = (person, reason) => changes.push([person?.name ?? null, reason?.code ?? null]);
  return Object.assign(session, { changes });
}

async function signedIn(): Promise<ReturnType<typeof tab>> {
  const session = tab();
  await session.begin(server.document());
  return session;
}

test("nobody is signed in at first", () => {
  expect(tab().person).toBeNull();
});

test("signing in outlives a reload; the access token does not", async () => {
  const first = await signedIn();
  expect(first.changes).toEqual([["Thea", null]]);
  expect((await first.token(1000)).value).toBe("a1");
  expect(JSON.stringify([...browser.items])).not.toContain('\\"a1\\"');
  const second = tab();
  expect(second.person).toEqual(THEA);
  expect((await second.token(1000)).value).toBe("a2");
});

describe("a token", () => {
  test("is renewed when it does not live long enough, or was refused", async () => {
    const session = await signedIn();
    await clock.advance(550_000);
    expect((await session.token(50_000)).value).toBe("a1");
    expect((await session.token(50_001)).value).toBe("a2");
    expect((await session.token(0, "a2")).value).toBe("a3");
    expect((await session.token(0, "a2")).value).toBe("a3");
  });

  test("is asked for once by all who need it", async () => {
    const session = await signedIn();
    const tokens = await Promise.all([session.token(0, "a1"), session.token(0, "a1"), session.token(0, "a1")]);
    expect(tokens.map((token) => token.value)).toEqual(["a2", "a2", "a2"]);
    expect(server.spent).toEqual(["r1"]);
  });

  test("is renewed by several tabs without spending a refresh token twice", async () => {
    await signedIn();
    const tabs = [tab(), tab(), tab()];
    const tokens = await Promise.all(tabs.map((session) => session.token(0)));
    expect(tokens.map((token) => token.value)).toEqual(["a2", "a3", "a4"]);
    expect(server.spent).toEqual(["r1", "r2", "r3"]);
  });

  test("that the server cannot give now leaves the person signed in", async () => {
    const session = await signedIn();
    server.failure = new Refusal("network", {}, true);
    await expect(session.token(0, "a1")).rejects.toMatchObject({ code: "network" });
    server.failure = null;
    expect((await session.token(0, "a1")).value).toBe("a2");
    expect(session.person).toEqual(THEA);
  });

  test("that the server will not give any more signs out, with the reason", async () => {
    const session = await signedIn();
    server.failure = new Refusal("login_ended");
    await expect(session.token(0, "a1")).rejects.toMatchObject({ code: "login_ended" });
    expect(session.changes.at(-1)).toEqual([null, "login_ended"]);
    expect(browser.items.size).toBe(0);
  });
});

describe("several tabs", () => {
  test("sign out together", async () => {
    const one = await signedIn();
    const two = tab();
    await one.end();
    two.storageChanged("chiron.session");
    expect(server.ended).toEqual(["a1"]);
    expect(two.person).toBeNull();
    expect(two.changes).toEqual([[null, null]]);
  });

  test("follow when another person signs in", async () => {
    const one = await signedIn();
    const two = tab();
    await two.begin(server.document(ANA));
    one.storageChanged("chiron.session");
    expect(one.changes.at(-1)).toEqual(["Ana", null]);
  });

  test("are not disturbed by the refreshing of one another, nor by foreign keys", async () => {
    const one = await signedIn();
    const two = tab();
    await two.token(0);
    one.storageChanged("chiron.session");
    one.storageChanged("something.else");
    expect(one.changes).toHaveLength(1);
    expect((await one.token(0, "a1")).value).toBe("a3");
  });

  test("of a person who is gone do not sign out who came since", async () => {
    const one = await signedIn();
    const two = tab();
    await two.begin(server.document(ANA));
    one.ended(new Refusal("login_ended"));
    expect(browser.items.size).toBe(1);
  });
});

describe("an address that is verified elsewhere", () => {
  async function unverified(): Promise<ReturnType<typeof tab> & { updates: boolean[] }> {
    server.person = { ...THEA, verified: false };
    const session = Object.assign(await signedIn(), { updates: [] as boolean[] });
    session.onUpdate = (person) => session.updates.push(person.verified);
    return session;
  }

  test("is known after a renewal, without anybody being signed out", async () => {
    const session = await unverified();
    server.person = THEA;
    expect((await session.renew()).verified).toBe(true);
    expect(session.updates).toEqual([true]);
    expect(session.changes).toHaveLength(1);
    expect(tab().person?.verified).toBe(true);
  });

  test("is known in the other tabs, which use no token of before", async () => {
    const one = await unverified();
    const two = tab();
    server.person = THEA;
    await two.renew();
    one.storageChanged("chiron.session");
    expect(one.updates).toEqual([true]);
    expect((await one.token(0)).value).not.toBe("a1");
  });

  test("an ordinary renewal is no news", async () => {
    const session = await unverified();
    await session.renew();
    expect(session.updates).toEqual([]);
  });
});

describe("work with an access token", () => {
  test("is done once more with a new one when the first is refused", async () => {
    const session = await signedIn();
    const used: string[] = [];
    const result = await session.authorized((token) => {
      used.push(token);
      return token === "a1" ? Promise.reject(new Refusal("token_expired")) : Promise.resolve("done");
    });
    expect([result, used]).toEqual(["done", ["a1", "a2"]]);
  });

  test("is not repeated after any other refusal", async () => {
    const session = await signedIn();
    const used: string[] = [];
    const attempt = session.authorized((token) => {
      used.push(token);
      return Promise.reject(new Refusal("credentials"));
    });
    await expect(attempt).rejects.toMatchObject({ code: "credentials" });
    expect(used).toEqual(["a1"]);
  });
});

test("signing out works without the server", async () => {
  const session = await signedIn();
  server.signOut = () => Promise.reject(new Refusal("network", {}, true));
  await session.end();
  expect(session.person).toBeNull();
});

test.each(["nonsense", "null", "{}", '{"refresh_token":"r"}', '{"refresh_token":"r","person":{"name":"x"}}'])(
  "%j in storage is nobody's session",
  (text) => {
    browser.items.set("chiron.session", text);
    expect(tab().person).toBeNull();
  },
);
