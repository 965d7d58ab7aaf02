/**
 * Reason phrases as the originals have them, who do not agree with each other or with Node: those of Python's http.HTTPStatus (3.11), from
 * which Uvicorn and Starlette take theirs, Werkzeug's own, and those of Gunicorn's asgi worker. Tables and not node:http, which costs a
 * pool's thread half of its start.
 */

/** http.HTTPStatus. */
export const PYTHON_PHRASES: Readonly<Record<number, string>> = {
  100: 'Continue',
  101: 'Switching Protocols',
  102: 'Processing',
  103: 'Early Hints',
  200: 'OK',
  201: 'Created',
  202: 'Accepted',
  203: 'Non-Authoritative Information',
  204: 'No Content',
  205: 'Reset Content',
  206: 'Partial Content',
  207: 'Multi-Status',
  208: 'Already Reported',
  226: 'IM Used',
  300: 'Multiple Choices',
  301: 'Moved Permanently',
  302: 'Found',
  303: 'See Other',
  304: 'Not Modified',
  305: 'Use Proxy',
  307: 'Temporary Redirect',
  308: 'Permanent Redirect',
  400: 'Bad Request',
  401: 'Unauthorized',
  402: 'Payment Required',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  406: 'Not Acceptable',
  407: 'Proxy Authentication Required',
  408: 'Request Timeout',
  409: 'Conflict',
  410: 'Gone',
  411: 'Length Required',
  412: 'Precondition Failed',
  413: 'Request Entity Too Large',
  414: 'Request-URI Too Long',
  415: 'Unsupported Media Type',
  416: 'Requested Range Not Satisfiable',
  417: 'Expectation Failed',
  418: "I'm a Teapot",
  421: 'Misdirected Request',
  422: 'Unprocessable Entity',
  423: 'Locked',
  424: 'Failed Dependency',
  425: 'Too Early',
  426: 'Upgrade Required',
  428: 'Precondition Required',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  451: 'Unavailable For Legal Reasons',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported',
  506: 'Variant Also Negotiates',
  507: 'Insufficient Storage',
  508: 'Loop Detected',
  510: 'Not Extended',
  511: 'Network Authentication Required',
};

/** werkzeug.http.HTTP_STATUS_CODES. */
export const WERKZEUG_PHRASES: Readonly<Record<number, string>> = {
  ...PYTHON_PHRASES,
  203: 'Non Authoritative Information',
  207: 'Multi Status',
  306: 'Switch Proxy',
  414: 'Request URI Too Long',
  418: "I'm a teapot",
  449: 'Retry With',
  511: 'Network Authentication Failed',
};

const GUNICORN_KNOWS = [
  100, 101, 103, 200, 201, 202, 204, 206, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 408, 409, 410, 411,
  413, 414, 415, 422, 429, 500, 501, 502, 503, 504,
];

/** Those of gunicorn/asgi/protocol.py, whose table has no others. */
export const GUNICORN_ASGI_PHRASES: Readonly<Record<number, string>> = {
  ...Object.fromEntries(GUNICORN_KNOWS.map((status) => [status, PYTHON_PHRASES[status]])),
  413: 'Payload Too Large',
  414: 'URI Too Long',
};
