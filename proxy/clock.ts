// Times as the wire and the logs write them, computed once a second.

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

function two(n: number): string {
  return n < 10 ? `0${n}` : String(n);
}

let cachedSecond = -1;
let httpNow = '';
let errorNow = '';
let localNow = '';
let isoNow = '';
let syslogNow = '';

function refresh(): void {
  const ms = turnMs();
  const second = Math.floor(ms / 1000);
  if (second === cachedSecond) return;
  cachedSecond = second;
  const d = new Date(ms);
  httpNow = httpDate(second);
  const time = `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
  const offset = -d.getTimezoneOffset();
  const sign = offset < 0 ? '-' : '+';
  const hours = two(Math.floor(Math.abs(offset) / 60));
  const minutes = two(Math.abs(offset) % 60);
  syslogNow = `${MONTHS[d.getMonth()]} ${String(d.getDate()).padStart(2)} ${time}`;
  errorNow = `${d.getFullYear()}/${two(d.getMonth() + 1)}/${two(d.getDate())} ${time}`;
  localNow = `${two(d.getDate())}/${MONTHS[d.getMonth()]}/${d.getFullYear()}:${time} ${sign}${hours}${minutes}`;
  isoNow = `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}T${time}${sign}${hours}:${minutes}`;
}

/** An HTTP date (RFC 9110 5.6.7) of Unix seconds. */
export function httpDate(seconds: number): string {
  const d = new Date(seconds * 1000);
  return `${DAYS[d.getUTCDay()]}, ${two(d.getUTCDate())} ${MONTHS[d.getUTCMonth()]} ${d.getUTCFullYear()} ${two(d.getUTCHours())}:${two(d.getUTCMinutes())}:${two(d.getUTCSeconds())} GMT`;
}

/** The `Date` header's value now. */
export function httpDateNow(): string {
  refresh();
  return httpNow;
}

/** `2026/11/22 14:00:00`, local time, as in error.log. */
export function errorTimeNow(): string {
  refresh();
  return errorNow;
}

/** `$time_local`. */
export function localTimeNow(): string {
  refresh();
  return localNow;
}

/** `$time_iso8601`. */
export function isoTimeNow(): string {
  refresh();
  return isoNow;
}

const HTTP_DATE =
  /^(?:(?:Sun|Mon|Tue|Wed|Thu|Fri|Sat), (\d{2}) (\w{3}) (\d{4})|\w+, (\d{2})-(\w{3})-(\d{2})|\w{3} (\w{3}) ([ \d]\d)) (\d{2}):(\d{2}):(\d{2})(?: GMT| (\d{4}))?$/;

/** Unix seconds of an HTTP date in any of its three forms; undefined when it is none. */
export function parseHttpDate(text: string): number | undefined {
  const m = HTTP_DATE.exec(text.trim());
  if (!m) return undefined;
  const day = Number(m[1] ?? m[4] ?? m[8]);
  const month = MONTHS.indexOf(m[2] ?? m[5] ?? m[7] ?? '');
  let year = Number(m[3] ?? m[12] ?? m[6]);
  if (m[6]) year += year < 70 ? 2000 : 1900;
  if (month < 0 || !year) return undefined;
  const ms = Date.UTC(year, month, day, Number(m[9]), Number(m[10]), Number(m[11]));
  return Number.isNaN(ms) ? undefined : Math.floor(ms / 1000);
}

let turn = 0;

function turnOver(): void {
  turn = 0;
}

/** Unix time in ms, the same all through one turn of the event loop, as nginx's cached time is. */
export function turnMs(): number {
  if (turn === 0) {
    turn = Date.now();
    setImmediate(turnOver);
  }
  return turn;
}

/** `Nov  2 14:00:00`, local time, as syslog has it. */
export function syslogTimeNow(): string {
  refresh();
  return syslogNow;
}
