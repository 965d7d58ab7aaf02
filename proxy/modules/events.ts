// The `events` block. How events are waited for is the runtime's business; what a user can see is worker_connections.
// Mirrors ngx_event_core_commands.
import { type Compiler, Scope } from '../config/compile.ts';
import { ConfigError } from '../config/error.ts';
import { action, type Cf, custom, defineModule, EVENTS, flag, MAIN, time } from '../config/rows.ts';
import { unused } from '../config/unused-row.ts';
import { parseAddress } from '../listen/address.ts';

const POLLS = 'Connections are accepted one a turn of the loop, by whichever worker is first.';
const hasBlock = new WeakSet<Compiler>();

export const eventsModule = defineModule('events', {
  core: {
    events: action(MAIN, 'none', '{ ... }', openEvents, { isBlock: true }),
    worker_connections: custom(EVENTS, '1', {
      default: 512,
      syntax: 'number',
      defaultText: '512',
      set: (cf) => (/^\d+$/.test(cf.args[0]!) ? Number(cf.args[0]) : cf.fail(`invalid number "${cf.args[0]}"`)),
    }),
    use: custom<string | undefined>(EVENTS, '1', {
      default: undefined,
      syntax: 'method',
      note: 'epoll, poll and select are accepted; the runtime waits with epoll.',
      set: (cf) =>
        ['epoll', 'poll', 'select'].includes(cf.args[0]!) ? cf.args[0]! : cf.fail(`invalid event type "${cf.args[0]}"`),
    }),
    multi_accept: flag(EVENTS, false, { note: POLLS }),
    accept_mutex: flag(EVENTS, false, { note: POLLS }),
    accept_mutex_delay: time(EVENTS, '500ms', { note: POLLS }),
    worker_aio_requests: unused(EVENTS, '1', 'number', '32', 'Files are read by the runtime.'),
    epoll_events: unused(EVENTS, '1', 'number', '512', 'Events are taken by the runtime.'),
    debug_connection: custom<undefined>(EVENTS, '1', {
      default: undefined,
      isRepeatable: true,
      syntax: 'address | CIDR | unix:',
      note: 'Warned about, as by an nginx built without debugging.',
      set(cf) {
        if (typeof parseAddress(cf.args[0]!, 0) === 'string' && !cf.args[0]!.includes('/'))
          cf.invalidParameter(cf.args[0]!);
        cf.compiler.warn(
          '"debug_connection" is ignored, you need to rebuild nginx using --with-debug option to enable it',
          cf.directive,
        );
        return undefined;
      },
    }),
  },
});

function openEvents(cf: Cf): void {
  if (hasBlock.has(cf.compiler)) cf.fail('"events" directive is duplicate');
  hasBlock.add(cf.compiler);
  const scope = new Scope(EVENTS, cf.scope);
  cf.compiler.walk(cf.directive.block!, scope);
  // The rows belong to the process, so the values go where it looks for them.
  for (const [row, value] of scope.values) cf.scope.values.set(row, value);
}

/** To be called when everything was read: a configuration without `events` is an error. */
export function checkEvents(compiler: Compiler): void {
  if (!hasBlock.has(compiler)) throw new ConfigError('no "events" section in configuration', 'emerg', true);
}
