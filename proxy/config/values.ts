// Reads the values that directives take: times, sizes, flags, numbers. Each returns undefined on bad input; the row
// that called knows the directive's name and raises nginx's text. Mirrors ngx_parse.c.

const TIME_UNITS: readonly [string, number][] = [
  ['y', 365 * 86_400_000],
  ['M', 30 * 86_400_000],
  ['w', 7 * 86_400_000],
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
  ['', 1_000],
];

/** `1h30m`, `60`, `500ms` to ms; units only in falling order, each once, as nginx wants. A bare number is seconds. */
export function parseTimeMs(text: string): number | undefined {
  let total = 0;
  let step = 0;
  const part = /(\d+)(ms|[yMwdhms]?) */y;
  if (text === '') return undefined;
  while (part.lastIndex < text.length) {
    const match = part.exec(text);
    if (!match) return undefined;
    const at = TIME_UNITS.findIndex(([unit]) => unit === match[2]);
    if (at < step) return undefined;
    if (match[2] === '' && part.lastIndex < text.length) return undefined;
    step = at + 1;
    total += Number(match[1]) * TIME_UNITS[at]![1];
    if (!Number.isSafeInteger(total)) return undefined;
  }
  return total;
}

/** `8k`, `1m`, `512` to bytes; `g` too where the directive takes an offset. */
export function parseSizeBytes(text: string, allowGiga = false): number | undefined {
  const match = /^(\d+)([kKmMgG]?)$/.exec(text);
  if (!match) return undefined;
  const unit = match[2]!.toLowerCase();
  if (unit === 'g' && !allowGiga) return undefined;
  const value = Number(match[1]) * (unit === 'k' ? 1024 : unit === 'm' ? 1024 ** 2 : unit === 'g' ? 1024 ** 3 : 1);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** A non-negative decimal integer. */
export function parseCount(text: string): number | undefined {
  if (!/^\d+$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** `10%`-like or `1.5`-like numbers with up to `digits` decimals, scaled to an integer (ngx_atofp). */
export function parseFixed(text: string, digits: number): number | undefined {
  const match = /^(\d+)(?:\.(\d+))?$/.exec(text);
  if (!match || (match[2]?.length ?? 0) > digits) return undefined;
  return Number(match[1]) * 10 ** digits + Number((match[2] ?? '').padEnd(digits, '0') || 0);
}
