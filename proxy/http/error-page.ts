// nginx's own error pages, byte for byte.

/** What nginx 1.22.1 calls itself; `SERVER` header, error pages and `$nginx_version` come from here. */
export const NGINX_VERSION = '1.22.1';

const TITLES: Readonly<Record<number, string>> = {
  301: '301 Moved Permanently',
  302: '302 Found',
  303: '303 See Other',
  307: '307 Temporary Redirect',
  308: '308 Permanent Redirect',
  400: '400 Bad Request',
  401: '401 Authorization Required',
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

/** Pages of the codes that nginx keeps to itself: title, then what it says under the heading. */
const BAD_REQUESTS: Readonly<Record<number, readonly [string, string]>> = {
  494: ['400 Request Header Or Cookie Too Large', 'Request Header Or Cookie Too Large'],
  495: ['400 The SSL certificate error', 'The SSL certificate error'],
  496: ['400 No required SSL certificate was sent', 'No required SSL certificate was sent'],
  497: ['400 The plain HTTP request was sent to HTTPS port', 'The plain HTTP request was sent to HTTPS port'],
};

const PAGES = new Map<number, string>();
for (const [code, title] of Object.entries(TITLES)) {
  PAGES.set(
    Number(code),
    `<html>\r\n<head><title>${title}</title></head>\r\n<body>\r\n<center><h1>${title}</h1></center>\r\n`,
  );
}
for (const [code, [title, text]] of Object.entries(BAD_REQUESTS)) {
  PAGES.set(
    Number(code),
    `<html>\r\n<head><title>${title}</title></head>\r\n<body>\r\n<center><h1>400 Bad Request</h1></center>\r\n<center>${text}</center>\r\n`,
  );
}

export function hasErrorPage(code: number): boolean {
  return PAGES.has(code);
}

/** The page without its tail. */
export function errorPage(code: number): string {
  return PAGES.get(code)!;
}

/** The `Server` header's value, by server_tokens. */
export function serverToken(tokens: 'on' | 'off' | 'build'): string {
  return tokens === 'off' ? 'nginx' : `nginx/${NGINX_VERSION}`;
}

/** The end of every page: the server's name. */
export function tailOf(tokens: 'on' | 'off' | 'build'): string {
  return `<hr><center>${serverToken(tokens)}</center>\r\n</body>\r\n</html>\r\n`;
}

export const MSIE_PADDING = '<!-- a padding to disable MSIE and Chrome friendly error page -->\r\n'.repeat(6);

/** Whether a User-Agent is some Internet Explorer's. */
export function isMsie(agent: string): boolean {
  return /MSIE .{3}/.test(agent) && !agent.includes('Opera');
}

/** What `msie_refresh` sends in place of a redirect: a page that goes on to `location`. */
export function refreshPage(location: string): string {
  const url = location.replace(
    /[\x00-\x20"'<>\\^`{|~\x7f-\xff]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
  return `<html><head><meta http-equiv="Refresh" content="0; URL=${url}"></head><body></body></html>\r\n`;
}
