/**
 * A link's frames on a stream (`docs/protocol.md`, Over HTTP/3): each a record, which is its length in bytes as a
 * variable-length integer of QUIC (RFC 9000 §16) and then as much JSON text in UTF-8.
 */

/** The stream does not hold records: a length over the limit, or bytes that are not UTF-8. */
export class RecordError extends Error {
  override name = "RecordError";
}

/** Encodings of an integer by their first two bits: 1, 2, 4 and 8 bytes hold numbers below these. */
const BELOW = [2 ** 6, 2 ** 14, 2 ** 30] as const;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function encodeRecord(text: string): Uint8Array<ArrayBuffer> {
  const body = encoder.encode(text);
  const head = encodeLength(body.length);
  const record = new Uint8Array(head.length + body.length);
  record.set(head);
  record.set(body, head.length);
  return record;
}

/** @throws RecordError for bytes that are not UTF-8. */
export function decodeText(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) throw new RecordError("the text is not UTF-8");
    throw error;
  }
}

/** Takes a stream in whatever pieces it comes. */
export class RecordReader {
  private readonly head: number[] = [];
  /** The record that is being filled. */
  private body: Uint8Array | null = null;
  private filled = 0;

  /** `limit`: bytes that a record may have, which bounds what is held here. */
  constructor(private readonly limit: number) {}

  /**
   * The texts of the records that end in this piece.
   * @throws RecordError, after which the stream cannot be read any further.
   */
  receive(piece: Uint8Array): string[] {
    const texts: string[] = [];
    let at = 0;
    while (at < piece.length) {
      if (this.body === null) {
        this.head.push(piece[at++] ?? 0);
        this.begin();
      } else {
        const part = piece.subarray(at, at + this.body.length - this.filled);
        this.body.set(part, this.filled);
        this.filled += part.length;
        at += part.length;
      }
      if (this.body !== null && this.filled === this.body.length) {
        texts.push(decodeText(this.body));
        this.body = null;
      }
    }
    return texts;
  }

  /** Go on to the body when the length is whole. */
  private begin(): void {
    const first = this.head[0] ?? 0;
    if (this.head.length < 1 << (first >> 6)) return;
    // Beyond 53 bits this is not exact, and beyond every limit.
    const length = this.head.slice(1).reduce((high, byte) => high * 256 + byte, first & 0x3f);
    if (length > this.limit) throw new RecordError(`a record of ${length} bytes`);
    this.head.length = 0;
    this.filled = 0;
    this.body = new Uint8Array(length);
  }
}

function encodeLength(length: number): Uint8Array {
  const power = BELOW.findIndex((limit) => length < limit);
  if (power < 0) throw new RangeError(`a record of ${length} bytes`);
  const bytes = new Uint8Array(1 << power);
  let rest = length;
  for (let index = bytes.length - 1; index >= 0; index -= 1) {
    bytes[index] = rest & 0xff;
    rest = Math.floor(rest / 256);
  }
  bytes[0] = (bytes[0] ?? 0) | (power << 6);
  return bytes;
}
