// A scenario file: a load in YAML, for what a command line gets too long for (a mix of requests with bodies, thresholds). Every
// field is checked, and a mistake is told as FILE:LINE: FIELD: what is wrong. Field names follow the flags.
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { isMap, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { originOf } from '../client/exchange.ts';
import { parseThreshold, type Threshold } from '../measure/thresholds.ts';
import type { PlannedRequest } from '../plan.ts';
import { parseDuration, parseRate, parseSize, parseStages, type Stage } from '../units.ts';

/** A mistake in a scenario file; the message has file, line and field. */
export class LoadFileError extends RangeError {
  override name = 'LoadFileError';
}

/** The fields of a file that were given. */
export interface LoadFile {
  name?: string;
  mix: PlannedRequest[];
  order?: 'weighted' | 'sequence';
  connections?: (durationMs: number) => Stage[];
  rate?: (durationMs: number) => Stage[];
  isPoisson?: boolean;
  durationMs?: number;
  requests?: number;
  warmupMs?: number;
  thinkMs?: [number, number];
  isHttp2?: boolean;
  streams?: number;
  isKeepalive?: boolean;
  reconnectAfter?: number;
  sendRate?: number;
  readRate?: number;
  timeoutMs?: number;
  cacert?: string;
  isInsecure?: boolean;
  seed?: number;
  failIf: Threshold[];
}

type Fail = (at: Node | null | undefined, field: string, what: string) => never;
type Reader = (node: Node, field: string, into: LoadFile, context: Context) => void;

interface Context {
  readonly fail: Fail;
  readonly directory: string;
  base: string | undefined;
}

/** Reads and checks a file. Throws LoadFileError. */
export function readLoadFile(path: string): LoadFile {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new LoadFileError((error as Error).message);
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const [broken] = document.errors;
  if (broken !== undefined) throw new LoadFileError(`${path}:${lines.linePos(broken.pos[0]).line}: ${broken.message}`);
  const fail: Fail = (at, field, what) => {
    const line = at?.range === undefined || at.range === null ? 1 : lines.linePos(at.range[0]).line;
    throw new LoadFileError(`${path}:${line}: ${field}: ${what}`);
  };
  const root = document.contents;
  if (!isMap(root)) return fail(root, 'file', 'must be a mapping with requests in it');
  const context: Context = { fail, directory: dirname(resolve(path)), base: undefined };
  const into: LoadFile = { mix: [], failIf: [] };
  const entries = fieldsOf(root, '', FIELDS, context);
  // The base comes first, wherever it stands: the requests' URLs start from it.
  const base = entries.find(({ name }) => name === 'url');
  if (base !== undefined) context.base = urlOf(stringOf(base.node, 'url', context), base.node, 'url', context);
  for (const { name, node } of entries) FIELDS[name]!(node, name, into, context);
  if (into.mix.length === 0) {
    if (context.base === undefined) return fail(root, 'requests', 'is missing; name at least one request, or a url');
    into.mix.push({
      name: context.base,
      url: context.base,
      method: 'GET',
      headers: [],
      body: undefined,
      weight: 1,
      expect: undefined,
    });
  }
  return into;
}

function fieldsOf<T>(
  node: Node,
  at: string,
  known: Record<string, T>,
  { fail }: Context,
): Array<{ name: string; node: Node }> {
  if (!isMap(node)) return fail(node, at, 'must be a mapping');
  return node.items.map(({ key, value }) => {
    const name = String((key as { value?: unknown }).value ?? key);
    const field = at === '' ? name : `${at}.${name}`;
    if (!Object.hasOwn(known, name))
      fail(key as Node, field, `is no field; there are: ${Object.keys(known).join(', ')}`);
    if (value === null || (value as { value?: unknown }).value === null) fail(key as Node, field, 'has no value');
    return { name, node: value as Node };
  });
}

const FIELDS: Record<string, Reader> = {
  name: (node, field, into, context) => void (into.name = stringOf(node, field, context)),
  url: () => {},
  requests: (node, field, into, context) => {
    if (!isSeq(node)) return context.fail(node, field, 'must be a list');
    into.mix = node.items.map((item, index) => requestOf(item as Node, `${field}[${index}]`, context));
  },
  order: (node, field, into, context) =>
    void (into.order = choiceOf(node, field, ['weighted', 'sequence'] as const, context)),
  connections: (node, field, into, context) => void (into.connections = stagesOf(node, field, Number, context)),
  rate: (node, field, into, context) => void (into.rate = stagesOf(node, field, parseRate, context)),
  arrivals: (node, field, into, context) =>
    void (into.isPoisson = choiceOf(node, field, ['constant', 'poisson'] as const, context) === 'poisson'),
  duration: (node, field, into, context) => void (into.durationMs = parsed(node, field, parseDuration, context)),
  count: (node, field, into, context) => void (into.requests = numberOf(node, field, 1, context)),
  warmup: (node, field, into, context) => void (into.warmupMs = parsed(node, field, parseDuration, context)),
  think: (node, field, into, context) =>
    void (into.thinkMs = parsed(
      node,
      field,
      (text): [number, number] => {
        const [least, most] = text.split('-').map(parseDuration);
        return [least!, most ?? least!];
      },
      context,
    )),
  http2: (node, field, into, context) => void (into.isHttp2 = booleanOf(node, field, context)),
  streams: (node, field, into, context) => void (into.streams = numberOf(node, field, 1, context)),
  keepalive: (node, field, into, context) => void (into.isKeepalive = booleanOf(node, field, context)),
  reconnect: (node, field, into, context) => void (into.reconnectAfter = numberOf(node, field, 1, context)),
  'slow-send': (node, field, into, context) => void (into.sendRate = parsed(node, field, parseSize, context)),
  'slow-read': (node, field, into, context) => void (into.readRate = parsed(node, field, parseSize, context)),
  timeout: (node, field, into, context) => void (into.timeoutMs = parsed(node, field, parseDuration, context)),
  cacert: (node, field, into, context) =>
    void (into.cacert = resolve(context.directory, stringOf(node, field, context))),
  insecure: (node, field, into, context) => void (into.isInsecure = booleanOf(node, field, context)),
  seed: (node, field, into, context) => void (into.seed = numberOf(node, field, 0, context)),
  'fail-if': (node, field, into, context) => {
    const items = isSeq(node) ? node.items : [node];
    into.failIf = items.map((item, index) =>
      parsed(item as Node, isSeq(node) ? `${field}[${index}]` : field, parseThreshold, context),
    );
  },
};

const REQUEST_FIELDS = { name: 0, url: 0, method: 0, headers: 0, body: 0, json: 0, weight: 0, expect: 0 };

function requestOf(node: Node, at: string, context: Context): PlannedRequest {
  if (!isMap(node)) {
    const url = urlOf(stringOf(node, at, context), node, at, context);
    return { name: url, url, method: 'GET', headers: [], body: undefined, weight: 1, expect: undefined };
  }
  const given = new Map(fieldsOf(node, at, REQUEST_FIELDS, context).map(({ name, node: value }) => [name, value]));
  const of = <T>(name: string, read: (value: Node, field: string) => T): T | undefined => {
    const value = given.get(name);
    return value === undefined ? undefined : read(value, `${at}.${name}`);
  };
  const text = (value: Node, field: string): string => stringOf(value, field, context);
  const url = of('url', (value, field) => urlOf(text(value, field), value, field, context)) ?? context.base;
  if (url === undefined) return context.fail(node, `${at}.url`, 'is missing');
  const json = of('json', (value) => Buffer.from(JSON.stringify(value.toJSON())));
  if (json !== undefined && given.has('body')) context.fail(node, `${at}.body`, 'cannot stand beside json');
  const body = json ?? of('body', (value, field) => bodyText(text(value, field), value, field, context));
  const headers = of('headers', (value, field) => headersOf(value, field, context)) ?? [];
  if (json !== undefined && !headers.some(([name]) => name.toLowerCase() === 'content-type'))
    headers.push(['Content-Type', 'application/json']);
  return {
    name: of('name', text) ?? url,
    url,
    method: (of('method', text) ?? (body === undefined ? 'GET' : 'POST')).toUpperCase(),
    headers,
    body,
    weight: of('weight', (value, field) => numberOf(value, field, 1, context)) ?? 1,
    expect: of('expect', (value, field) => {
      const items = isSeq(value) ? value.items : [value];
      return items.map((item) => numberOf(item as Node, field, 100, context));
    }),
  };
}

function bodyText(text: string, node: Node, field: string, { directory, fail }: Context): Uint8Array {
  if (!text.startsWith('@')) return Buffer.from(text);
  try {
    return readFileSync(resolve(directory, text.slice(1)));
  } catch (error) {
    return fail(node, field, (error as Error).message);
  }
}

function headersOf(node: Node, field: string, context: Context): Array<readonly [string, string]> {
  if (!isMap(node)) return context.fail(node, field, 'must be a mapping of names to values');
  return node.items.map(({ key, value }) => {
    const name = String((key as { value?: unknown }).value ?? key);
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) context.fail(key as Node, `${field}.${name}`, 'is no header name');
    const text = stringOf(value as Node, `${field}.${name}`, context);
    if (/[\r\n\0]/.test(text)) context.fail(value as Node, `${field}.${name}`, 'cannot hold a line end');
    return [name, text] as const;
  });
}

