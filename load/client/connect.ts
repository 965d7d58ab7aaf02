// Opens the connections of the generator: names looked up once in a while instead of once a connection, TLS with the trust
// that the plan gives, sessions not resumed (each connection is a new client).
import { type LookupAddress, lookup as systemLookup } from 'node:dns';
import { isIP, type LookupFunction, connect as netConnect, type Socket } from 'node:net';
import {
  type ConnectionOptions,
  createSecureContext,
  rootCertificates,
  type SecureContext,
  connect as tlsConnect,
} from 'node:tls';
import type { LoadPlan } from '../plan.ts';
import type { Origin } from './exchange.ts';

const NAME_VALID_MS = 5000;

/** What all connections of a run share. */
export class Connector {
  readonly isInsecure: boolean;
  readonly #authorities: readonly string[];
  readonly #names = new Map<string, { until: number; found: LookupAddress[] }>();
  #context: SecureContext | undefined;

  constructor(plan: Pick<LoadPlan, 'authorities' | 'isInsecure'>) {
    this.#authorities = plan.authorities;
    this.isInsecure = plan.isInsecure;
  }

  /** Authorities for node:tls: the system's and the plan's. */
  get authorities(): string[] {
    return [...rootCertificates, ...this.#authorities];
  }

  /** A plain connection whose bytes go to `onData`, in a buffer that is used again afterwards. */
  openPlain(origin: Origin, buffer: Buffer, onData: (data: Buffer) => void): Socket {
    return netConnect({
      host: origin.host,
      port: origin.port,
      noDelay: true,
      lookup: this.lookup,
      onread: {
        buffer,
        callback: (length) => {
          onData(buffer.subarray(0, length));
          return true;
        },
      },
    });
  }

  /** A TLS connection; 'secureConnect' tells that it is up. */
  openTls(origin: Origin, protocols: string[]): Socket {
    return tlsConnect({
      host: origin.host,
      port: origin.port,
      lookup: this.lookup,
      ...this.tlsOptions(origin, protocols),
    }).setNoDelay();
  }

  tlsOptions(origin: Origin, protocols: string[]): ConnectionOptions {
    // Made once: parsing all authorities costs milliseconds, which each connection would pay.
    this.#context ??= createSecureContext({ ca: this.authorities });
    return {
      secureContext: this.#context,
      ALPNProtocols: protocols,
      rejectUnauthorized: !this.isInsecure,
      ...(isIP(origin.host) === 0 ? { servername: origin.host } : {}),
    };
  }

  readonly lookup: LookupFunction = (host, options, done) => {
    const known = this.#names.get(host);
    const answer = (found: LookupAddress[]): void => {
      if (options.all) done(null, found);
      else done(null, found[0]!.address, found[0]!.family);
    };
    if (known !== undefined && known.until > performance.now()) {
      answer(known.found);
      return;
    }
    systemLookup(host, { ...options, all: true }, (error, found) => {
      if (error) {
        done(error, []);
        return;
      }
      this.#names.set(host, { until: performance.now() + NAME_VALID_MS, found });
      answer(found);
    });
  };
}
