/**
 * The TLS of both servers' roles: certificate files and rules about the client's certificate as Python's ssl module has them (0 none is
 * asked for, 1 one is checked if it comes, 2 one must come), for Node's TLS.
 */
import { readFileSync } from 'node:fs';
import { createSecureContext, type TLSSocket, type TlsOptions } from 'node:tls';

/** What the settings of either server say. */
export interface TlsFiles {
  readonly certFile: string;
  /** The certificate's file may hold the key too. */
  readonly keyFile: string | null;
  readonly keyPassword: string | null;
  readonly caFile: string | null;
  readonly certReqs: number;
  readonly ciphers: string | null;
}

/** The options of a server; throws what the system says about a file that cannot be read. */
export function tlsOptions(files: TlsFiles): TlsOptions {
  return {
    cert: readFileSync(files.certFile),
    key: readFileSync(files.keyFile ?? files.certFile),
    requestCert: files.certReqs > 0,
    // acceptsClient() decides.
    rejectUnauthorized: false,
    ...(files.keyPassword === null ? {} : { passphrase: files.keyPassword }),
    ...(files.caFile === null ? {} : { ca: readFileSync(files.caFile) }),
    ...(files.ciphers === null ? {} : { ciphers: files.ciphers }),
  };
}

/** Throws what is wrong with the files: unreadable, no certificate, a key that does not fit, no such cipher. */
export function checkTls(files: TlsFiles): void {
  createSecureContext(tlsOptions(files));
}

/** Whether a client whose handshake is done may stay. */
export function acceptsClient(socket: TLSSocket, { certReqs }: TlsFiles): boolean {
  if (certReqs === 0) return true;
  const { ssl } = socket as TLSSocket & { ssl: { verifyError(): Error | null } };
  const hasCertificate = Object.keys(socket.getPeerCertificate()).length > 0;
  return hasCertificate ? ssl.verifyError() === null : certReqs === 1;
}
