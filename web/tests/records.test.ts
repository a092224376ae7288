import { describe, expect, test } from "vitest";

import { RecordError, RecordReader, decodeText, encodeRecord } from "../src/records";
import { seeded } from "./support/random";

const LIMIT = 1 << 20;

const bytes = (hex: string): Uint8Array => Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));

/** `length` as RFC 9000 encodes it in `size` bytes, also where fewer would do. */
function varint(length: bigint, size: 1 | 2 | 4 | 8): Uint8Array {
  const encoded = Uint8Array.from({ length: size }, (_, index) =>
    Number((length >> BigInt(8 * (size - 1 - index))) & 0xffn),
  );
  encoded[0] = (encoded[0] ?? 0) | (Math.log2(size) << 6);
  return encoded;
}

function joined(...pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((total, piece) => total + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

describe("lengths", () => {
  // RFC 9000 appendix A.1 has these encodings; the bodies are as long as they say.
  test.each([
    ["25", 37],
    ["4025", 37],
    ["7bbd", 15_293],
    ["9d7f3e7d", 494_878_333],
    ["c2197c5eff14e88c", 151_288_809_941_952_652],
  ])("rfc9000_a_1 %s is read as %i", (hex, length) => {
    const reader = new RecordReader(20_000);
    const read = (): string[] => reader.receive(joined(bytes(hex), new Uint8Array(Math.min(length, 20_000)).fill(0x61)));
    if (length > 20_000) expect(read).toThrow(RecordError);
    else expect(read()).toEqual(["a".repeat(length)]);
  });

  test.each([
    [0, 1],
    [63, 1],
    [64, 2],
    [16_383, 2],
    [16_384, 4],
    [70_000, 4],
  ])("rfc9000_16 %i bytes have a length of %i bytes", (length, size) => {
    const record = encodeRecord("a".repeat(length));
    expect(record.length).toBe(size + length);
    expect(record.subarray(0, size)).toEqual(varint(BigInt(length), size as 1 | 2 | 4));
    expect(new RecordReader(LIMIT).receive(record)).toEqual(["a".repeat(length)]);
  });

  test("a length is bytes, not characters", () => {
    expect(encodeRecord("é🌞")).toEqual(bytes("06c3a9f09f8c9e"));
  });
});

describe("streams", () => {
  test("any text in any pieces comes out as it went in", () => {
    for (let seed = 0; seed < 200; seed += 1) {
      const random = seeded(seed);
      const alphabet = ["a", "é", "€", "🌞", '"', "\\", "\u0000", "\ufeff"];
      const texts = Array.from({ length: Math.floor(random() * 8) }, () => {
        const length = random() < 0.2 ? Math.floor(random() * 20_000) : Math.floor(random() * 80);
        return Array.from({ length }, () => alphabet[Math.floor(random() * alphabet.length)]).join("");
      });
      const stream = joined(...texts.map(encodeRecord));
      const reader = new RecordReader(LIMIT);
      const read: string[] = [];
      for (let at = 0; at < stream.length; ) {
        const size = random() < 0.5 ? 1 + Math.floor(random() * 4) : 1 + Math.floor(random() * 9_000);
        read.push(...reader.receive(stream.subarray(at, at + size)));
        at += size;
      }
      expect(read, `seed ${seed}`).toEqual(texts);
    }
  });

  test("a length may be longer than it has to be", () => {
    for (const size of [1, 2, 4, 8] as const) {
      const reader = new RecordReader(LIMIT);
      expect(reader.receive(joined(varint(3n, size), bytes("616263")))).toEqual(["abc"]);
    }
  });

  test("whatever comes is read or refused, and refused for what it is", () => {
    for (let seed = 0; seed < 500; seed += 1) {
      const random = seeded(seed);
      const reader = new RecordReader(1_000);
      try {
        for (let piece = 0; piece < 20; piece += 1) {
          const noise = Uint8Array.from({ length: Math.floor(random() * 60) }, () => Math.floor(random() * 256));
          for (const text of reader.receive(noise)) expect(typeof text).toBe("string");
        }
      } catch (error) {
        expect(error, `seed ${seed}`).toBeInstanceOf(RecordError);
      }
    }
  });

  test("a record over the limit is refused when its length is known, at the limit it is read", () => {
    expect(new RecordReader(100).receive(encodeRecord("a".repeat(100)))).toHaveLength(1);
    expect(() => new RecordReader(100).receive(varint(101n, 2))).toThrow(RecordError);
    expect(() => new RecordReader(100).receive(varint(2n ** 62n - 1n, 8))).toThrow(RecordError);
  });

  test("what is not UTF-8 is refused, a byte order mark is text", () => {
    expect(() => new RecordReader(100).receive(bytes("02c328"))).toThrow(RecordError);
    expect(() => decodeText(bytes("ff"))).toThrow(RecordError);
    expect(decodeText(bytes("efbbbf61"))).toBe("\ufeffa");
  });
});
