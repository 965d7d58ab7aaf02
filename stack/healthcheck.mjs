// The healthcheck of docker-compose.yml: one GET, exit status 0 when the answer's status is below 400. The slim image has
// no curl. Plain JavaScript and node:http, so that it costs as little CPU time as Node can start with: it runs all the time.
// Under `portico up` a replica has an address of its own, PORTICO_ADDRESS, which then stands for localhost.
import { get } from 'node:http';

const url = new URL(process.argv[2] ?? 'http://localhost/');
if (url.hostname === 'localhost') url.hostname = process.env['PORTICO_ADDRESS'] ?? '127.0.0.1';

const request = get(
  url,
  { agent: false, timeout: 5000, headers: { 'user-agent': 'portico-healthcheck' } },
  (response) => {
    const isGood = response.statusCode < 400;
    if (!isGood) process.stderr.write(`${url}: status ${response.statusCode}\n`);
    process.exit(isGood ? 0 : 1);
  },
);
request.on('timeout', () => request.destroy(new Error('no answer within 5 s')));
request.on('error', (error) => {
  process.stderr.write(`${url}: ${error.message}\n`);
  process.exit(1);
});
