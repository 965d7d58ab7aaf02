// The head of a response while it is being made, and its HTTP/1.x form. The order of the lines is nginx's: Server,
// Date, Content-Type, Content-Length, Last-Modified, Location, Transfer-Encoding, Connection, Keep-Alive, Vary, then
// what handlers and upstreams added, in order (ngx_http_header_filter).
import { httpDate } from '../clock.ts';
import { charsetIn } from './media-type.ts';
import { escapeLineBreaks } from './uri.ts';

/** Fields of a response; everything a filter may look at or change. */
export class ResponseHead {
  status = 0;
  /** Status text of an upstream (`200 OK`), else ''. */
  statusText = '';
  /** '' when an upstream's own header is passed on, at its place in the list: then none is made. */
  server: string | undefined;
  date: string | undefined;
  contentType = '';
  /** Charset to add to the content type; '' for none. */
  charset = '';
  /** What an upstream's X-Accel-Charset says. */
  overrideCharset: string | undefined;
  /** -1: not known. */
  contentLength = -1;
  /** Where in a whole of `contentLength` bytes the body begins (slice). */
  contentOffset = 0;
  /** Unix seconds, -1: none. */
  lastModified = -1;
  /** True when `lastModified` came with a header of its own in the list. */
  isLastModifiedListed = false;
  /** Index of the Location header in the list, -1: none that may be made absolute. */
  locationAt = -1;
  /** Whether byte ranges may be cut out of this response. */
  allowsRanges = false;
  /** The list: names and values; a removed one has the name ''. */
  names: string[] = [];
  values: string[] = [];
  /** Trailer fields after a chunked body. */
  trailers: [string, string][] | undefined;
  /** Content-Encoding is set (gzip must not encode again). */
  isEncoded = false;

  add(name: string, value: string): void {
    this.names.push(name);
    this.values.push(value);
  }

  /** Keeps every value on its line; nginx sends line breaks as they are. */
  escapeLineBreaks(): void {
    this.contentType = escapeLineBreaks(this.contentType);
    this.values = this.values.map(escapeLineBreaks);
  }

  setLocation(value: string): void {
    this.remove('location');
    this.locationAt = this.names.length;
    this.add('Location', value);
  }

  /** The value of a listed header by lower-case name. */
  get(lower: string): string | undefined {
    for (let i = 0; i < this.names.length; i++) {
      const name = this.names[i]!;
      if (name.length === lower.length && name.toLowerCase() === lower) return this.values[i];
    }
    return undefined;
  }

  remove(lower: string): void {
    for (let i = 0; i < this.names.length; i++) {
      const name = this.names[i]!;
      if (name.length === lower.length && name.toLowerCase() === lower) {
        this.names[i] = '';
        if (i === this.locationAt) this.locationAt = -1;
      }
    }
  }

  clearLastModified(): void {
    this.lastModified = -1;
    if (this.isLastModifiedListed) this.remove('last-modified');
    this.isLastModifiedListed = false;
  }

  clearContentLength(): void {
    this.contentLength = -1;
    this.remove('content-length');
  }

  clearAcceptRanges(): void {
    this.allowsRanges = false;
    this.remove('accept-ranges');
  }

  clearEtag(): void {
    this.remove('etag');
  }

  /** A strong entity tag becomes a weak one: the bytes are about to change (ngx_http_weak_etag). */
  weakenEtag(): void {
    const etag = this.get('etag');
    if (etag === undefined || etag.startsWith('W/')) return;
    const at = this.names.findIndex((n) => n.toLowerCase() === 'etag');
    if (etag.startsWith('"')) this.values[at] = `W/${etag}`;
    else this.names[at] = '';
  }

  /** The content type with its charset, as sent. */
  fullContentType(): string {
    const { contentType, charset } = this;
    return charset === '' || charsetIn(contentType) !== '' ? contentType : `${contentType}; charset=${charset}`;
  }

  lastModifiedText(): string | undefined {
    return this.lastModified >= 0 && !this.isLastModifiedListed ? httpDate(this.lastModified) : undefined;
  }
}
