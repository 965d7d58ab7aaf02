/**
 * One response on the WSGI side: start_response, the head with Gunicorn's fields in Gunicorn's order, and the framing of the body
 * (Content-Length, chunked, or until the connection closes). The rules of gunicorn/http/wsgi.py, written for a blocking socket.
 */
import { reprString, reprValue } from '../python-repr.ts';
import type { StartResponse, WsgiHeaders, WsgiWrite } from '../wsgi.ts';
import type { BlockingSocket } from './blocking-socket.ts';
import { httpDate } from './http-date.ts';
import type { WsgiRequest } from './request.ts';
import type { ServerTiming } from './server-timing.ts';

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9a-zA-Z]+$/;
const VALUE = /^[ \t\x21-\x7e\x80-\xff]*$/;
const STATUS = /^[0-9]{3}(?: [ \t\x21-\x7e\x80-\xff]*)?$/;
// Server and Date are the server's own to send, so an application's are dropped with the hop-by-hop fields.
const HOPPISH = new Set(
  'connection keep-alive proxy-authenticate proxy-authorization te trailers transfer-encoding upgrade server date'.split(
    ' ',
  ),
);

function raise(name: string, message: string): never {
  const error = new Error(message);
  error.name = name;
  throw error;
}

/** The state of one response. Its errors are the application's: the worker answers them with 500, or closes. */
export class WsgiResponse {
  status: string | null = null;
  headers: [string, string][] = [];
  isHeadSent = false;
  sentBytes = 0;
  warn: (message: string) => void = () => {};
  #length: number | null = null;
  #isChunked = false;
  #mustClose = false;
  #isUpgrade = false;
  #omitsBody = false;
  #hasWarned = false;
  #head: string | null = null;
  readonly #request: WsgiRequest;
  readonly #socket: BlockingSocket;
  readonly #timing: ServerTiming | null;

  constructor(request: WsgiRequest, socket: BlockingSocket, timing: ServerTiming | null) {
    this.#request = request;
    this.#socket = socket;
    this.#timing = timing;
  }

  /** Where timed() shall put what it measures for this response; null when nobody will see it. */
  get timings(): ServerTiming['timings'] | null {
    return this.#timing?.timings ?? null;
  }

  forceClose(): void {
    this.#mustClose = true;
  }

  get statusCode(): number {
    return Number.parseInt(this.status ?? '', 10);
  }

