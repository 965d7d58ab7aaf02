// OpenSSL's errors as nginx prints them: `(SSL: error:0A0000B9:SSL routines::no cipher match)`.
import { readFileSync } from 'node:fs';
import { ConfigError, errnoText } from '../config/error.ts';

/** ` (SSL: …)`-style text of an error of node:tls; `data` is the detail that OpenSSL keeps apart. */
export function sslError(error: unknown, data?: string): string {
  const { message, opensslErrorStack } = error as { message: string; opensslErrorStack?: readonly string[] };
  const texts = [...(opensslErrorStack ?? []), message].map(plainError).filter((text) => text !== '');
  const last = texts.at(-1) ?? message;
  return `(SSL: ${last}${data === undefined ? '' : `:${data}`})`;
}

/** `error:CODE:LIBRARY::REASON`, without the function, file and line that the runtime adds. */
export function plainError(message: string): string {
  const match = /error:([0-9A-F]+):([^:]*):([^:]*):([^:\n]*)/.exec(message);
  return match ? `error:${match[1]}:${match[2]}::${match[4]}` : message;
}

/** `cannot load WHAT: CALL failed (SSL: …)`. */
export function cannotLoad(what: string, call: string, error: unknown, data?: string): ConfigError {
  return new ConfigError(`cannot load ${what}: ${call} failed ${sslError(error, data)}`);
}

/** Reads a file; `say` makes the message from OpenSSL's reason. Throws ConfigError. */
export function readPem(path: string, say: (why: string) => string, mode = 'r'): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const [number, text] = /^\((\d+): (.*)\)$/.exec(errnoText(error))!.slice(1) as [string, string];
    const code = (0x80000000 + Number(number)).toString(16).toUpperCase();
    const bio =
      number === '2' ? 'error:10000080:BIO routines::no such file' : 'error:10080002:BIO routines::system lib';
    throw new ConfigError(say(`(SSL: error:${code}:system library::${text}:calling fopen(${path}, ${mode}) ${bio})`));
  }
}
