/** Which page the address shows; it is kept behind the `#`, so that the server knows one address only. */

export type Route =
  { readonly page: "sign-in" | "sign-up" | "list" } | { readonly page: "conversation"; readonly id: string };

const CONVERSATION = /^#\/c\/([0-9a-f-]{36})$/;

export function parseRoute(hash: string): Route {
  const id = CONVERSATION.exec(hash)?.[1];
  if (id !== undefined) return { page: "conversation", id };
  if (hash === "#/sign-in") return { page: "sign-in" };
  if (hash === "#/sign-up") return { page: "sign-up" };
  return { page: "list" };
}

export const conversationHash = (id: string): string => `#/c/${id}`;