  /** Whether the connection must close after this response: asked for, or because nothing else ends the body. */
  shouldClose(): boolean {
    if (this.#mustClose || this.#request.shouldClose()) return true;
    if (this.#length !== null || this.#isChunked || this.#request.method === 'HEAD') return false;
    return !(this.statusCode < 200 || this.statusCode === 204 || this.statusCode === 304);
  }

  readonly startResponse: StartResponse = (status, headers, excInfo) => {
    if (excInfo !== undefined && excInfo !== null) {
      if (this.status !== null && this.isHeadSent) throw excInfo;
      this.headers = [];
      this.#length = null;
    } else if (this.status !== null) raise('AssertionError', 'Response headers already set!');
    if (typeof status !== 'string') raise('TypeError', `${reprValue(status)} is not a string`);
    if (!STATUS.test(status)) raise('ValueError', `Invalid status ${reprString(status)}`);
    this.status = status;
    this.#setHeaders(headers);
    const code = this.statusCode;
    this.#omitsBody = this.#request.method === 'HEAD' || code === 204 || code === 304 || code < 200;
    if (code === 204 || code < 200) {
      this.headers = this.headers.filter(([name]) => name.toLowerCase() !== 'content-length');
      this.#length = null;
    }
    const [major, minor] = this.#request.version;
    this.#isChunked = this.#length === null && !this.#omitsBody && (major > 1 || (major === 1 && minor > 0));
    return this.write;
  };

  /** Sends a piece of the body, the head before the first; bytes beyond Content-Length are cut off. */
  readonly write: WsgiWrite = (data) => {
    if (!(data instanceof Uint8Array)) raise('TypeError', `${reprValue(data)} is not a byte`);
    this.#prepareHead();
    if (this.#omitsBody) {
      this.#flush();
      if (data.length > 0 && !this.#hasWarned) {
        this.#hasWarned = true;
        const about = `(method=${this.#request.method} status=${this.statusCode})`;
        this.warn(`WSGI app sent body bytes on a no-body response ${about}; dropping per RFC 9110.`);
      }
      return;
    }
    const room = this.#length === null ? data.length : Math.max(0, this.#length - this.sentBytes);
    const body = data.length > room ? data.subarray(0, room) : data;
    // An empty chunk would end the body.
    if (body.length === 0) return this.#flush();
    this.sentBytes += body.length;
    if (this.#isChunked) this.#send(`${body.length.toString(16).toUpperCase()}\r\n`, body, '\r\n');
    else this.#send('', body, '');
  };

  /** Ends the response: the head if nothing was written, and the last chunk. */
  close(): void {
    this.#prepareHead();
    this.#flush(this.#isChunked ? '0\r\n\r\n' : '');
  }

  /** 103 Early Hints, as wsgi.early_hints sends them: never to HTTP/1.0, never after the head. */
  readonly earlyHints = (headers: WsgiHeaders): void => {
    const [major, minor] = this.#request.version;
    if (this.isHeadSent || major < 1 || (major === 1 && minor < 1)) return;
    const lines = headers.map(([name, value]) => {
      if (!TOKEN.test(name)) raise('InvalidResponseHeaderName', `Invalid HTTP header name: ${reprString(name)}`);
      if (!VALUE.test(value)) raise('InvalidResponseHeader', `Invalid HTTP Header: ${reprString(name)}`);
      return `${name}: ${value.replace(/^[ \t]+|[ \t]+$/g, '')}\r\n`;
    });
    this.#socket.write(Buffer.from(`HTTP/1.1 103 Early Hints\r\n${lines.join('')}\r\n`, 'latin1'));
  };

  #setHeaders(headers: WsgiHeaders): void {
    for (const [name, raw] of headers) {
      if (typeof name !== 'string') raise('TypeError', `${reprValue(name)} is not a string`);
      if (!TOKEN.test(name)) raise('InvalidResponseHeaderName', `Invalid HTTP header name: ${reprString(name)}`);
      if (typeof raw !== 'string') raise('TypeError', `${reprValue(raw)} is not a string`);
      if (!VALUE.test(raw)) raise('InvalidResponseHeader', `Invalid HTTP Header: ${reprString(name)}`);
      const value = raw.replace(/^[ \t]+|[ \t]+$/g, '');
      const lower = name.toLowerCase();
      if (lower === 'content-length') {
        if (!/^[+-]?\d+$/.test(value))
          raise('ValueError', `invalid literal for int() with base 10: ${reprString(value)}`);
        this.#length = Number(value);
      } else if (HOPPISH.has(lower)) {
        if (lower === 'connection' && value.toLowerCase() === 'upgrade') this.#isUpgrade = true;
        if (lower === 'upgrade' && value.toLowerCase() === 'websocket') this.headers.push([name, value]);
        continue;
      }
      this.headers.push([name, value]);
    }
  }

  // The head is not written at once: it leaves with the first bytes of the body in one system call.
  #prepareHead(): void {
    if (this.isHeadSent) return;
    this.isHeadSent = true;
    const connection = this.#isUpgrade ? 'upgrade' : this.shouldClose() ? 'close' : 'keep-alive';
    const version = this.#request.version.join('.');
    let head = `HTTP/${version} ${this.status ?? 'None'}\r\nServer: gunicorn\r\nDate: ${httpDate()}\r\nConnection: ${connection}\r\n`;
    if (this.#isChunked) head += 'Transfer-Encoding: chunked\r\n';
    for (const [name, value] of this.headers) head += `${name}: ${value}\r\n`;
    if (this.#timing) head += `Server-Timing: ${this.#timing.value()}\r\n`;
    this.#head = `${head}\r\n`;
  }

  #flush(tail = ''): void {
    const text = (this.#head ?? '') + tail;
    this.#head = null;
    if (text !== '') this.#socket.write(Buffer.from(text, 'latin1'));
  }

  #send(before: string, body: Uint8Array, after: string): void {
    const head = (this.#head ?? '') + before;
    this.#head = null;
    if (head === '' && after === '') this.#socket.write(body);
    else this.#socket.write(Buffer.concat([Buffer.from(head, 'latin1'), body, Buffer.from(after, 'latin1')]));
  }
}
