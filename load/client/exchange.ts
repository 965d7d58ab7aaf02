// One request and what became of it. The loop creates it, a channel fills it in, the recorder reads it. Times are
// performance.now() of the thread; a time that is not known is NaN.
import type { FailureKind } from './failure.ts';
import type { EncodedRequest } from './request.ts';

export class Exchange {
  readonly request: EncodedRequest;
  /** When it was due: the instant from which latency counts. */
  readonly intendedMs: number;
  /** Whether it belongs to the warm-up. */
  readonly isWarmup: boolean;
  readonly stage: number;
  /** Whether it waited because no connection was free. */
  hasWaited = false;
  /** When a free channel was there for it. */
  freeMs = Number.NaN;
  /** When its first byte was given to an open connection. */
  sentMs = Number.NaN;
  /** How long the connection took that was opened for it (TCP and TLS); NaN on one that was open. */
  connectMs = Number.NaN;
  headMs = Number.NaN;
  endMs = Number.NaN;
  status = 0;
  receivedBytes = 0;
  serverTiming = '';
  /** What made an answer of 500 and above, by its Server field and body. */
  madeBy = '';
  failure: FailureKind | undefined;

  constructor(request: EncodedRequest, intendedMs: number, isWarmup: boolean, stage: number) {
    this.request = request;
    this.intendedMs = intendedMs;
    this.isWarmup = isWarmup;
    this.stage = stage;
  }
}

/** Something that carries one request at a time: a connection of HTTP/1.1, or a stream's place on one of HTTP/2. */
export interface Channel {
  readonly origin: Origin;
  /** Whether a connection is open under it, so that a request costs no new one. */
  readonly isOpen: boolean;
  /** Sends the request; `onDone` of the channel's owner is called exactly once for it. */
  start(exchange: Exchange): void;
  /** Ends the running exchange with a failure, and closes the connection. */
  abort(kind: FailureKind): void;
  /** The exchange that runs; undefined when the channel is free. */
  readonly current: Exchange | undefined;
  close(): void;
}

/** Where connections go. */
export interface Origin {
  readonly href: string;
  readonly isTls: boolean;
  readonly host: string;
  readonly port: number;
}

/** The origin of a URL. Throws RangeError when it is no http(s) URL. */
export function originOf(text: string): Origin {
  if (!URL.canParse(text)) throw new RangeError(`"${text}" is no URL; write http://HOST:PORT/PATH`);
  const url = new URL(text);
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new RangeError(`"${text}": only http: and https: can be loaded`);
  const isTls = url.protocol === 'https:';
  return {
    href: url.origin,
    isTls,
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? (isTls ? 443 : 80) : Number(url.port),
  };
}
