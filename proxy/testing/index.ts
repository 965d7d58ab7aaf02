// What `import … from 'portico'` gives: starting an nginx.conf in a test. The proxy is loaded when it is first wanted, so
// that a Node that is too old for it is told about in a sentence.
import type { StartOptions, TestedProxy } from './types.ts';

export type {
  AccessLogEntry,
  ErrorLogEntry,
  FakeAnswer,
  FakeUpstream,
  StartOptions,
  TestedProxy,
  UpstreamRecord,
  UpstreamRequest,
} from './types.ts';

/**
 * Starts `conf` (the path of an nginx.conf, or its text) in this process. Rejects with nginx's own words when the
 * configuration is wrong. A file that holds only `server` and `upstream` blocks is put into an `http` block.
 */
export async function startProxy(conf: string, options: StartOptions = {}): Promise<TestedProxy> {
  if (Number(process.versions.node.split('.')[0]) < 24) {
    throw new Error(
      `portico needs Node 24, and this is ${process.version}; the Node that comes with it is found by npm scripts and npx`,
    );
  }
  const proxy = await import('./start-proxy.ts');
  return await proxy.startProxy(conf, options);
}
