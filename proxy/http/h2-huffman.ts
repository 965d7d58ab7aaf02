// The Huffman code of HPACK (RFC 7541 Appendix B). The code is canonical, so the length of each symbol's code, one
// base-36 digit a symbol (the last one is EOS), says everything.

const LENGTHS =
  'dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6cad67777777777777777777777878djde6' +
  'f56565666577666567655677777fbedskmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmolmnnllmlnmnnkmmmnmmn' +
  'qqkjmnmpqqqrrqopjlqrrqrollqqsrrrkoklmllnmmppooqnqrqqrrrrrsrrrrrqu';

const EOS = 256;

/** Code and length of each symbol. */
const CODES: readonly (readonly [code: number, length: number])[] = canonicalCodes();

function canonicalCodes(): [number, number][] {
  const lengths = [...LENGTHS].map((digit) => Number.parseInt(digit, 36));
  const symbols = lengths.map((_, symbol) => symbol).sort((a, b) => lengths[a]! - lengths[b]! || a - b);
  const codes: [number, number][] = [];
  let code = 0;
  let length = 0;
  for (const symbol of symbols) {
    code *= 2 ** (lengths[symbol]! - length);
    length = lengths[symbol]!;
    codes[symbol] = [code++, length];
  }
  return codes;
}

/** A binary tree in an array: two slots a node; a value > 0 is the next node, < 0 the symbol -value - 1. */
const TREE: Int16Array = buildTree();

function buildTree(): Int16Array {
  const tree = new Int16Array(2 * CODES.length);
  let nodes = 1;
  CODES.forEach(([code, length], symbol) => {
    let node = 0;
    for (let bit = length - 1; bit >= 0; bit--) {
      const slot = node * 2 + (Math.floor(code / 2 ** bit) & 1);
      if (bit === 0) tree[slot] = -symbol - 1;
      else {
        if (tree[slot] === 0) tree[slot] = nodes++;
        node = tree[slot]!;
      }
    }
  });
  return tree;
}

/** Encodes a byte string; undefined when that would not make it shorter. */
export function encodeHuffman(text: string): string | undefined {
  let bits = 0;
  for (let i = 0; i < text.length; i++) bits += CODES[text.charCodeAt(i)]![1];
  const bytes = Math.ceil(bits / 8);
  if (bytes >= text.length) return undefined;
  let out = '';
  let held = 0;
  let count = 0;
  for (let i = 0; i < text.length; i++) {
    const [code, length] = CODES[text.charCodeAt(i)]!;
    // At most 7 bits are held back, and codes have up to 30: beyond what integer operators can do.
    held = held * 2 ** length + code;
    count += length;
    while (count >= 8) {
      const unit = 2 ** (count - 8);
      const byte = Math.floor(held / unit);
      out += String.fromCharCode(byte);
      held -= byte * unit;
      count -= 8;
    }
  }
  if (count > 0) out += String.fromCharCode(((held + 1) * 2 ** (8 - count) - 1) & 255);
  return out;
}

/** Decodes to a byte string (latin1); undefined when the code or its padding is wrong. */
export function decodeHuffman(bytes: Buffer): string | undefined {
  const out: number[] = [];
  let node = 0;
  let depth = 0;
  let isOnes = true;
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit--) {
      const one = (byte >> bit) & 1;
      const next = TREE[node * 2 + one]!;
      depth++;
      if (one === 0) isOnes = false;
      if (next > 0) {
        node = next;
        continue;
      }
      const symbol = -next - 1;
      if (symbol === EOS) return undefined;
      out.push(symbol);
      node = 0;
      depth = 0;
      isOnes = true;
    }
  }
  // What is left is padding, all ones. The RFC wants fewer than 8 bits; nginx takes a whole byte as well.
  if (depth > 8 || !isOnes) return undefined;
  return Buffer.from(out).toString('latin1');
}
