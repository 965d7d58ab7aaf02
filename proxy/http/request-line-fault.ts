// Says what is wrong with a request line that is not a good one, or whether it may become one when more bytes come.
// The fast path (parseRequestLine) only knows good lines; this walks a bad or unfinished one byte by byte, as
// ngx_http_parse_request_line does, because the status, the log line and the moment of the answer follow from the place
// at which the walk stops.

export type LineFault = 'method' | 'old-method' | 'request' | 'version';

export interface LineState {
  /** undefined: nothing is wrong so far. */
  readonly fault: LineFault | undefined;
  /** The `H` of the protocol was reached: `$server_protocol` is then there, and empty. */
  readonly hasProtocol: boolean;
}

const TARGET = /[^\x00-\x20\x7f]*/y;
const ABSOLUTE = /[A-Za-z][A-Za-z0-9+.-]*(:|$)(\/|$)(\/|$)/y;
const HOST = /(\[[A-Za-z0-9:\-._~!$&'()*+,;=]*(\]|$)|[A-Za-z0-9.-]*)(:\d*)?/y;

/** Looks at `line`, which is whole (its end taken off) when `isWhole`. */
export function examineRequestLine(line: string, isWhole: boolean): LineState {
  const stop = (fault: LineFault | undefined, hasProtocol = false): LineState => ({ fault, hasProtocol });
  const method = /^[A-Z_-]*/.exec(line)![0];
  let at = method.length;
  if (at === line.length) return stop(isWhole ? 'method' : undefined);
  if (at === 0 || line[at] !== ' ') return stop('method');
  while (line[at] === ' ') at++;
  if (at === line.length) return stop(isWhole ? 'request' : undefined);
  if (line[at] !== '/') {
    ABSOLUTE.lastIndex = at;
    const scheme = ABSOLUTE.exec(line);
    if (!scheme) return stop('request');
    at += scheme[0].length;
    if (at === line.length) return stop(isWhole ? 'request' : undefined);
    HOST.lastIndex = at;
    at += HOST.exec(line)![0].length;
    if (at === line.length) return stop(isWhole ? 'request' : undefined);
    if (!/[/? ]/.test(line[at]!)) return stop('request');
  }
  TARGET.lastIndex = at;
  at += TARGET.exec(line)![0].length;
  if (at < line.length && line[at] !== ' ') return stop('request');
  while (line[at] === ' ') at++;
  if (at === line.length) return stop(isWhole && method !== 'GET' ? 'old-method' : undefined);
  if (line[at] !== 'H') return stop('request');
  const known = 'HTTP/';
  for (let i = 1; i < known.length; i++) {
    if (at + i === line.length) return stop(isWhole ? 'request' : undefined, true);
    if (line[at + i] !== known[i]) return stop('request', true);
  }
  return stop(versionFault(line.slice(at + known.length), isWhole), true);
}

function versionFault(text: string, isWhole: boolean): LineFault | undefined {
  const unfinished = isWhole ? 'request' : undefined;
  const major = /^\d*/.exec(text)![0];
  if (major === '') return text === '' ? unfinished : 'request';
  if (major.startsWith('0')) return 'request';
  if (major !== '1') return 'version';
  if (text.length === 1) return unfinished;
  const minor = /^\.(\d*)( *)/.exec(text.slice(1));
  if (!minor) return 'request';
  if (1 + minor[0].length < text.length) return 'request';
  if (minor[1] === '') return unfinished;
  return isMinorTooLarge(minor[1]!) ? 'request' : undefined;
}

/** nginx reads a further digit only while the number has two digits at most. */
export function isMinorTooLarge(digits: string): boolean {
  return digits.length > 3 && Number(digits.slice(0, -1)) > 99;
}
