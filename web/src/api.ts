/** The REST routes that the page uses: how to reach the server, and accounts. Everything else travels on the link. */

import { Refusal } from "./errors";
import {
  ProtocolError,
  read,
  type Listing,
  type Login,
  type Me,
  type Profile,
  type SessionDocument,
} from "./protocol";
import type { WebTransportAddress } from "./webtransport_socket";

type Fetch = (input: string, init: RequestInit) => Promise<Response>;

const TIMEOUT = 15_000;
/** Statuses after which the same request may succeed (RFC 9110 §15, RFC 6585 §4). */
const TEMPORARY: readonly number[] = [408, 429, 500, 502, 503, 504];

export class Api {
  constructor(private readonly fetch: Fetch = (input, init) => globalThis.fetch(input, init)) {}

  /** Where the server takes WebTransport; null when it does not. */
  async webTransport(): Promise<WebTransportAddress | null> {
    return read.transports(await this.send("GET", "/v1/transports")).webtransport;
  }

  async signUp(account: { email: string; password: string; name: string }, device: string): Promise<SessionDocument> {
    const { timeZone, locale } = Intl.DateTimeFormat().resolvedOptions();
    return read.session(await this.send("POST", "/v1/people", { ...account, locale, zone: timeZone, device }));
  }

  async signIn(account: { email: string; password: string }, device: string): Promise<SessionDocument> {
    return read.session(await this.send("POST", "/v1/logins", { ...account, device }));
  }

  async refresh(refreshToken: string): Promise<SessionDocument> {
    return read.session(await this.send("POST", "/v1/logins/refresh", { refresh_token: refreshToken }));
  }

  async signOut(accessToken: string): Promise<void> {
    await this.send("DELETE", "/v1/logins/current", undefined, accessToken);
  }

  // --- links from mails -----------------------------------------------------------------------------------------------

  async verify(token: string): Promise<void> {
    await this.send("POST", "/v1/verifications", { token });
  }

  /** Answers the same whether or not the address has an account. */
  async requestReset(email: string): Promise<void> {
    await this.send("POST", "/v1/resets", { email });
  }

  async resetPassword(token: string, password: string): Promise<void> {
    await this.send("POST", "/v1/resets/password", { token, password });
  }

  // --- one's own account ----------------------------------------------------------------------------------------------

  async rename(accessToken: string, name: string): Promise<Me> {
    return read.me(await this.send("PATCH", "/v1/me", { name }, accessToken));
  }

  async changePassword(accessToken: string, current: string, password: string): Promise<void> {
    await this.send("PUT", "/v1/me/password", { current, password }, accessToken);
  }

  async requestVerification(accessToken: string): Promise<void> {
    await this.send("POST", "/v1/me/verification", undefined, accessToken);
  }

  async logins(accessToken: string, cursor: string | null): Promise<Listing<Login>> {
    const query = cursor === null ? "" : `?cursor=${encodeURIComponent(cursor)}`;
    return read.logins(await this.send("GET", `/v1/logins${query}`, undefined, accessToken));
  }

  async nameLogin(accessToken: string, login: string, device: string): Promise<Login> {
    return read.login(await this.send("PATCH", `/v1/logins/${login}`, { device }, accessToken));
  }

  /** `login`: an id, or `others` for every login but this one. */
  async endLogin(accessToken: string, login: string): Promise<void> {
    await this.send("DELETE", `/v1/logins/${login}`, undefined, accessToken);
  }

  async profiles(accessToken: string): Promise<readonly Profile[]> {
    return read.profiles(await this.send("GET", "/v1/me/profiles", undefined, accessToken));
  }

  async setProfile(accessToken: string, kind: Profile["kind"], state: Profile["state"]): Promise<Profile> {
    return read.profile(await this.send("PUT", `/v1/me/profiles/${kind}`, { state }, accessToken));
  }

  /** @throws Refusal with the code of the problem document (RFC 9457), or `network`. */
  private async send(method: string, path: string, body?: object, token?: string): Promise<unknown> {
    const headers: Record<string, string> = { Accept: "application/json" };
    if (body) headers["Content-Type"] = "application/json";
    if (token) headers["Authorization"] = `Bearer ${token}`;
    let response: Response;
    let content: unknown;
    try {
      response = await this.fetch(path, {
        method,
        headers,
        ...(body ? { body: JSON.stringify(body) } : {}),
        credentials: "omit",
        cache: "no-store",
        signal: AbortSignal.timeout(TIMEOUT),
      });
      const text = await response.text();
      content = text === "" ? undefined : parsed(text);
    } catch {
      throw new Refusal("network", {}, true);
    }
    if (response.ok) return content;
    throw refusal(response, content);
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function refusal(response: Response, content: unknown): Refusal {
  const seconds = Number(response.headers.get("Retry-After") ?? Number.NaN);
  const retryAfter = Number.isFinite(seconds) ? seconds * 1000 : null;
  const temporary = TEMPORARY.includes(response.status);
  try {
    const { code, params } = read.problem(content);
    return new Refusal(code, params, temporary, retryAfter);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    // A proxy between here and the server answered: all it says is the status.
    return new Refusal(temporary ? "network" : "bad_request", { status: response.status }, temporary, retryAfter);
  }
}
