// `master_process off`: one process binds, serves and takes the signals. It stops without waiting for anybody, as
// nginx does in this mode. Mirrors ngx_single_process_cycle.
import { type Cycle, type CycleOptions, closeCycle, openCycle, pidFileOf, reopenFiles } from './cycle.ts';
import { type ListenSockets, planSockets, type SocketPlan } from './listen/sockets.ts';
import { passwordFiles } from './modules/ssl.ts';
import { removePidFile, writePidFile } from './pid-file.ts';
import { Serving } from './serving.ts';
import { handleSignals } from './signals.ts';
import type { StartupLog } from './startup-log.ts';

/** Runs until a signal ends it. `sockets` holds the bound sockets of `cycle`. */
export async function runSingle(
  cycle: Cycle,
  sockets: ListenSockets,
  options: CycleOptions,
  startup: StartupLog,
  onUp: () => void,
): Promise<void> {
  const serving = new Serving(cycle);
  const pidFile = pidFileOf(cycle);
  const handleOf = (plan: SocketPlan) => sockets.handlesOf(plan)[0]!;
  let reloading = Promise.resolve();

  const exit = (): void => {
    setImmediate(() => {
      serving.finish();
      const failure = removePidFile(pidFile);
      if (failure) serving.cycle.log.write('alert', failure);
      serving.cycle.log.write('notice', 'exit');
      closeCycle(serving.cycle);
      sockets.close();
      process.exit(0);
    });
  };
  const reload = async (): Promise<void> => {
    const old = serving.cycle;
    old.log.write('notice', 'reconfiguring');
    passwordFiles.clear();
    try {
      const next = await openCycle(options);
      const plans = planSockets(next.config.listens);
      if (!(await sockets.open(plans, 1, (level, message) => old.log.write(level, message)))) {
        closeCycle(next);
        return;
      }
      await serving.serve(next, handleOf);
      sockets.close(plans);
      closeCycle(old);
    } catch (error) {
      old.log.write('emerg', (error as Error).message);
    }
  };

  const actions = {
    SIGTERM: exit,
    SIGINT: exit,
    SIGQUIT: exit,
    SIGHUP: () => {
      reloading = reloading.then(reload);
    },
    SIGUSR1: () => {
      reopenFiles(serving.cycle, () => {});
      serving.reopen();
    },
  };
  handleSignals(() => serving.cycle.log, actions, { SIGUSR2: ', ignoring', SIGWINCH: '' });
  await serving.serve(cycle, handleOf);
  writePidFile(pidFile);
  startup.isOnStderr = false;
  onUp();
}
