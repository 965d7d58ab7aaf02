// Requests as a browser or curl makes them, over TLS with our authority and nothing else trusted: HTTP/1.1 by node:https,
// HTTP/2 by node:http2, WebSocket by ws. Used against the local stack and against the containers alike.
import { get as getPlain, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { connect } from 'node:http2';
import { get } from 'node:https';
import { WebSocket } from 'ws';

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
  protocol: string;
}

/** A GET over HTTP/1.1, on a connection of its own. */
export async function http1(url: string, authority: string, headers: Record<string, string> = {}): Promise<Answer> {
  const message = await new Promise<IncomingMessage>((resolve, reject) => {
    const options = { headers, agent: false as const };
    const request = url.startsWith('https:')
      ? get(url, { ...options, ca: authority }, resolve)
      : getPlain(url, options, resolve);
    request.once('error', reject);
  });
  let body = '';
  for await (const chunk of message.setEncoding('utf8')) body += chunk;
  return { status: message.statusCode!, headers: message.headers, body, protocol: message.httpVersion };
}

/** GETs over one HTTP/2 connection, all at once. */
export async function http2(origin: string, authority: string, paths: readonly string[]): Promise<Answer[]> {
  const session = connect(origin, { ca: authority });
  try {
    return await Promise.all(
      paths.map(
        (path) =>
          new Promise<Answer>((resolve, reject) => {
            const stream = session.request({ ':path': path });
            session.once('error', reject);
            stream.once('error', reject);
            let body = '';
            let headers: IncomingHttpHeaders = {};
            let status = 0;
            stream.once('response', (given) => {
              status = Number(given[':status']);
              headers = given;
            });
            stream.setEncoding('utf8').on('data', (text: string) => {
              body += text;
            });
            stream.once('end', () => resolve({ status, headers, body, protocol: String(session.alpnProtocol) }));
            stream.end();
          }),
      ),
    );
  } finally {
    await new Promise<void>((resolve) => session.close(resolve));
  }
}

/** Sends each text over a WebSocket and gives what comes back, in order. */
export async function webSocketEcho(url: string, authority: string, texts: readonly string[]): Promise<string[]> {
  const socket = new WebSocket(url, { ca: authority });
  const received: string[] = [];
  return await new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.once('open', () => {
      for (const text of texts) socket.send(text);
    });
    socket.on('message', (data) => {
      received.push(String(data));
      if (received.length === texts.length) socket.close(1000);
    });
    socket.once('close', () => resolve(received));
  });
}
