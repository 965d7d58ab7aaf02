// The Huffman code of HPACK (RFC 7541 Appendix B). The code is canonical, so the length of each symbol's code, one
// base-36 digit a symbol (the last one is EOS), says everything.

const LENGTHS =
  'dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6cad67777777777777777777777878djde6' +
  'f56565666577666567655677777fbedskmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmolmnnllmlnmnnkmmmnmmn' +
  'qqkjmnmpqqqrrqopjlqrrqrollqqsrrrkoklmllnmmppooqnqrqqrrrrrsrrrrrqu';

const EOS = 256;

/** A binary tree in an array: two slots a node; a value > 0 is the next node, < 0 the symbol -value - 1. */
const TREE: Int16Array = buildTree();

function buildTree(): Int16Array {
  const lengths = [...LENGTHS].map((digit) => Number.parseInt(digit, 36));
  const symbols = lengths.map((_, symbol) => symbol).sort((a, b) => lengths[a]! - lengths[b]! || a - b);
  const tree = new Int16Array(2 * symbols.length);
  let nodes = 1;
  let code = 0;
  let length = 0;
  for (const symbol of symbols) {
    code *= 2 ** (lengths[symbol]! - length);
    length = lengths[symbol]!;
    let node = 0;
    for (let bit = length - 1; bit >= 0; bit--) {
      const slot = node * 2 + (Math.floor(code / 2 ** bit) & 1);
      if (bit === 0) tree[slot] = -symbol - 1;
      else {
        if (tree[slot] === 0) tree[slot] = nodes++;
        node = tree[slot]!;
      }
    }
    code++;
  }
  return tree;
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
  // What is left is padding: fewer than 8 bits, all of them ones.
  if (depth > 7 || !isOnes) return undefined;
  return Buffer.from(out).toString('latin1');
}
