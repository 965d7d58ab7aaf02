// What a start loads when the program has been started before: no compiler of TypeScript in a worker, though that has given
// up its privileges and cannot write to the cache, and in no process the HTTP client that importing node:http brings along.
// And how large a worker's young memory may get.
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { bodyOf, get, startProxy } from './start-proxy.ts';

/** At its end every process tells on stderr its arguments to the runtime, and what of that it has loaded. */
const TELL = `import{writeSync}from'node:fs';
process.on('exit',()=>writeSync(2,'end_'+process.pid+':'+process.execArgv+process.moduleLoadList.filter((m)=>m.includes('/deps/'))+'\\n'))`;

async function toldByStart(options = ''): Promise<{ master: string; worker: string }> {
  const proxy = await startProxy('http { access_log off; server { listen 127.0.0.1:%%PORT_0%%; return 200 $pid; } }', {
    preamble: 'daemon off; error_log error.log; events { }',
    env: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(TELL)} ${options}` },
  });
  let told = '';
  proxy.process.stderr!.on('data', (chunk: Buffer) => {
    told += chunk;
  });
  const closed = once(proxy.process, 'close');
  const worker = bodyOf(await get(proxy.port, '/'));
  await proxy.stop();
  await closed;
  const of = (pid: string | number): string => new RegExp(`^end_${pid}:(.*)$`, 'm').exec(told)![1]!;
  return { master: of(proxy.process.pid!), worker: of(worker) };
}

it('loads no compiler and no HTTP client when it starts again', async () => {
  await toldByStart();
  const { master, worker } = await toldByStart();
  // The master's first module is compiled before the cache is there: it shows that the list does name the compiler.
  expect(master).toContain('amaro');
  expect(worker).not.toContain('amaro');
  expect(master + worker).not.toContain('undici');
});

it('bounds the young memory of workers, unless the user does', async () => {
  expect((await toldByStart()).worker).toContain('--max-semi-space-size=16');
  expect((await toldByStart('--max-semi-space-size=4')).worker).not.toContain('semi-space');
});
