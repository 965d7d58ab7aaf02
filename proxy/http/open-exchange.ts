// From a parsed head to an Exchange: the request line and the fields go in, with the checks that decide whether it may
// start. Returns statuses instead of answering; the connection answers.
import { coreModule } from '../modules/core-rows.ts';
import { type ClientConnection, counters } from './client.ts';
import { type Downstream, Exchange } from './exchange.ts';
import { NO_FIELDS, type RequestLine } from './head.ts';
import { type HeadFaultResult, type HeadResult, lengthThroughFault, readCutHead } from './head-reader.ts';
import { applyFields, applyTargetHost, applyUri, selectServer, tlsChecks, useServer } from './request-checks.ts';

/** A request of `client` of which nothing is known yet; it is under the address's default server (or SNI's). */
export function openExchange(client: ClientConnection, downstream: Downstream): Exchange {
  const r = new Exchange(client, downstream);
  client.requests++;
  counters.requests++;
  useServer(r, client.sniServer ?? client.listen.defaultServer);
  r.headers = NO_FIELDS;
  r.version = 1000;
  return r;
}

/** What the log says is being done; a request that came with the one before it is told apart. */
function readingLine(r: Exchange): string {
  return `reading client ${r.isPipelined ? 'pipelined ' : ''}request line`;
}

function applyLine(r: Exchange, line: RequestLine): boolean {
  r.requestLine = line.line;
  r.method = line.method;
  r.version = line.version;
  r.protocol = line.protocol || undefined;
  if (!applyUri(r, line.path)) {
    r.log('info', `client sent invalid request while ${readingLine(r)}`);
    return false;
  }
  if (line.host === undefined) return true;
  r.main.logAction = readingLine(r);
  const isGood = applyTargetHost(r, line.host) === 0;
  r.main.logAction = '';
  return isGood;
}

/** Takes in a whole head that starts at `from` of `buf`; returns 0, or the status that the request ends with. */
export function applyHead(r: Exchange, head: HeadResult & { kind: 'head' }, buf: Buffer, from: number): number {
  const { line, fields } = head;
  r.requestLength = head.length;
  if (!applyLine(r, line)) {
    r.requestLength = head.lineLength;
    return 400;
  }
  const code = line.version === 9 ? selectUnnamed(r) : applyFields(r, fields);
  if (code && fields.faultAt >= 0) r.requestLength = lengthThroughFault(buf, from, fields);
  return code;
}

/** What was good of a broken head is known to the log. Returns the status of the first fault, which may be before it. */
export function applyFault(r: Exchange, fault: HeadFaultResult): number {
  r.requestLine = fault.text;
  r.requestLength = fault.length;
  if (fault.hasProtocol) r.protocol = '';
  if (fault.isOld) r.version = 9;
  const { line } = fault;
  if (line) {
    if (!applyLine(r, line)) return 400;
    const code = line.version === 9 ? 0 : applyFields(r, fault.fields, false);
    if (code) return code;
  }
  r.log('info', fault.why.replace('reading client request line', readingLine(r)));
  return fault.code;
}

/** The same for a head that was cut off by the client. */
export function applyCutHead(r: Exchange, bytes: Buffer): void {
  applyFault(r, readCutHead(bytes, coreModule.server(r.server)));
}

/** HTTP/0.9 has no fields: without a host in the request line the server without a name is asked. */
function selectUnnamed(r: Exchange): number {
  const code = r.host === '' ? selectServer(r, '') : 0;
  return code || (r.client.listen.isSsl ? tlsChecks.of(r) : 0);
}
