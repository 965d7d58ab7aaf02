/**
 * The settings that the WSGI side's parser obeys, compiled once a worker: limits clamped as Gunicorn clamps them, lists as sets.
 */
import type { GunicornSettings } from '../settings/gunicorn-settings.ts';
import { AllowList } from './allow-list.ts';

const MAX_REQUEST_LINE = 8190;
const MAX_HEADERS = 32768;
const DEFAULT_FIELD_BYTES = 8190;

/** What a request must obey; sizes in bytes, 0 for no limit. */
export interface RequestRules {
  /** What a request has come by when no proxy says otherwise. */
  readonly scheme: 'http' | 'https';
  readonly limitLine: number;
  readonly limitFields: number;
  readonly limitFieldBytes: number;
  readonly limitHeadBytes: number;
  readonly secureSchemeHeaders: ReadonlyMap<string, string>;
  readonly forwarderHeaders: ReadonlySet<string>;
  readonly forwardedAllow: AllowList;
  readonly proxyProtocol: string;
  readonly proxyAllow: AllowList;
  readonly headerMap: string;
  readonly permitsFolding: boolean;
  readonly stripsHeaderSpaces: boolean;
  readonly permitsAnyMethod: boolean;
  readonly permitsAnyVersion: boolean;
  readonly casefoldsMethod: boolean;
}

/** Compiles the rules of a worker; throws Error for an address list that cannot be read. */
export function requestRules(settings: GunicornSettings): RequestRules {
  const fields = settings.limit_request_fields;
  const limitFields = fields <= 0 || fields > MAX_HEADERS ? MAX_HEADERS : fields;
  const limitFieldBytes =
    settings.limit_request_field_size > 0 ? settings.limit_request_field_size : DEFAULT_FIELD_BYTES;
  return {
    scheme: settings.certfile === null ? 'http' : 'https',
    limitLine: Math.min(settings.limit_request_line, MAX_REQUEST_LINE),
    limitFields,
    limitFieldBytes,
    limitHeadBytes: limitFields * (limitFieldBytes + 2) + 4,
    secureSchemeHeaders: new Map(Object.entries(settings.secure_scheme_headers)),
    forwarderHeaders: new Set(settings.forwarder_headers),
    forwardedAllow: new AllowList(settings.forwarded_allow_ips),
    proxyProtocol: settings.proxy_protocol,
    proxyAllow: new AllowList(settings.proxy_allow_ips),
    headerMap: settings.header_map,
    permitsFolding: settings.permit_obsolete_folding,
    stripsHeaderSpaces: settings.strip_header_spaces,
    permitsAnyMethod: settings.permit_unconventional_http_method,
    permitsAnyVersion: settings.permit_unconventional_http_version,
    casefoldsMethod: settings.casefold_http_method,
  };
}
