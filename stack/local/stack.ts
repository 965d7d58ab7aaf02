// Runs the chosen services of a project as local processes: starts them when what they depend on is ready, reports each
// death with its last words, restarts by policy, stops in reverse order. It stands where docker compose and the engine do.
// Until all is up, a service that dies ends the attempt, whatever its restart policy: a port in use or a wrong flag shows
// at once instead of scrolling by again and again. Afterwards, policies hold as Docker's do.
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Project } from '../compose/project.ts';
import type { Condition, Service } from '../compose/service.ts';
import type { LoopbackNetwork } from './addresses.ts';
import type { Console } from './console.ts';
import { serviceEnvironment } from './environment.ts';
import { writeHostsFile } from './hosts-file.ts';
import { describeHolder, portInUse } from './port-holder.ts';
import { identify } from './process-identity.ts';
import { type Exit, Replica } from './replica.ts';
import type { StackState, StateDirectory } from './state.ts';
import { WatchdogLink } from './watchdog-link.ts';

/** Why the stack could not be brought up; the details have been said by then. */
export class StartError extends Error {
  override name = 'StartError';
}

interface Milestones {
  replicas: Replica[];
  service_started: PromiseWithResolvers<void>;
  service_healthy: PromiseWithResolvers<void>;
  service_completed_successfully: PromiseWithResolvers<void>;
}

const LAST_LINES = 10;
const SETTLE_MS = 500;

export class Stack {
  readonly #project: Project;
  readonly #services: readonly Service[];
  readonly #directory: StateDirectory;
  readonly #console: Console;
  readonly #milestones = new Map<string, Milestones>();
  readonly #replicas: Replica[];
  readonly #failure = Promise.withResolvers<never>();
  readonly #over = Promise.withResolvers<void>();
  readonly #startedAt = Date.now();
  #watchdog: WatchdogLink | undefined;
  #isUp = false;
  #isStopping = false;

