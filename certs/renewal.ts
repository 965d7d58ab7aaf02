// Decides whether a certificate found on disk can still be used. Pure: it looks at certificates and a clock, reads no
// file and writes none, so that every rule of renewal stands here and can be tested with certificates of any age.
import type { KeyObject, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';

/** Certificates are renewed when they have less than this left, so that a stack left running for weeks does not expire. */
export const RENEW_BEFORE_MS = 30 * 86_400_000;

/** Says why the authority must be replaced, or undefined when it is good. */
export function whyReplaceAuthority(authority: X509Certificate, now: Date): string | undefined {
  if (!authority.ca) return 'it is not an authority';
  return whyTooOld(authority, now);
}

/** Says why the leaf must be signed anew, or undefined when it is good for every one of `names`. */
export function whyRenewLeaf(
  leaf: X509Certificate,
  key: KeyObject | undefined,
  authority: X509Certificate,
  names: readonly string[],
  now: Date,
): string | undefined {
  if (key === undefined) return 'its key is missing';
  if (!leaf.checkPrivateKey(key)) return 'its key belongs to another certificate';
  if (!leaf.checkIssued(authority) || !leaf.verify(authority.publicKey)) return 'it is signed by another authority';
  const missing = names.filter((name) => !isFor(leaf, name));
  if (missing.length > 0) return `it is not for ${missing.join(', ')}`;
  return whyTooOld(leaf, now);
}

/** The DNS names and IP addresses that a certificate is for, as its subjectAltName spells them. */
export function namesOf(certificate: X509Certificate): string[] {
  return (certificate.subjectAltName ?? '')
    .split(', ')
    .flatMap((entry) => /^(?:DNS|IP Address):(.+)$/.exec(entry)?.[1] ?? []);
}

function isFor(certificate: X509Certificate, name: string): boolean {
  if (isIP(name)) return certificate.checkIP(name) !== undefined;
  // OpenSSL matches hosts, not patterns, so a wildcard that is asked for must be there literally.
  if (name.startsWith('*.')) return namesOf(certificate).includes(name);
  return certificate.checkHost(name, { subject: 'never' }) !== undefined;
}

function whyTooOld(certificate: X509Certificate, now: Date): string | undefined {
  if (certificate.validFromDate > now) return `it is valid only from ${dateOf(certificate.validFromDate)}`;
  if (certificate.validToDate.getTime() - now.getTime() >= RENEW_BEFORE_MS) return undefined;
  return certificate.validToDate < now
    ? `it expired on ${dateOf(certificate.validToDate)}`
    : `it expires on ${dateOf(certificate.validToDate)}`;
}

/** A date as people write it in logs: 2026-11-22. */
export function dateOf(date: Date): string {
  return date.toISOString().slice(0, 10);
}
