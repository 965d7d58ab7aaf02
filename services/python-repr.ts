/**
 * How Python writes values in messages: `%r`, `str()`, tracebacks. The originals' log lines and error pages are full of them, and
 * people grep for those lines, so they are reproduced here and only here.
 */

/** A string as Python's repr() writes it, for text that holds one byte a character (latin-1), as header data does. */
export function reprString(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  let out = quote;
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    if (char === '\\' || char === quote) out += `\\${char}`;
    else if (char === '\n') out += '\\n';
    else if (char === '\r') out += '\\r';
    else if (char === '\t') out += '\\t';
    else if (code < 0x20 || (code >= 0x7f && code <= 0xa0) || code === 0xad)
      out += `\\x${code.toString(16).padStart(2, '0')}`;
    else out += char;
  }
  return out + quote;
}

/** Bytes as Python's repr() writes them. */
export function reprBytes(bytes: Uint8Array): string {
  const latin = Buffer.from(bytes).toString('latin1');
  const text = reprString(latin).replace(/[\u00a1-\u00ff]/g, (c) => `\\x${c.charCodeAt(0).toString(16)}`);
  return `b${text}`;
}

/** A plain value (null, boolean, number, string, array, object, function) as Python's repr() writes its counterpart. */
export function reprValue(value: unknown): string {
  if (value === null || value === undefined) return 'None';
  if (value === true) return 'True';
  if (value === false) return 'False';
  if (typeof value === 'string') return reprString(value);
  if (typeof value === 'function') return `<${value.name}()>`;
  if (Array.isArray(value)) return `[${value.map(reprValue).join(', ')}]`;
  if (value instanceof Uint8Array) return reprBytes(value);
  if (typeof value === 'object') {
    const members = Object.entries(value).map(([key, member]) => `${reprString(key)}: ${reprValue(member)}`);
    return `{${members.join(', ')}}`;
  }
  return String(value);
}

/** An error as a log shows it: the stack that Node gives, under Python's heading, so that log scrapers find the block. */
export function traceback(error: unknown): string {
  if (!(error instanceof Error)) return `Traceback (most recent call last):\n${String(error)}`;
  const [, ...frames] = (error.stack ?? '').split(/\n(?=\s+at )/);
  const lines = frames.reverse().map((frame) => `  ${frame.trim().replace(/\n\s*/g, ' ')}`);
  return ['Traceback (most recent call last):', ...lines, `${error.name}: ${error.message}`].join('\n');
}
