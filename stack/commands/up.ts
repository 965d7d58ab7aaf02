// `portico up`: the services of docker-compose.yml as local processes, in the foreground. It reads and checks everything
// first, ends what an earlier `up` left behind, then runs the stack until Ctrl-C or until nothing runs any more.
// With --detach it starts itself again in the background (detach.ts) and comes back when the stack is up.
import { relative } from 'node:path';
import { findComposeFile, hasComposeFile, readProject } from '../compose/project.ts';
import { claimLoopbackNetwork } from '../local/addresses.ts';
import { Console, wantsColor } from '../local/console.ts';
import { endLeftovers } from '../local/leftovers.ts';
import { isRunning } from '../local/process-identity.ts';
import { Stack } from '../local/stack.ts';
import { leftoversOf, StateDirectory } from '../local/state.ts';
import { copyPackagedProject, isProject } from '../packaged-project.ts';
import { banner } from './banner.ts';
import type { Command } from './command.ts';
import { detach, isDetachedChild, tellParent } from './detach.ts';
import { StopRequest } from './stop-request.ts';
import { checkSharedAddress, chooseServices, localNotes, parseUpOptions } from './up-options.ts';

export const up: Command = {
  name: 'up',
  summary: 'run the services of docker-compose.yml as local processes',
  help: `Usage: portico up [OPTIONS] [SERVICE...]

Runs the services of docker-compose.yml (all, or those named and what they depend on) as local processes, without
Docker: same commands, environment, order, healthchecks, restarts. Each replica has a loopback address of its own
(PORTICO_ADDRESS), and service names resolve (PORTICO_HOSTS). Ctrl-C stops them in reverse order.

In a project (a directory with a package.json) that has no compose file it runs the stack that comes with Portico, from
a copy in .portico/default; its certificates are in .portico/default/certs/live. PORTICO_HTTP_PORT and
PORTICO_HTTPS_PORT move it away from 8080 and 8443.

  -f, --file FILE            the compose file (default: the one in this directory)
      --scale SERVICE=N      so many replicas of a service; can be given several times
  -d, --detach               come back when all is up; portico down stops it
  -h, --help                 this text

A service that dies before the stack is up ends the attempt, whatever its restart policy. Exit status: 0 after Ctrl-C,
1 when the stack could not be brought up or a service's end ended it, 2 for a wrong command line, 130 when killed.

Examples:
  portico up
  portico up --scale wsgi=3
  portico up --detach && curl --cacert certs/live/ca.pem https://localhost:8443/ ; portico down
  portico up asgi
`,
  run: (argv) => runUp(argv),
};

async function runUp(argv: readonly string[]): Promise<number> {
  const options = parseUpOptions(argv);
  const isPackaged = options.file === undefined && !hasComposeFile(process.cwd()) && isProject(process.cwd());
  const file = isPackaged
    ? copyPackagedProject(process.cwd(), process.env)
    : findComposeFile(options.file, process.cwd());
  const shown = relative(process.cwd(), file) || file;
  const project = readProject(file, process.env, shown);
  const services = chooseServices(project, options, shown);
  const directory = new StateDirectory(project.directory);
  directory.create();

  const earlier = directory.read();
  if (earlier !== undefined && isRunning(earlier.supervisor)) {
    process.stderr.write(
      `portico: ${project.name} is up already (process ${earlier.supervisor.pid}); stop it with: portico down\n`,
    );
    return 1;
  }
  if (options.isDetached && !isDetachedChild()) return await detach(argv, directory);

  const network = await claimLoopbackNetwork();
  if (!network.hasOwnAddresses) checkSharedAddress(services, shown);
  const names = services.flatMap(({ name, replicas }) => (replicas > 0 ? [`${name}-${replicas}`] : []));
  const console = new Console(process.stdout, names, wantsColor(process.stdout, process.env));
  for (const note of [...project.notes, ...localNotes(project, services)]) console.say(`note: ${note}`);
  if (earlier !== undefined) {
    const ended = await endLeftovers(leftoversOf(earlier));
    if (ended.length > 0) console.say(`stopped what an earlier run had left: ${ended.join(', ')}`);
    directory.clear();
    directory.create();
  }

  const stack = new Stack(project, services, { directory, network, console });
  if (!directory.claim(stack.toState())) {
    process.stderr.write(`portico: another portico up is just starting in ${project.directory}\n`);
    return 1;
  }
  const stop = new StopRequest();
  let status = 0;
  try {
    const startedAt = Date.now();
    const outcome = await Promise.race([
      stack.start().then(() => 'up' as const),
      stop.requested.then(() => 'stop' as const),
    ]);
    if (outcome === 'up') {
      const seconds = ((Date.now() - startedAt) / 1000).toFixed(1);
      const isDetached = isDetachedChild();
      const text = banner(project, services, { replicas: stack.size, seconds, from: process.cwd(), isDetached });
      console.plain(text);
      tellParent({ banner: text });
      const end = await Promise.race([
        stack.over.then(() => 'over' as const),
        stop.requested.then(() => 'stop' as const),
      ]);
      if (end === 'over') {
        console.say('every service has ended');
        status = stack.hasFailed ? 1 : 0;
      }
    }
  } catch (error) {
    console.say(`the stack is not up: ${(error as Error).message}; stopping the rest`);
    status = 1;
  }
  stop.onSecond(() => {
    console.say('killing what is left');
    status = 130;
    stack.kill();
  });
  if (stop.isRequested) console.say('stopping');
  await stack.stop();
  network.release();
  directory.clear();
  stop.dispose();
  return status;
}