function urlOf(text: string, node: Node, field: string, context: Context): string {
  try {
    const url = context.base === undefined || text.includes('://') ? text : new URL(text, context.base).href;
    originOf(url);
    return url;
  } catch (error) {
    return context.fail(node, field, (error as Error).message);
  }
}

function plainValueOf(node: Node | null): unknown {
  return (node as { value?: unknown } | null)?.value;
}

function stringOf(node: Node, field: string, { fail }: Context): string {
  const value = plainValueOf(node);
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return String(value);
  return fail(node, field, 'must be text');
}

function numberOf(node: Node, field: string, least: number, { fail }: Context): number {
  const value = plainValueOf(node);
  if (typeof value === 'number' && value >= least) return value;
  return fail(node, field, `must be a number from ${least} on`);
}

function booleanOf(node: Node, field: string, { fail }: Context): boolean {
  const value = plainValueOf(node);
  return typeof value === 'boolean' ? value : fail(node, field, 'must be true or false');
}

function choiceOf<T extends string>(node: Node, field: string, choices: readonly T[], { fail }: Context): T {
  const value = plainValueOf(node);
  return choices.find((choice) => choice === value) ?? fail(node, field, `must be ${choices.join(' or ')}`);
}

function parsed<T>(node: Node, field: string, parse: (text: string) => T, context: Context): T {
  const text = stringOf(node, field, context);
  try {
    return parse(text);
  } catch (error) {
    return context.fail(node, field, (error as Error).message);
  }
}

/** Checked at once, computed when the duration is known. */
function stagesOf(
  node: Node,
  field: string,
  parseLevel: (text: string) => number,
  context: Context,
): (durationMs: number) => Stage[] {
  const text = stringOf(node, field, context);
  const read = (durationMs: number): Stage[] => {
    const stages = parseStages(text, parseLevel, durationMs);
    if (stages.some(({ from, to }) => !(from >= 0 && to >= 0)))
      throw new RangeError(`"${text}" is no level; write 50, or 10:5s,10-100:20s`);
    return stages;
  };
  parsed(node, field, () => read(1000), context);
  return read;
}
