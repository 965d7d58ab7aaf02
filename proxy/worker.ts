// A worker process: it gets its configuration and the bound sockets from the master, gives up its privileges, serves,
// and ends when it is told to; when the master was killed, it serves on. Mirrors ngx_worker_process_cycle.
import { setPriority } from 'node:os';
import { ConfigError, errnoText } from './config/error.ts';
import { type Cycle, closeCycle, coreOf, openCycle, reopenFiles } from './cycle.ts';
import { watchDescriptors } from './descriptor-limit.ts';
import type { Handle, SocketPlan } from './listen/sockets.ts';
import { setTicketKeys } from './listen/tls-context.ts';
import { link, loseMaster, receiveAnswer, tell } from './master-link.ts';
import { passwordFiles } from './modules/ssl.ts';
import { Serving } from './serving.ts';
import { handleSignals } from './signals.ts';
import { toStderr } from './startup-log.ts';
import { FATAL, type StartMessage, type ToWorker } from './worker-messages.ts';
import { setWorkerPlace } from './worker-place.ts';

const ASK_AGAIN_MS = 500;

/** Waits for the master's messages and obeys them. */
export function runWorker(): void {
  link.isWorker = true;
  const handles = new Map<string, Handle>();
  let begun: StartMessage | undefined;
  let serving: Serving | undefined;
  let isQuitting = false;
  let hasAll = false;
  let askSockets = (): void => {};

  const exit = (): void => {
    if (serving) {
      serving.cycle.log.write('notice', 'exiting');
      serving.finish();
      serving.cycle.log.write('notice', 'exit');
      closeCycle(serving.cycle);
    }
    process.exit(0);
  };
  const quit = (): void => {
    if (isQuitting) return;
    isQuitting = true;
    process.title = 'nginx: worker process is shutting down';
    if (!serving) {
      exit();
      return;
    }
    serving.cycle.log.write('notice', 'gracefully shutting down');
    serving.quit(exit);
  };
  const terminate = (): void => {
    setImmediate(exit);
  };
  const reopen = (): void => {
    if (!serving) return;
    serving.cycle.log.write('notice', 'reopening logs');
    reopenFiles(serving.cycle, () => {});
    serving.reopen();
  };

  process.on('message', (message: ToWorker, handle: unknown) => {
    switch (message.kind) {
      case 'start':
        begun = message;
        return;
      case 'socket':
        handles.set(message.key, handle as Handle);
        return;
      case 'listen':
        hasAll = true;
        void startWork(begun!, handles).then((ready) => {
          serving = ready;
          if (isQuitting) return exit();
          handleSignals(
            () => ready.cycle.log,
            {
              SIGTERM: terminate,
              SIGINT: terminate,
              SIGQUIT: quit,
              SIGUSR1: reopen,
              ...(begun!.isDaemon ? { SIGWINCH: quit } : {}),
            },
            { SIGHUP: ', ignoring', SIGUSR2: ', ignoring', SIGWINCH: begun!.isDaemon ? ', shutting down' : '' },
          );
          askSockets = (): void => {
            handles.clear();
            if (process.connected) tell({ kind: 'sockets' });
            // Nobody is left who could give them back.
            else quit();
          };
          watchDescriptors(ready, () => isQuitting, askSockets);
          tell({ kind: 'ready' });
        });
        return;
      case 'resume':
        // A socket may be lost on its way for want of a descriptor: they are asked for once more.
        if (serving && !isQuitting) {
          serving
            .accept((plan) => socketOf(handles, plan))
            .catch(() => void setTimeout(() => askSockets(), ASK_AGAIN_MS).unref());
        }
        return;
      case 'quit':
        quit();
        return;
      case 'terminate':
        terminate();
        return;
      case 'reopen':
        reopen();
        return;
      case 'answer':
        receiveAnswer(message.id, message.value);
    }
  });
  // The master was killed: nginx's workers notice nothing, and serve until they get a signal of their own.
  process.on('disconnect', () => {
    if (hasAll) loseMaster();
    else quit();
  });
  // Until the configuration is there a signal of the terminal must not kill us before the master can say so.
  process.on('SIGINT', () => {
    if (!serving) process.exit(0);
  });
}

function socketOf(handles: ReadonlyMap<string, Handle>, plan: SocketPlan): Handle {
  const handle = handles.get(plan.key);
  if (!handle) throw new ConfigError(`no socket for ${plan.key}`);
  return handle;
}

async function startWork(begun: StartMessage, handles: ReadonlyMap<string, Handle>): Promise<Serving> {
  process.title = 'nginx: worker process';
  let cycle: Cycle | undefined;
  try {
    setWorkerPlace(begun.place);
    setTicketKeys(Buffer.from(begun.ticketKeys));
    for (const [path, text] of begun.passwords) passwordFiles.set(path, text);
    cycle = await openCycle({ ...begun.options, files: new Map(begun.files), warn: () => {} });
    const serving = new Serving(cycle);
    becomeWorker(cycle, begun);
    await serving.serve(cycle, (plan) => socketOf(handles, plan));
    return serving;
  } catch (error) {
    const text = error instanceof ConfigError ? error.message : ((error as Error).stack ?? String(error));
    if (cycle) cycle.log.write('emerg', text);
    else toStderr(`nginx: [emerg] ${text}\n`);
    process.exit(FATAL);
  }
}

/** Priority, user, directory: what a worker is, besides what it serves (ngx_worker_process_init). */
function becomeWorker(cycle: Cycle, begun: StartMessage): void {
  const core = coreOf(cycle);
  if (core.worker_priority !== 0) {
    try {
      setPriority(core.worker_priority);
    } catch (error) {
      cycle.log.write('alert', `setpriority(${core.worker_priority}) failed ${errnoText(error)}`);
    }
  }
  const { user } = begun;
  if (user && process.geteuid!() === 0) {
    const steps: readonly (readonly [string, () => void])[] = [
      [`setgid(${user.gid})`, () => process.setgid!(user.gid)],
      [
        `initgroups(${user.user}, ${user.gid})`,
        () => (process as unknown as { initgroups(user: string, group: number): void }).initgroups(user.user, user.gid),
      ],
      [`setuid(${user.uid})`, () => process.setuid!(user.uid)],
    ];
    for (const [call, act] of steps) {
      try {
        act();
      } catch (error) {
        throw new ConfigError(`${call} failed ${errnoText(error)}`);
      }
    }
  }
  if (core.working_directory !== undefined) {
    try {
      process.chdir(core.working_directory);
    } catch (error) {
      throw new ConfigError(`chdir("${core.working_directory}") failed ${errnoText(error)}`);
    }
  }
}
