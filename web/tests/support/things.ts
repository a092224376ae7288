import type { Conversation, Delivery, Me, Member } from "../../src/protocol";
import { delivery } from "./wire";

export const ME: Me = {
  person: "me",
  number: 4,
  name: "Thea",
  email: "thea@example.org",
  verified: true,
  locale: "en",
  zone: "UTC",
  created_at: 1,
};

export function conversation(id: string, members: Partial<Conversation> = {}): Conversation {
  return {
    id,
    number: 9,
    kind: "direct",
    title: "",
    created_at: 1_764_000_000_000,
    head: 0,
    ordinal: 0,
    floor: 0,
    unread: 0,
    received: 0,
    read: 0,
    role: "member",
    members: 2,
    peer: { person: "ana", name: "Ana" },
    last: null,
    ...members,
  };
}

export function member(person: string, name: string, marks: { received?: number; read?: number } = {}): Member {
  return { person, name, role: "member", received: 0, read: 0, joined_at: 1, ...marks };
}

export const record = (offset: number, members: Partial<Delivery> = {}): Delivery =>
  delivery(offset, members) as unknown as Delivery;

export const range = (from: number, to: number): Delivery[] =>
  Array.from({ length: to - from + 1 }, (_, index) => record(from + index));
