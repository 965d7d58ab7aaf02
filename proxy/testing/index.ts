// What `import … from 'portico'` gives: starting an nginx.conf in a test.
export { startProxy } from './start-proxy.ts';
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
