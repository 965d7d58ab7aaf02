// The path of a request: percent-decoding, merging of slashes, dot segments, query and extension; and the escaping of
// what is sent on. Mirrors ngx_http_parse_complex_uri and ngx_escape_uri. Strings hold bytes (latin1).

export interface ParsedUri {
  /** Decoded and normalized path, starts with `/`. */
  readonly uri: string;
  /** Query without `?`, or ''. */
  readonly args: string;
  /** Whether normalization changed the path, so that it must be escaped again when it is sent on. */
  readonly isChanged: boolean;
}

const COMPLEX = /[%#]|\/\/|\/\.|\0/;

/** Normalizes path-and-query as sent. Returns undefined where nginx answers 400 (bad escape, NUL, above the root). */
export function parseUri(raw: string, mergesSlashes: boolean): ParsedUri | undefined {
  let path = raw;
  let args = '';
  const question = raw.indexOf('?');
  const hash = raw.indexOf('#');
  if (hash >= 0 && (question < 0 || hash < question)) path = raw.slice(0, hash);
  else if (question >= 0) {
    path = raw.slice(0, question);
    args = hash < 0 ? raw.slice(question + 1) : raw.slice(question + 1, hash);
  }
  if (!COMPLEX.test(path)) return { uri: path, args, isChanged: false };

  // Percent-decoding comes first and only once; a decoded `?` or `#` is part of the path, a decoded `/` or `.` counts
  // as itself.
  let decoded = '';
  for (let i = 0; i < path.length; i++) {
    const c = path.charCodeAt(i);
    if (c === 37) {
      const hex = path.slice(i + 1, i + 3);
      if (!/^[0-9A-Fa-f]{2}$/.test(hex)) return undefined;
      const byte = Number.parseInt(hex, 16);
      if (byte === 0) return undefined;
      decoded += String.fromCharCode(byte);
      i += 2;
    } else if (c === 0) return undefined;
    else decoded += path[i];
  }

  const segments: string[] = [];
  const parts = decoded.split('/');
  // parts[0] is '' (the path starts with a slash)
  for (let i = 1; i < parts.length; i++) {
    const part = parts[i]!;
    const isLast = i === parts.length - 1;
    if (part === '') {
      if (isLast || !mergesSlashes) segments.push('');
    } else if (part === '.') {
      if (isLast) segments.push('');
    } else if (part === '..') {
      // Without merging, `//..` takes back one slash, as nginx does.
      if (segments.length === 0) return undefined;
      segments.pop();
      if (isLast) segments.push('');
    } else segments.push(part);
  }
  const uri = `/${segments.join('/')}`;
  return { uri, args, isChanged: uri !== path };
}

/** Decodes `%XX` once. A broken escape loses its `%`, or all of it when only its second digit is wrong. */
export function unescapeUri(text: string): string {
  return unescapeAs(text, false);
}

/** Decodes what may stand decoded in a Location header, up to the first `?` (NGX_UNESCAPE_REDIRECT). */
export function unescapeRedirect(text: string): string {
  return unescapeAs(text, true);
}

/** ngx_unescape_uri. */
function unescapeAs(text: string, isRedirect: boolean): string {
  if (!text.includes('%')) return text;
  let out = '';
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (c === '?' && isRedirect) return out + text.slice(i);
    if (c !== '%') {
      out += c;
      continue;
    }
    const first = text[++i] ?? '';
    if (!HEX.test(first)) {
      out += first;
      continue;
    }
    const second = text[++i] ?? '';
    if (!HEX.test(second)) continue;
    const byte = Number.parseInt(first + second, 16);
    if (!isRedirect) out += String.fromCharCode(byte);
    else if (byte === 0x3f) return `${out}?${text.slice(i + 1)}`;
    else out += byte > 0x25 && byte < 0x7f ? String.fromCharCode(byte) : `%${first}${second}`;
  }
  return out;
}

const HEX = /[0-9A-Fa-f]/;

/** Escapes a path for a request line or a Location header: space, `#`, `%`, `?`, controls and bytes above 0x7e. */
export function escapeUri(text: string): string {
  return NEEDS_URI.test(text) ? text.replace(URI_BYTES, percent) : text;
}

/** Escapes CR and LF, which would end a header's line where a variable is part of its value. */
export function escapeLineBreaks(text: string): string {
  return text.replace(/[\r\n]/g, percent);
}

/** Escapes a value for a query string: also `&`, `+` and the reserved characters (NGX_ESCAPE_ARGS). */
export function escapeArgs(text: string): string {
  return text.replace(/[\x00-\x20"#%&+;?<>\\^`{|}\x7f-\xff]/g, percent);
}

/** Escapes everything but unreserved characters (NGX_ESCAPE_URI_COMPONENT). */
export function escapeComponent(text: string): string {
  return text.replace(/[^A-Za-z0-9\-._~]/g, percent);
}

const NEEDS_URI = /[\x00-\x20"#%<>?\\^`{|}\x7f-\xff]/;
const URI_BYTES = /[\x00-\x20"#%<>?\\^`{|}\x7f-\xff]/g;

function percent(c: string): string {
  return `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
}

/** The extension behind the last dot of the last path segment, or ''. */
export function extensionOf(uri: string): string {
  const dot = uri.lastIndexOf('.');
  return dot < 0 || dot < uri.lastIndexOf('/') + 1 || dot === uri.length - 1 ? '' : uri.slice(dot + 1);
}

/** Escapes text for HTML (`&`, `<`, `>`, `"`). */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (c) => (c === '&' ? '&amp;' : c === '<' ? '&lt;' : c === '>' ? '&gt;' : '&quot;'));
}
