// A finished temporary file takes its place: in the cache, or where `proxy_store` wants it.
import { copyFileSync, renameSync, unlinkSync } from 'node:fs';

/** Renames, or copies where the two lie on different file systems. Throws system errors. */
export function moveFile(from: string, to: string | Buffer): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error;
    const part = typeof to === 'string' ? `${to}.part` : Buffer.concat([to, Buffer.from('.part')]);
    copyFileSync(from, part);
    renameSync(part, to);
    unlinkSync(from);
  }
}
