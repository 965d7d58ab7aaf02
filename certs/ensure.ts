// Makes certs/live/ hold an authority and a leaf that are good, doing as little as it can: nothing when all is well, a
// new leaf when the leaf is stale, a new authority only when there is none or it ends soon, for that one the user must
// trust again. The authority's key is needed only to sign, so a user may keep it elsewhere once the leaf is there.
import type { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { issueAuthority, issueLeaf, type KeyPairPem } from './authority.ts';
import { CertificateFileError, LIVE_FILES, readCertificate, readPrivateKey, writeAtomically } from './live-files.ts';
import { dateOf, namesOf, whyRenewLeaf, whyReplaceAuthority } from './renewal.ts';

/** Every leaf is good for these, whatever else is asked for. */
export const LOCAL_NAMES: readonly string[] = ['localhost', '127.0.0.1', '::1'];

/** What was done, in lines for the log, and whether the authority is new (and so not yet trusted by anyone). */
export interface EnsureReport {
  lines: string[];
  isAuthorityNew: boolean;
}

/** Brings `directory` into order for `names` and reports; throws CertificateFileError when a file stands in the way. */
export async function ensureCertificates(
  directory: string,
  names: readonly string[],
  now: Date = new Date(),
): Promise<EnsureReport> {
  const lines: string[] = [];
  const at = (name: keyof typeof LIVE_FILES): string => join(directory, LIVE_FILES[name]);
  const wanted = [...new Set([...LOCAL_NAMES, ...names])];

  const restart = `remove ${directory} to start with a new authority (which must then be trusted anew)`;
  let authority = readCertificate(at('authority'), restart);
  const reason = authority === undefined ? 'there was none' : whyReplaceAuthority(authority, now);
  const isAuthorityNew = reason !== undefined;
  if (reason !== undefined) {
    const made = await issueAuthority(now);
    writeAtomically(directory, LIVE_FILES.authorityKey, made.key, 0o600);
    writeAtomically(directory, LIVE_FILES.authority, made.cert, 0o644);
    authority = readCertificate(at('authority'), restart)!;
    lines.push(`${at('authority')}: new local authority, until ${dateOf(authority.validToDate)} (${reason})`);
  }

  const renew = `remove ${at('leaf')} and ${at('leafKey')} to have them made again`;
  const leaf = readCertificate(at('leaf'), renew);
  const leafKey = readPrivateKey(at('leafKey'), renew);
  const stale = leaf === undefined ? 'there was none' : whyRenewLeaf(leaf, leafKey, authority!, wanted, now);
  if (leaf !== undefined && stale === undefined) {
    lines.push(`${at('leaf')}: good until ${dateOf(leaf.validToDate)} for ${namesOf(leaf).join(', ')}`);
    return { lines, isAuthorityNew };
  }

  // Names that an earlier call asked for stay, so that two callers with different lists do not undo each other.
  const kept = leaf === undefined ? [] : namesOf(leaf).filter((name) => !isIP(name) && !wanted.includes(name));
  const signed = await issueLeaf(readAuthority(directory, authority!, restart), [...wanted, ...kept], now);
  writeAtomically(directory, LIVE_FILES.leafKey, signed.key, 0o600);
  writeAtomically(directory, LIVE_FILES.leaf, `${signed.cert.trimEnd()}\n${authority!.toString()}`, 0o644);
  const fresh = readCertificate(at('leaf'), renew)!;
  lines.push(`${at('leaf')}: signed until ${dateOf(fresh.validToDate)} for ${namesOf(fresh).join(', ')} (${stale})`);
  return { lines, isAuthorityNew };
}

function readAuthority(directory: string, authority: X509Certificate, restart: string): KeyPairPem {
  const path = join(directory, LIVE_FILES.authorityKey);
  const key = readPrivateKey(path, restart);
  if (key === undefined) {
    throw new CertificateFileError(`${path}: missing, and a new leaf must be signed; put it back, or ${restart}`);
  }
  if (!authority.checkPrivateKey(key)) {
    throw new CertificateFileError(`${path}: belongs to another certificate than ${LIVE_FILES.authority}; ${restart}`);
  }
  return { cert: authority.toString(), key: readFileSync(path, 'latin1') };
}
