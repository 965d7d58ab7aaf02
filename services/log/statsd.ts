/**
 * Gunicorn's metrics for statsd: one datagram each, from the master, every worker and every thread of a worker, with the names, types and
 * tags of gunicorn/instrument/statsd.py. Sending never waits, and a metric that cannot be sent is lost, as statsd is meant to be used.
 */
import dgram from 'node:dgram';
import net from 'node:net';

const DEFAULT_PORT = 8125;

/** Where statsd listens. */
export interface StatsdAddress {
  readonly host: string;
  readonly port: number;
}

/** Parses `statsd_host`; throws Error in Gunicorn's words. */
export function parseStatsdAddress(text: string): StatsdAddress {
  // unix:8125 was a host named unix once, and still is.
  if (/^unix:(?!\d+$)/.test(text)) throw new Error('Node has no datagram sockets with a path; give HOST:PORT');
  const [, bracketed, plain, port = String(DEFAULT_PORT)] = /^(?:\[([^\]]*)\]|([^:]*))(?::(.*))?$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || !/^\d+$/.test(port)) throw new Error("Value must be one of ('host:port', 'unix://PATH')");
  return { host: host === '' ? '0.0.0.0' : host.toLowerCase(), port: Number(port) };
}

/** Python's text of a float. */
const float = (value: number): string => (Number.isInteger(value) ? `${value}.0` : String(value));

/** The way of one thread to statsd. */
export class Statsd {
  readonly #prefix: string;
  readonly #tags: string;
  readonly #socket: dgram.Socket;
  #waiting: string[] | null = [];

  constructor(address: StatsdAddress, prefix: string, tags: string) {
    this.#prefix = prefix.replace(/^(.+[^.]+)\.*$/, '$1.');
    this.#tags = tags === '' ? '' : `|#${tags}`;
    const family = net.isIP(address.host);
    // An address needs no resolver, so that the socket is ready at once, also in a thread that is about to block.
    const lookup: dgram.SocketOptions['lookup'] =
      family === 0 ? undefined : (host, _options, done) => done(null, net.isIP(host) ? host : address.host, family);
    this.#socket = dgram.createSocket({ type: family === 6 ? 'udp6' : 'udp4', ...(lookup ? { lookup } : {}) });
    this.#socket.on('error', () => {});
    this.#socket.unref();
    this.#socket.connect(address.port, address.host, () => {
      const waiting = this.#waiting ?? [];
      this.#waiting = null;
      for (const text of waiting) this.#send(text);
    });
  }

  gauge(name: string, value: number): void {
    this.#send(`${this.#prefix}${name}:${value}|g`);
  }

  increment(name: string): void {
    this.#send(`${this.#prefix}${name}:1|c|@1.0`);
  }

  timer(name: string, ms: number): void {
    this.#send(`${this.#prefix}${name}:${float(Math.floor(ms * 1000) / 1000)}|ms`);
  }

  histogram(name: string, value: number): void {
    this.#send(`${this.#prefix}${name}:${value}|h`);
  }

  close(): void {
    this.#socket.close();
  }

  #send(text: string): void {
    if (this.#waiting) this.#waiting.push(text);
    // The callback takes the error of a port where nobody listens.
    else this.#socket.send(Buffer.from(text + this.#tags), () => {});
  }
}
