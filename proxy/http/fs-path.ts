// Byte-string paths (latin1) at the door of the file system.

/** A byte-string path as the file system wants it. */
export function fsPath(path: string): string | Buffer {
  return NOT_ASCII.test(path) ? Buffer.from(path, 'latin1') : path;
}

const NOT_ASCII = /[^\x00-\x7f]/;
