/**
 * ULIDs (github.com/ulid/spec): 48 bits of time in ms and 80 random bits, as 26 characters of Crockford's base32.
 * Monotonic: ids made by one generator sort in the order in which they were made.
 */

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const TIME_CHARACTERS = 10;
const RANDOM_CHARACTERS = 16;

type RandomBytes = (bytes: Uint8Array<ArrayBuffer>) => Uint8Array;

export function ulids(
  now: () => number = Date.now,
  fill: RandomBytes = (bytes) => crypto.getRandomValues(bytes),
): () => string {
  let time = -1;
  let digits: number[] = [];

  return () => {
    const current = now();
    if (current > time) {
      time = current;
      digits = Array.from(fill(new Uint8Array(RANDOM_CHARACTERS)), (byte) => byte & 31);
    } else if (!increment(digits)) {
      // 2^80 ids in one millisecond, or a random part that started at the very end: borrow from the next millisecond.
      time += 1;
      digits.fill(0);
    }
    return encodeTime(time) + digits.map((digit) => ALPHABET.charAt(digit)).join("");
  };
}

function encodeTime(time: number): string {
  let text = "";
  for (let place = 0; place < TIME_CHARACTERS; place += 1) {
    text = ALPHABET.charAt(time % 32) + text;
    time = Math.floor(time / 32);
  }
  return text;
}

/** Add one to a number of base 32; false when it overflowed. */
function increment(digits: number[]): boolean {
  for (let place = digits.length - 1; place >= 0; place -= 1) {
    const digit = digits[place] ?? 0;
    if (digit < 31) {
      digits[place] = digit + 1;
      return true;
    }
    digits[place] = 0;
  }
  return false;
}
