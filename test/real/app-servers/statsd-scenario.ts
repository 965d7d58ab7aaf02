// The datagrams that Gunicorn sends to statsd for the same requests, a crash and an idle second.
import dgram from 'node:dgram';
import { get } from '../../services/server-process.ts';
import type { Scenario } from './scenario.ts';

export const STATSD_SCENARIO: Scenario = {
  name: 'gunicorn --statsd-host',
  run: async (side) => {
    const metrics: string[] = [];
    const socket = dgram.createSocket('udp4').on('message', (bytes) => metrics.push(bytes.toString()));
    await new Promise<void>((done) => socket.bind(0, '127.0.0.1', done));
    const statsd = ['--statsd-host', `127.0.0.1:${socket.address().port}`, '--statsd-prefix', 'app'];
    const { port, server } = await side.gunicorn(
      'flask',
      ...statsd,
      '--dogstatsd-tags',
      'a:b',
      '--enable-backlog-metric',
    );
    for (const target of ['/', '/no-such', '/raise', '/crash']) await get(port, target);
    await server.until(() => metrics.some((each) => each.includes('log.error')), 'the crash');
    await server.stop();
    socket.close();
    // When the master looks at its queue, and what it then finds, is a matter of time.
    const isSample = (text: string): boolean => /^app\.gunicorn\.backlog:\d+\|h\|#a:b$/.test(text);
    const others = metrics.filter((each) => !isSample(each)).map((each) => each.replace(/\d+\.\d+\|ms/, 'N|ms'));
    return { others, samples: metrics.some(isSample) };
  },
};
