// The client of the differential test: writes the bytes of a case on one connection, knows by their framing when the
// answers are complete, and then finds out whether the connection can be used again: a live server answers the probe,
// which is no request, with 400 and closes; a server that closes by itself is waited for.
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { gunzipSync } from 'node:zlib';
import type { Case } from './group.ts';

const PROBE = '~\r\n';
const PATIENCE_MS = 4000;

export interface Answers {
  /** Port of the client, by which its log lines are found. */
  readonly localPort: number;
  readonly bytes: string;
  /** How the connection ended. */
  readonly end: 'reused' | 'closed' | 'cut' | 'hangs';
}

/** Sends what `test` says to `port`, from `localPort`, and resolves when the connection is over. */
export function converse(port: number, test: Case, localPort: number): Promise<Answers> {
  return new Promise((done) => {
    const pieces = typeof test.send === 'string' ? [test.send] : test.send;
    const connection = connect({ port, host: '127.0.0.1', localPort, allowHalfOpen: test.tls === undefined });
    const socket: Socket = test.tls
      ? connectTls({ socket: connection, servername: test.tls, rejectUnauthorized: false })
      : connection;
    let bytes = '';
    const methods = methodsOf(pieces);
    let sent = 0;
    /** Answers to the piece sent last. */
    let answered = 0;
    let from = 0;
    let probedAt = -1;
    let isOver = false;
    const finish = (end: 'closed' | 'cut' | 'hangs'): void => {
      if (isOver) return;
      isOver = true;
      clearTimeout(patience);
      socket.destroy();
      const isReused = probedAt >= 0 && bytes.length > probedAt;
      done({ localPort, bytes: isReused ? bytes.slice(0, probedAt) : bytes, end: isReused ? 'reused' : end });
    };
    const patience = setTimeout(() => finish('hangs'), PATIENCE_MS);
    const sendNext = (): void => {
      const piece = pieces[sent++];
      if (piece === undefined) {
        probedAt = bytes.length;
        socket.write(PROBE);
        return;
      }
      answered = 0;
      socket.write(piece, 'latin1');
      if (sent === pieces.length && test.isHalfClosed) socket.end();
    };
    socket.setNoDelay(true);
    socket.setEncoding('latin1');
    socket.on(test.tls ? 'secureConnect' : 'connect', sendNext);
    socket.on('data', (chunk: string) => {
      bytes += chunk;
      if (probedAt >= 0) return;
      const expected = methods[sent - 1]!;
      for (;;) {
        const response = readResponse(bytes, from, expected[answered] ?? '');
        if (!response) return;
        from = response.end;
        answered++;
        if (/^HTTP\/1\.. 101 /.test(response.head)) socket.end();
        else if (/^connection: close/im.test(response.head) || test.isHalfClosed) return;
        else if (answered >= expected.length) break;
      }
      sendNext();
    });
    socket.on('end', () => finish('closed'));
    socket.on('close', () => finish('closed'));
    socket.on('error', () => finish('cut'));
  });
}

/** The methods of the requests in `pieces`: as many answers can be expected. */
function methodsOf(pieces: readonly string[]): string[][] {
  return pieces.map((piece) => [...piece.matchAll(/([A-Z]+) \S+ HTTP\/1\.\d\r?\n/g)].map((match) => match[1]!));
}

interface Response {
  readonly head: string;
  readonly body: string;
  /** Index behind it. */
  readonly end: number;
}

/** The response that starts at `from`; undefined while it is not complete, or when only the close can end it. */
function readResponse(text: string, from: number, method: string): Response | undefined {
  const headEnd = text.indexOf('\r\n\r\n', from);
  if (headEnd < 0 || !text.startsWith('HTTP/', from)) return undefined;
  const head = text.slice(from, headEnd + 2);
  const at = headEnd + 4;
  const status = Number(head.slice(9, 12));
  if (status === 100 || status === 103) {
    const final = readResponse(text, at, method);
    return final && { ...final, head: `${head}\r\n${final.head}` };
  }
  if (method === 'HEAD' || status === 204 || status === 304 || status === 101) return { head, body: '', end: at };
  if (/^transfer-encoding: chunked/im.test(head)) return readChunks(text, head, at);
  const length = /^content-length: (\d+)/im.exec(head)?.[1];
  if (length === undefined || text.length < at + Number(length)) return undefined;
  return { head, body: text.slice(at, at + Number(length)), end: at + Number(length) };
}

function readChunks(text: string, head: string, start: number): Response | undefined {
  let body = '';
  let at = start;
  for (;;) {
    const line = /([0-9a-f]+)[^\r\n]*\r\n/y;
    line.lastIndex = at;
    const size = line.exec(text);
    if (!size) return undefined;
    at += size[0].length;
    const length = Number.parseInt(size[1]!, 16);
    if (length === 0) break;
    if (text.length < at + length + 2) return undefined;
    body += text.slice(at, at + length);
    at += length + 2;
  }
  const end = text.startsWith('\r\n', at) ? at + 2 : text.indexOf('\r\n\r\n', at) + 4;
  if (end < 4 || end > text.length) return undefined;
  return { head, body: body + text.slice(at, end - 2), end };
}

/** The heads, and the bodies without their framing and compression: how a body is cut into chunks is chance. */
export function split(answers: Answers, test: Case): { heads: string; bodies: string } {
  const pieces = typeof test.send === 'string' ? [test.send] : test.send;
  let heads = '';
  let bodies = '';
  const methods = methodsOf(pieces).flat();
  let from = 0;
  for (let i = 0; from < answers.bytes.length; i++) {
    const response = readResponse(answers.bytes, from, methods[i] ?? '');
    if (!response) {
      const headEnd = answers.bytes.indexOf('\r\n\r\n', from);
      const isHead = headEnd >= 0 && answers.bytes.startsWith('HTTP/', from);
      if (isHead) heads += answers.bytes.slice(from, headEnd + 2);
      bodies += unpacked(isHead ? heads : '', answers.bytes.slice(isHead ? headEnd + 4 : from));
      break;
    }
    heads += `${response.head}\n`;
    bodies += `${unpacked(response.head, response.body)}\n`;
    from = response.end;
  }
  return { heads, bodies };
}

function unpacked(head: string, body: string): string {
  if (!/^content-encoding: gzip/im.test(head) || body === '') return body;
  try {
    return gunzipSync(Buffer.from(body, 'latin1')).toString('latin1');
  } catch {
    return `not gzip: ${body}`;
  }
}
