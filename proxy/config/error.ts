// What a bad configuration raises. The text is nginx's own, so that people (and their scripts) recognize it.

/** A configuration error in nginx's words; `message` already ends in ` in FILE:LINE` where a place is known. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly level: 'emerg' | 'alert';
  /** The text itself was understood; the mistake is in what it makes. */
  readonly isSyntaxOk: boolean;

  constructor(message: string, level: 'emerg' | 'alert' = 'emerg', isSyntaxOk = false) {
    super(message);
    this.level = level;
    this.isSyntaxOk = isSyntaxOk;
  }
}

/** Where a directive stands. */
export interface Place {
  readonly file: string;
  readonly line: number;
}

/** Builds the error that nginx logs for a directive at `place`. */
export function errorAt(place: Place, message: string): ConfigError {
  return new ConfigError(`${message} in ${place.file}:${place.line}`);
}

const ERRNO: Record<string, [number, string]> = {
  EPERM: [1, 'Operation not permitted'],
  ENOENT: [2, 'No such file or directory'],
  EIO: [5, 'Input/output error'],
  EBADF: [9, 'Bad file descriptor'],
  EAGAIN: [11, 'Resource temporarily unavailable'],
  EACCES: [13, 'Permission denied'],
  EEXIST: [17, 'File exists'],
  ENOTDIR: [20, 'Not a directory'],
  EISDIR: [21, 'Is a directory'],
  EINVAL: [22, 'Invalid argument'],
  EMFILE: [24, 'Too many open files'],
  ENOSPC: [28, 'No space left on device'],
  EROFS: [30, 'Read-only file system'],
  EPIPE: [32, 'Broken pipe'],
  ENAMETOOLONG: [36, 'File name too long'],
  ELOOP: [40, 'Too many levels of symbolic links'],
  EPROTOTYPE: [91, 'Protocol wrong type for socket'],
  EADDRINUSE: [98, 'Address already in use'],
  EADDRNOTAVAIL: [99, 'Cannot assign requested address'],
  ENETUNREACH: [101, 'Network is unreachable'],
  ECONNABORTED: [103, 'Software caused connection abort'],
  ECONNRESET: [104, 'Connection reset by peer'],
  ETIMEDOUT: [110, 'Connection timed out'],
  ECONNREFUSED: [111, 'Connection refused'],
  EHOSTUNREACH: [113, 'No route to host'],
};

/** `(2: No such file or directory)` for a Node system error, as nginx prints an errno (Linux numbers). */
export function errnoText(error: unknown): string {
  const { code, errno, message } = error as { code?: string; errno?: number; message?: string };
  const known = code === undefined ? undefined : ERRNO[code];
  if (known) return `(${known[0]}: ${known[1]})`;
  return `(${Math.abs(errno ?? 0)}: ${code ?? message ?? 'unknown error'})`;
}
