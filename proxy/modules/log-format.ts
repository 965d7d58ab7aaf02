// `log_format`: a line of the access log compiled once into literals and values, and the three ways of escaping
// (default: `\xHH` and `-` for what is not there; json; none). Mirrors ngx_http_log_compile_format and its operations.
import { isoTimeNow, localTimeNow, turnMs } from '../clock.ts';
import type { Cf } from '../config/rows.ts';
import type { VariableRef, VariableTable } from '../config/variables.ts';
import type { Exchange } from '../http/exchange.ts';

/** Makes a piece of a line of the access log. */
type Operation = (r: Exchange) => string;

/** Makes one line of the access log, without its newline. */
export interface LogFormat extends Operation {
  /** The same as values by the names of the variables, not escaped. */
  values(r: Exchange): Record<string, string>;
}

type Escaping = (value: string | undefined) => string;

/** `combined`, nginx's standard format. */
export const COMBINED =
  '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"';

const UNSAFE = /["\\\x00-\x1f\x7f-\xff]/;
const UNSAFE_BYTES = /["\\\x00-\x1f\x7f-\xff]/g;
const UNSAFE_JSON = /["\\\x00-\x1f]/;
const UNSAFE_JSON_BYTES = /["\\\x00-\x1f]/g;
const JSON_SHORT: Readonly<Record<string, string>> = {
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\b': '\\b',
  '\f': '\\f',
  '"': '\\"',
  '\\': '\\\\',
};

function hex(byte: string): string {
  return byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0');
}

const ESCAPINGS: Readonly<Record<string, Escaping>> = {
  default: (value) => {
    if (value === undefined) return '-';
    return UNSAFE.test(value) ? value.replace(UNSAFE_BYTES, (c) => `\\x${hex(c)}`) : value;
  },
  json: (value) => {
    if (value === undefined) return '';
    if (!UNSAFE_JSON.test(value)) return value;
    return value.replace(UNSAFE_JSON_BYTES, (c) => JSON_SHORT[c] ?? `\\u00${hex(c)}`);
  },
  none: (value) => value ?? '',
};

/** Seconds with three decimals, as nginx prints times; negative ones are 0. */
export function seconds(ms: number): string {
  const whole = Math.max(0, Math.floor(ms));
  return `${Math.floor(whole / 1000)}.${String(whole % 1000).padStart(3, '0')}`;
}

/** The status that the log shows: what the client was told, or would have been. */
export function loggedStatus(r: Exchange): string {
  const status = r.errStatus || r.out.status || (r.version === 9 ? 9 : 0);
  return status > 99 ? String(status) : String(status).padStart(3, '0');
}

/** What the log works out when the line is written, whatever a variable of that name was before. Never escaped. */
const OPERATIONS: Readonly<Record<string, Operation>> = {
  time_local: localTimeNow,
  time_iso8601: isoTimeNow,
  msec: () => seconds(turnMs()),
  request_time: (r) => seconds(turnMs() - r.startMs),
  status: loggedStatus,
  bytes_sent: (r) => String(r.main.bytesSent),
  body_bytes_sent: (r) => String(Math.max(0, r.main.bytesSent - r.main.headBytesSent)),
  request_length: (r) => String(r.main.requestLength),
};

/** Compiles a format whose words start at `cf.args[from]`, an `escape=` first among them. */
export function parseFormat(cf: Cf, from: number): LogFormat {
  let words = cf.args.slice(from);
  let escaping = ESCAPINGS['default']!;
  if (words[0]?.startsWith('escape=')) {
    const name = words[0].slice(7);
    escaping = ESCAPINGS[name] ?? cf.fail(`unknown log format escaping "${name}"`);
    words = words.slice(1);
  }
  return compileFormat(words, escaping, cf.compiler.variables, (message) => cf.fail(message));
}

/** The format of `COMBINED`. */
export function combinedFormat(table: VariableTable): LogFormat {
  return compileFormat([COMBINED], ESCAPINGS['default']!, table, (message) => {
    throw new Error(message);
  });
}

function compileFormat(
  words: readonly string[],
  escaping: Escaping,
  table: VariableTable,
  fail: (message: string) => never,
): LogFormat {
  const literals: string[] = [''];
  const values: (Operation | VariableRef)[] = [];
  const names: string[] = [];
  for (const word of words) {
    let at = 0;
    while (at < word.length) {
      const dollar = word.indexOf('$', at);
      const end = dollar < 0 ? word.length : dollar;
      literals[literals.length - 1] += word.slice(at, end);
      if (dollar < 0) break;
      const match = /^\$(?:\{([A-Za-z0-9_]*)(\}?)|([A-Za-z0-9_]*))/.exec(word.slice(dollar))!;
      const name = match[1] ?? match[3]!;
      if (match[1] !== undefined && name !== '' && match[2] === '') {
        fail(`the closing bracket in "${name}" variable is missing`);
      }
      if (name === '') fail(`invalid parameter "${word.slice(dollar)}"`);
      values.push(OPERATIONS[name] ?? table.named(name));
      names.push(name);
      literals.push('');
      at = dollar + match[0].length;
    }
  }
  const format: Operation = (r) => {
    let line = literals[0]!;
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      line += (typeof value === 'function' ? value(r) : escaping(value.get(r))) + literals[i + 1]!;
    }
    return line;
  };
  const named = (r: Exchange): Record<string, string> =>
    Object.fromEntries(
      values.map((value, i) => [names[i]!, typeof value === 'function' ? value(r) : (value.get(r) ?? '-')]),
    );
  return Object.assign(format, { values: named });
}
