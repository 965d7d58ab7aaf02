// Responses of an upstream that the fuzzers start from, and which of their descendants have a head at all.

export const RESPONSE_SEEDS: readonly string[] = [
  'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
  'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n',
  'HTTP/1.1 301 Moved\nLocation: http://a/\nSet-Cookie: a=b; path=/\nContent-Length: 0\n\n',
  'HTTP/1.0 404\r\nX-Accel-Redirect: /own\r\nRefresh: 5; url=/\r\n\r\nx',
  'HTTP/1.1 200 OK\r\nHTTP/1.1 200 OK\r\nLast-Modified: Sun, 22 Nov 2026 15:15:08 GMT\r\n\r\nhello',
];

/** It begins with what nginx reads as a status line; anything else is an answer of HTTP/0.9 to it, passed on as it is. */
export function hasStatusLine(response: string): boolean {
  return /^HTTP\/[1-9]\d{0,2}\.0*\d{1,3} (?: *\d){3}(?:[ .][^\r\n]*)?\r?\n/.test(response);
}
