/**
 * Who is signed in, in all tabs of this browser.
 *
 * The access token lives in memory only; each tab has its own. The refresh token works once, and its use returns the
 * next one, so the tabs share it: it is kept in `localStorage`, which every tab reads at once and whose `storage`
 * event tells the others of signing in and out. A tab refreshes only under the Web Lock {@link LOCK} and with the
 * token that it reads there, so that no tab ever spends a token twice.
 */

import type { Clock } from "./clock";
import { Refusal } from "./errors";
import { ProtocolError, read, type Me, type SessionDocument } from "./protocol";

export interface AccessToken {
  readonly value: string;
  /** Milliseconds since the Unix epoch, by this machine's clock. */
  readonly expiresAt: number;
}

export interface Accounts {
  refresh(refreshToken: string): Promise<SessionDocument>;
  signOut(accessToken: string): Promise<void>;
}

export interface SharedStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

export interface Locks {
  request<T>(name: string, work: () => Promise<T>): Promise<T>;
}

const KEY = "chiron.session";
const LOCK = "chiron.session";
/** What a newer access token mends. */
const EXPIRED: readonly string[] = ["token_expired", "unauthenticated"];

interface Stored {
  readonly refresh_token: string;
  readonly person: Me;
}

export class Session {
  /** Called when the person of this tab changes: signed in, signed out, or another one signed in in another tab. */
  onChange: (person: Me | null, reason: Refusal | null) => void = () => undefined;
  /** Called when the account of the person has changed: their name, or whether their address is verified. */
  onUpdate: (person: Me) => void = () => undefined;

  private current: Me | null = null;
  private access: AccessToken | null = null;
  private refreshing: Promise<AccessToken> | null = null;

  constructor(
    private readonly accounts: Accounts,
    private readonly storage: SharedStorage,
    private readonly locks: Locks,
    private readonly clock: Clock,
  ) {
    this.current = this.stored()?.person ?? null;
  }

  get person(): Me | null {
    return this.current;
  }

  /** Take over what signing in or signing up returned. */
  async begin(document: SessionDocument): Promise<void> {
    await this.locks.request(LOCK, () => {
      this.store(document);
      return Promise.resolve();
    });
    this.change(document.person, null);
  }

  /**
   * An access token that is good for at least `lifetime` ms more and is not `refused`.
   * @throws Refusal: temporary ones may be tried again; after any other the person is signed out here.
   */
  async token(lifetime: number, refused: string | null = null): Promise<AccessToken> {
    const have = this.access;
    if (have && have.value !== refused && have.expiresAt - this.clock.now() >= lifetime) return have;
    this.refreshing ??= this.refresh().finally(() => {
      this.refreshing = null;
    });
    return this.refreshing;
  }

  /** The account as the server has it now; an access token of before is not used again. */
  async renew(): Promise<Me> {
    this.access = null;
    await this.token(0);
    if (!this.current) throw new Refusal("login_ended");
    return this.current;
  }

  /** Work with an access token; if that is refused, once more with a new one. */
  async authorized<T>(work: (accessToken: string) => Promise<T>): Promise<T> {
    const token = await this.token(0);
    try {
      return await work(token.value);
    } catch (error) {
      if (!(error instanceof Refusal) || !EXPIRED.includes(error.code)) throw error;
      return work((await this.token(0, token.value)).value);
    }
  }

  /** Sign out in every tab; the server is told if it can be reached. */
  async end(): Promise<void> {
    const token = await this.token(0).catch(() => null);
    this.forget(null);
    if (token) await this.accounts.signOut(token.value).catch(() => undefined);
  }

  /** The server ended the login. */
  ended(reason: Refusal): void {
    this.forget(reason);
  }

  /** Another tab changed what is stored. */
  storageChanged(key: string | null): void {
    if (key !== null && key !== KEY) return;
    const person = this.stored()?.person ?? null;
    if (person && person.person === this.current?.person) {
      // An access token says whether the address was verified when it was issued.
      if (person.verified !== this.current.verified) this.access = null;
      this.updated(person);
      return;
    }
    if (person === this.current) return;
    this.access = null;
    this.change(person, null);
  }

  private async refresh(): Promise<AccessToken> {
    return this.locks.request(LOCK, async () => {
      const stored = this.stored();
      if (!stored || stored.person.person !== this.current?.person) throw new Refusal("login_ended");
      try {
        const document = await this.accounts.refresh(stored.refresh_token);
        return this.store(document);
      } catch (error) {
        if (error instanceof Refusal && !error.temporary) this.forget(error);
        throw error;
      }
    });
  }

  private store(document: SessionDocument): AccessToken {
    const stored: Stored = { refresh_token: document.refresh_token, person: document.person };
    this.storage.setItem(KEY, JSON.stringify(stored));
    this.access = { value: document.access_token, expiresAt: this.clock.now() + document.expires_in * 1000 };
    if (document.person.person === this.current?.person) this.updated(document.person);
    return this.access;
  }

  private stored(): Stored | null {
    const text = this.storage.getItem(KEY);
    if (text === null) return null;
    try {
      const value = JSON.parse(text) as Partial<Stored> | null;
      if (typeof value?.refresh_token !== "string") return null;
      return { refresh_token: value.refresh_token, person: read.me(value.person) };
    } catch (error) {
      // What an older version of this page left, or something else: it is nobody's session.
      if (error instanceof SyntaxError || error instanceof ProtocolError) return null;
      throw error;
    }
  }

  private forget(reason: Refusal | null): void {
    if (this.stored()?.person.person === this.current?.person) this.storage.removeItem(KEY);
    this.access = null;
    this.change(null, reason);
  }

  private updated(person: Me): void {
    const before = this.current;
    this.current = person;
    if (before?.verified === person.verified && before.name === person.name) return;
    this.onUpdate(person);
  }

  private change(person: Me | null, reason: Refusal | null): void {
    this.current = person;
    this.onChange(person, reason);
  }
}
