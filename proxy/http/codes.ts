// Return codes of phase handlers, as nginx names them, and the statuses that have a meaning of their own inside.
export const OK = 0;
export const ERROR = -1;
/** The handler waits for something and will call `r.resume()`. */
export const AGAIN = -2;
/** The handler took the request over and will call `r.finalize()`. */
export const DONE = -4;
/** Not my business: the next handler, please. */
export const DECLINED = -5;

/** Close the connection without an answer (`return 444`). */
export const CLOSE = 444;
export const HEADER_TOO_LARGE = 494;
export const CERT_ERROR = 495;
export const NO_CERT = 496;
export const TO_HTTPS = 497;
export const CLIENT_CLOSED = 499;

/** The reason phrases that nginx has; other codes get a status line with the number alone. */
export const STATUS_TEXT: Readonly<Record<number, string>> = {
  200: '200 OK',
  201: '201 Created',
  202: '202 Accepted',
  204: '204 No Content',
  206: '206 Partial Content',
  301: '301 Moved Permanently',
  302: '302 Moved Temporarily',
  303: '303 See Other',
  304: '304 Not Modified',
  307: '307 Temporary Redirect',
  308: '308 Permanent Redirect',
  400: '400 Bad Request',
  401: '401 Unauthorized',
  402: '402 Payment Required',
  403: '403 Forbidden',
  404: '404 Not Found',
  405: '405 Not Allowed',
  406: '406 Not Acceptable',
  408: '408 Request Time-out',
  409: '409 Conflict',
  410: '410 Gone',
  411: '411 Length Required',
  412: '412 Precondition Failed',
  413: '413 Request Entity Too Large',
  414: '414 Request-URI Too Large',
  415: '415 Unsupported Media Type',
  416: '416 Requested Range Not Satisfiable',
  421: '421 Misdirected Request',
  429: '429 Too Many Requests',
  500: '500 Internal Server Error',
  501: '501 Not Implemented',
  502: '502 Bad Gateway',
  503: '503 Service Temporarily Unavailable',
  504: '504 Gateway Time-out',
  505: '505 HTTP Version Not Supported',
  507: '507 Insufficient Storage',
};
