// The four files under certs/live/ that the rest of Portico reads: ca.pem, ca-key.pem, leaf.pem, leaf-key.pem.
// Promises: a reader sees the old file or the new one, never half of one (written aside, flushed, renamed); private
// keys are mode 0600; a file that cannot be read or parsed is one CertificateFileError that names it and says what to do.
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

/** The files' names inside the directory. `leaf.pem` holds the leaf and then its authority, as nginx's ssl_certificate wants. */
export const LIVE_FILES = {
  authority: 'ca.pem',
  authorityKey: 'ca-key.pem',
  leaf: 'leaf.pem',
  leafKey: 'leaf-key.pem',
} as const;

/** A file under certs/live that stands in the way; the message is one line and ends with the remedy. */
export class CertificateFileError extends Error {
  override name = 'CertificateFileError';
}

/** Reads a PEM certificate (the first, where a chain is in the file), or undefined where there is no such file. */
export function readCertificate(path: string, remedy: string): X509Certificate | undefined {
  const text = readIfThere(path, remedy);
  if (text === undefined) return undefined;
  try {
    return new X509Certificate(text);
  } catch {
    throw new CertificateFileError(`${path}: not a PEM certificate; ${remedy}`);
  }
}

/** Reads a PEM private key, or undefined where there is no such file; a key that others may read is made private first. */
export function readPrivateKey(path: string, remedy: string): KeyObject | undefined {
  const text = readIfThere(path, remedy);
  if (text === undefined) return undefined;
  if ((statSync(path).mode & 0o077) !== 0) {
    try {
      chmodSync(path, 0o600);
    } catch (error) {
      throw new CertificateFileError(
        `${path}: others may read this key and its mode cannot be changed (${codeOf(error)}); chmod 600 it as its owner`,
      );
    }
  }
  try {
    return createPrivateKey(text);
  } catch {
    throw new CertificateFileError(`${path}: not a PEM private key; ${remedy}`);
  }
}

/** Replaces the file in one step; `mode` is the new file's, whatever the umask says. */
export function writeAtomically(directory: string, name: string, text: string, mode: number): void {
  const path = join(directory, name);
  const aside = join(directory, `.${name}.${process.pid}`);
  try {
    mkdirSync(directory, { recursive: true });
    rmSync(aside, { force: true });
    const fd = openSync(aside, 'wx', mode);
    try {
      writeFileSync(fd, text);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    chmodSync(aside, mode);
    renameSync(aside, path);
  } catch (error) {
    rmSync(aside, { force: true });
    throw new CertificateFileError(
      `${path}: cannot be written (${codeOf(error)}); make ${directory} writable for this user, or choose another with --dir`,
    );
  }
}

function readIfThere(path: string, remedy: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT') return undefined;
    throw new CertificateFileError(`${path}: cannot be read (${code}); make it readable for this user, or ${remedy}`);
  }
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}
