// The traditional crypt(3): 25 rounds of DES over a block of zeros, with a salt of two characters that swaps bits of the
// expansion. Old .htpasswd files hold such hashes (13 characters), and Node's crypto has nothing for them.

const CHARACTERS = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

// Tables of FIPS 46-3; bit 1 is the first.
const IP = [
  58, 50, 42, 34, 26, 18, 10, 2, 60, 52, 44, 36, 28, 20, 12, 4, 62, 54, 46, 38, 30, 22, 14, 6, 64, 56, 48, 40, 32, 24,
  16, 8, 57, 49, 41, 33, 25, 17, 9, 1, 59, 51, 43, 35, 27, 19, 11, 3, 61, 53, 45, 37, 29, 21, 13, 5, 63, 55, 47, 39, 31,
  23, 15, 7,
];
const E = [
  32, 1, 2, 3, 4, 5, 4, 5, 6, 7, 8, 9, 8, 9, 10, 11, 12, 13, 12, 13, 14, 15, 16, 17, 16, 17, 18, 19, 20, 21, 20, 21, 22,
  23, 24, 25, 24, 25, 26, 27, 28, 29, 28, 29, 30, 31, 32, 1,
];
const P = [
  16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10, 2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6, 22, 11, 4, 25,
];
const PC1 = [
  57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60, 52, 44, 36, 63, 55,
  47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 28, 20, 12, 4,
];
const PC2 = [
  14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2, 41, 52, 31, 37, 47, 55, 30,
  40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32,
];
const SHIFTS = [1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1];
/** The eight S-boxes, four rows of sixteen hexadecimal digits each. */
const S = [
  'e4d12fb83a6c59070f74e2d1a6cb953841e8d62bfc973a50fc8249175b3ea06d',
  'f18e6b34972dc05a3d47f28ec01a69b50e7ba4d158c6932fd8a13f42b67c05e9',
  'a09e63f51dc7b428d709346a285ecbf1d6498f30b12c5ae71ad069874fe3b52c',
  '7de3069a1285bc4fd8b56f03472c1ae9a690cb7df13e52843f06a1d8945bc72e',
  '2c417ab6853fd0e9eb2c47d150fa3986421bad78f9c5630eb8c71e2d6f09a453',
  'c1af92680d34e75baf427c9561de0b389ef528c3704a1db6432c95fabe17608d',
  '4b2ef08d3c975a61d0b7491ae35c2f8614bdc37eaf6805926bd814a7950fe23c',
  'd2846fb1a93e50c71fd8a374c56b0e927b419ce206adf35821e74a8dfc90356b',
];

function pick(bits: Uint8Array, table: readonly number[]): Uint8Array {
  return Uint8Array.from(table, (from) => bits[from - 1]!);
}

/** The sixteen round keys of a key of 64 bits. */
function roundKeys(key: Uint8Array): Uint8Array[] {
  let halves = pick(key, PC1);
  return SHIFTS.map((shift) => {
    const next = new Uint8Array(56);
    for (let i = 0; i < 28; i++) {
      next[i] = halves[(i + shift) % 28]!;
      next[i + 28] = halves[28 + ((i + shift) % 28)]!;
    }
    halves = next;
    return pick(halves, PC2);
  });
}

/** The round function: expansion (bits swapped by the salt), key, S-boxes, permutation. */
function mix(right: Uint8Array, key: Uint8Array, salt: number): Uint8Array {
  const wide = pick(right, E);
  for (let i = 0; i < 24; i++) {
    if ((salt >> i) & 1) [wide[i], wide[i + 24]] = [wide[i + 24]!, wide[i]!];
  }
  const narrow = new Uint8Array(32);
  for (let box = 0; box < 8; box++) {
    const at = box * 6;
    const bit = (i: number): number => wide[at + i]! ^ key[at + i]!;
    const row = bit(0) * 2 + bit(5);
    const column = bit(1) * 8 + bit(2) * 4 + bit(3) * 2 + bit(4);
    const value = Number.parseInt(S[box]![row * 16 + column]!, 16);
    for (let i = 0; i < 4; i++) narrow[box * 4 + i] = (value >> (3 - i)) & 1;
  }
  return pick(narrow, P);
}

/** crypt(3) of old; undefined when the salt is none. */
export function desCrypt(password: string, salt: string): string | undefined {
  const first = CHARACTERS.indexOf(salt[0] ?? '?');
  const second = CHARACTERS.indexOf(salt[1] ?? '?');
  if (first < 0 || second < 0) return undefined;
  const key = new Uint8Array(64);
  for (let i = 0; i < Math.min(8, password.length); i++) {
    const byte = password.charCodeAt(i);
    for (let bit = 0; bit < 7; bit++) key[i * 8 + bit] = (byte >> (6 - bit)) & 1;
  }
  const keys = roundKeys(key);
  let left: Uint8Array = new Uint8Array(32);
  let right: Uint8Array = new Uint8Array(32);
  // The initial permutation of zeros is zeros, and between two encryptions it undoes the final one.
  for (let turn = 0; turn < 25; turn++) {
    for (const round of keys)
      [left, right] = [right, mix(right, round, first | (second << 6)).map((b, i) => b ^ left[i]!)];
    [left, right] = [right, left];
  }
  const bits = new Uint8Array(66);
  const joined = Uint8Array.of(...left, ...right);
  IP.forEach((to, i) => {
    bits[to - 1] = joined[i]!;
  });
  let out = salt.slice(0, 2);
  for (let i = 0; i < 66; i += 6) {
    let value = 0;
    for (let bit = 0; bit < 6; bit++) value = value * 2 + bits[i + bit]!;
    out += CHARACTERS[value];
  }
  return out;
}
