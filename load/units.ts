// What people write on command lines and in scenario files, as numbers: durations (ms), rates (per second), sizes (bytes) and
// levels over time. Every parser throws RangeError with the text it was given and an example of what it takes.

const DURATION_MS: Record<string, number> = { us: 0.001, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const SIZE_BYTES: Record<string, number> = { '': 1, b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** A part of a run: the level (connections, or requests per second) goes from `from` to `to` in a straight line. */
export interface Stage {
  readonly durationMs: number;
  readonly from: number;
  readonly to: number;
}

/** `500ms`, `10s`, `1.5m`, `1m30s`; a bare number is seconds. In ms. */
export function parseDuration(text: string): number {
  const trimmed = text.trim();
  if (/^\d+(\.\d+)?$/.test(trimmed)) return Number(trimmed) * 1000;
  if (!/^(\d+(\.\d+)?(us|ms|s|m|h))+$/.test(trimmed))
    throw new RangeError(`"${text}" is no duration; write 500ms, 10s or 2m`);
  let ms = 0;
  for (const [, number, unit] of trimmed.matchAll(/(\d+(?:\.\d+)?)(us|ms|s|m|h)/g))
    ms += Number(number) * DURATION_MS[unit!]!;
  return ms;
}

/** `300`, `300rps`, `300/s`, `1.5k`, `18000/m`. Per second. */
export function parseRate(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(k?)(?:rps|\/s|\/(m))?$/.exec(text.trim());
  if (match === null) throw new RangeError(`"${text}" is no rate; write 300, 300rps or 1.5k`);
  return (Number(match[1]) * (match[2] === 'k' ? 1000 : 1)) / (match[3] === 'm' ? 60 : 1);
}

/** `100`, `64k`, `1m`. In bytes. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([bkmg]?)$/.exec(
    text
      .trim()
      .toLowerCase()
      .replace(/b?\/s$/, ''),
  );
  if (match === null) throw new RangeError(`"${text}" is no size; write 100, 64k or 1m`);
  return Number(match[1]) * SIZE_BYTES[match[2]!]!;
}

/** A whole number of at least `least`. */
export function parseCount(text: string, least: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text.trim()) || value < least)
    throw new RangeError(`"${text}" is no whole number from ${least} on`);
  return value;
}

/**
 * The level over time: `50` (for `durationMs`), or steps and ramps, `10:5s,10-100:20s,100:10s`. `parseLevel` reads one level.
 */
export function parseStages(text: string, parseLevel: (text: string) => number, durationMs: number): Stage[] {
  if (!text.includes(':')) {
    const level = parseLevel(text);
    return [{ durationMs, from: level, to: level }];
  }
  return text.split(',').map((part) => {
    const match = /^([^:-]+)(?:-([^:]+))?:(.+)$/.exec(part.trim());
    if (match === null)
      throw new RangeError(`"${part}" is no stage; write LEVEL:DURATION or FROM-TO:DURATION, as in 10-100:20s`);
    const from = parseLevel(match[1]!);
    return { from, to: match[2] === undefined ? from : parseLevel(match[2]), durationMs: parseDuration(match[3]!) };
  });
}

/** A number of ms for people: 0.42 ms, 12.3 ms, 1.25 s. */
export function showMs(ms: number): string {
  if (!Number.isFinite(ms)) return '-';
  if (ms >= 10_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms >= 1000) return `${(ms / 1000).toFixed(2)} s`;
  return `${ms >= 100 ? ms.toFixed(0) : ms >= 10 ? ms.toFixed(1) : ms.toFixed(2)} ms`;
}

/** A number of bytes for people. */
export function showBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const units = ['KB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = -1;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value.toFixed(value < 10 ? 2 : 1)} ${units[unit]}`;
}

/** A count or rate for people: three significant digits below 100, else with thousands separated. */
export function showNumber(value: number): string {
  if (!Number.isFinite(value)) return '-';
  if (Number.isInteger(value) || value >= 100) return Math.round(value).toLocaleString('en-US');
  return value.toFixed(value < 10 ? 2 : 1);
}

/** A share as a percentage: 0%, 0.02%, 3.4%, 87%. */
export function showShare(share: number): string {
  const percent = share * 100;
  if (!Number.isFinite(percent)) return '-';
  if (percent === 0) return '0%';
  return `${percent < 0.1 ? percent.toFixed(2) : percent < 10 ? percent.toFixed(1) : percent.toFixed(0)}%`;
}
