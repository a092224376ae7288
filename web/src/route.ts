/** Which page the address shows; it is kept behind the `#`, so that the server knows one address only. */

export type Route =
  | { readonly page: "sign-in" | "sign-up" | "forgot" | "list" | "account" }
  | { readonly page: "verify" | "reset"; readonly token: string }
  | { readonly page: "conversation"; readonly id: string };

const CONVERSATION = /^#\/c\/([0-9a-f-]{36})$/;
/** The links in mails. What stands behind the `#` reaches no server and no log. */
const FROM_MAIL = /^#\/(verify|reset)\/([\w.~-]{1,512})$/;

const NAMED = ["sign-in", "sign-up", "forgot", "account"] as const;

export function parseRoute(hash: string): Route {
  const id = CONVERSATION.exec(hash)?.[1];
  if (id !== undefined) return { page: "conversation", id };
  const [, page, token] = FROM_MAIL.exec(hash) ?? [];
  if ((page === "verify" || page === "reset") && token !== undefined) return { page, token };
  const named = NAMED.find((name) => hash === `#/${name}`);
  return { page: named ?? "list" };
}

export const conversationHash = (id: string): string => `#/c/${id}`;