  constructor(
    project: Project,
    services: readonly Service[],
    setup: { directory: StateDirectory; network: LoopbackNetwork; console: Console },
  ) {
    this.#project = project;
    this.#services = services;
    this.#directory = setup.directory;
    this.#console = setup.console;
    for (const service of services) {
      const replicas = Array.from({ length: service.replicas }, (_, index) => {
        const name = `${service.name}-${index + 1}`;
        // A published service is looked for on 127.0.0.1, as Docker publishes it there.
        const address = service.ports.length > 0 ? '127.0.0.1' : setup.network.take();
        return new Replica(service, name, address, {
          environment: serviceEnvironment(service, address, this.#directory.at('hosts')),
          fifoPath: this.#directory.at(`${name}.pipe`),
          voice: setup.console.voice(name),
          listener: {
            onStart: (replica) => this.#onStart(replica),
            onHealth: (replica) => this.#onHealth(replica),
            onExit: (replica, exit) => this.#onExit(replica, exit),
          },
        });
      });
      this.#milestones.set(service.name, {
        replicas,
        service_started: Promise.withResolvers(),
        service_healthy: Promise.withResolvers(),
        service_completed_successfully: Promise.withResolvers(),
      });
    }
    this.#replicas = [...this.#milestones.values()].flatMap(({ replicas }) => replicas);
    this.#failure.promise.catch(() => {});
  }

  /** The stack as it goes on record. */
  toState(): StackState {
    return {
      version: 1,
      project: this.#project.name,
      file: this.#project.file,
      supervisor: identify(process.pid)!,
      startedAt: this.#startedAt,
      isUp: this.#isUp,
      replicas: this.#replicas.map((replica) => replica.toRecord()),
    };
  }

  /** Resolves when no replica runs any more and none will be restarted. */
  get over(): Promise<void> {
    return this.#over.promise;
  }

  /** Whether some service ended with a failure. */
  get hasFailed(): boolean {
    return this.#replicas.some(({ exit }) => exit !== undefined && !exit.isSuccess);
  }

  /** How many replicas there are. */
  get size(): number {
    return this.#replicas.length;
  }

  /** Starts everything; resolves when every service is as ready as it gets. Throws StartError. */
  async start(): Promise<void> {
    this.#watchdog = new WatchdogLink(dirname(this.#directory.path));
    this.#save();
    const ready = this.#services.map(async (service) => {
      await Promise.all(
        service.dependencies.map(
          (dependency) => this.#milestones.get(dependency.service)![dependency.condition].promise,
        ),
      );
      if (this.#isStopping) return;
      const milestones = this.#milestones.get(service.name)!;
      for (const replica of milestones.replicas) replica.start();
      milestones.service_started.resolve();
      if (milestones.replicas.length === 0) {
        milestones.service_healthy.resolve();
        milestones.service_completed_successfully.resolve();
      }
      const readiness = this.#readinessOf(service);
      await milestones[readiness].promise;
      // Without a healthcheck a started process may still be on its way to an early end; it is given a moment for that.
      if (readiness === 'service_started') await delay(SETTLE_MS, undefined, { ref: false });
    });
    await Promise.race([Promise.all(ready), this.#failure.promise]);
    this.#isUp = true;
    this.#save();
    this.#checkOver();
  }

  /** Stops every service after those that depend on it, then sends the watchdog home. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    const stops = new Map<string, Promise<void>>();
    const stop = (service: Service): Promise<void> => {
      const known = stops.get(service.name);
      if (known !== undefined) return known;
      const dependents = this.#services.filter((other) =>
        other.dependencies.some((one) => one.service === service.name),
      );
      const stopped = Promise.all(dependents.map(stop)).then(async () => {
        await Promise.all(this.#milestones.get(service.name)!.replicas.map((replica) => replica.stop()));
      });
      stops.set(service.name, stopped);
      return stopped;
    };
    await Promise.all(this.#services.map(stop));
    await this.#watchdog?.dismiss();
  }

  /** Kills everything at once; a stop() that is under way then finishes. */
  kill(): void {
    for (const replica of this.#replicas) replica.kill();
  }

  #readinessOf(service: Service): Condition {
    if (service.healthcheck !== undefined) return 'service_healthy';
    // Whoever waits for its end makes it a one-shot, also when that one is not started this time.
    const isAwaited = [...this.#project.services.values()].some(({ dependencies }) =>
      dependencies.some((one) => one.service === service.name && one.condition === 'service_completed_successfully'),
    );
    return isAwaited ? 'service_completed_successfully' : 'service_started';
  }

  #onStart(replica: Replica): void {
    this.#watchdog?.started({
      name: replica.name,
      process: replica.process!,
      stopSignal: replica.service.stopSignal,
      stopGraceMs: replica.service.stopGraceMs,
    });
    this.#save();
  }

  #onHealth(replica: Replica): void {
    const { replicas, service_healthy } = this.#milestones.get(replica.service.name)!;
    if (replica.health === 'unhealthy') {
      this.#console.say(`${replica.name} is unhealthy: ${replica.healthFailure}`);
      if (!this.#isUp) this.#failure.reject(new StartError(`${replica.name} did not become healthy`));
    }
    this.#save();
    if (replicas.every(({ health }) => health === 'healthy')) service_healthy.resolve();
  }

  #onExit(replica: Replica, exit: Exit): boolean {
    const { replicas, service_completed_successfully } = this.#milestones.get(replica.service.name)!;
    if (this.#isStopping) {
      this.#save();
      return false;
    }
    const isTooEarly = !this.#isUp && (!exit.isSuccess || this.#readinessOf(replica.service) === 'service_healthy');
    if (!exit.isSuccess || isTooEarly) this.#reportDeath(replica, exit);
    if (isTooEarly) this.#failure.reject(new StartError(`${replica.name} ended before the stack was up`));
    if (replicas.every((one) => one.exit?.isSuccess)) service_completed_successfully.resolve();
    this.#save();
    if (replica.status !== 'restarting') queueMicrotask(() => this.#checkOver());
    return !isTooEarly;
  }

  #reportDeath(replica: Replica, exit: Exit): void {
    const said = replica.voice.lastLines().filter((line) => line.trim() !== '');
    const lines = said.slice(-LAST_LINES);
    const after = `${(exit.ranMs / 1000).toFixed(1)} s`;
    const next = replica.status === 'restarting' && this.#isUp ? '; it will be restarted' : '';
    const words =
      lines.length === 0 ? ' It said nothing.' : ` Its last lines:\n${lines.map((line) => `    ${line}`).join('\n')}`;
    this.#console.say(`${replica.name} ended with ${exit.text} after ${after}${next}.${words}`);
    const port = portInUse(said);
    if (port !== undefined) this.#console.say(describeHolder(port));
  }

  #checkOver(): void {
    if (this.#isUp && this.#replicas.every(({ status }) => status === 'exited')) this.#over.resolve();
  }

  #save(): void {
    const running = this.#replicas.filter(({ status }) => status === 'running');
    writeHostsFile(
      this.#directory.at('hosts'),
      running.map(({ service, name, address }) => ({ service: service.name, name, address })),
    );
    this.#directory.write(this.toState());
  }
}
