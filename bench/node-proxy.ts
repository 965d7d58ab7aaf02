// `node bench/node-proxy.ts LIBRARY HTTP_PORT HTTPS_PORT UPSTREAM_PORT CERTIFICATE KEY`: what a Node user would write in a few
// lines with each of the known proxy libraries, pooled connections to the upstream included. They are not dependencies: a
// library that is not installed is left out (`npm install --no-save http-proxy http-proxy-3 @fastify/http-proxy fastify`).
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { createRequire } from 'node:module';

const [library, httpPort, httpsPort, upstreamPort, certificate, key] = process.argv.slice(2) as string[];
const require = createRequire(import.meta.url);
const target = `http://127.0.0.1:${upstreamPort}`;
const tls = { cert: readFileSync(certificate!), key: readFileSync(key!) };

interface WebProxy {
  web(request: http.IncomingMessage, response: http.ServerResponse): void;
  on(event: 'error', heard: (error: Error, request: unknown, response: http.ServerResponse) => void): void;
}

interface FastifyServer {
  register(plugin: unknown, options: object): void;
  listen(options: { host: string; port: number }): Promise<unknown>;
}

if (library === '@fastify/http-proxy') {
  const fastify = require('fastify') as (options: object) => FastifyServer;
  for (const [port, options] of [
    [httpPort, {}],
    [httpsPort, { https: tls }],
  ] as const) {
    const app = fastify(options);
    app.register(require('@fastify/http-proxy'), { upstream: target, prefix: '/app', rewritePrefix: '' });
    await app.listen({ host: '127.0.0.1', port: Number(port) });
  }
} else {
  const { createProxyServer } = require(library!) as { createProxyServer(options: object): WebProxy };
  const agent = new http.Agent({ keepAlive: true, maxSockets: 128 });
  const proxy = createProxyServer({ target, agent, xfwd: true });
  proxy.on('error', (_error, _request, response) => response.writeHead(502).end());
  const listener = (request: http.IncomingMessage, response: http.ServerResponse): void => {
    request.url = request.url!.replace(/^\/app/, '');
    proxy.web(request, response);
  };
  http.createServer(listener).listen(Number(httpPort), '127.0.0.1');
  https.createServer(tls, listener).listen(Number(httpsPort), '127.0.0.1');
}
