// What scenarios are made of: servers that are started, driven and ended, and what is told of them. Both stacks must have seen the
// same; nothing here says what that is.
import { get, type Running, rawRequest, type ServerProcess } from '../../services/server-process.ts';
import type { AppName, Side } from './peers.ts';

export interface Scenario {
  readonly name: string;
  /** Drives a server of this side. What it gives is compared. */
  run(side: Side): Promise<unknown>;
}

/** Lines of Gunicorn's log without time, process and numbers; sorted, since processes write them in any order. */
export function gunicornLog(server: ServerProcess): string[] {
  const lines = [...server.log.matchAll(/^\[[^\]]+\] \[\d+\] \[(\w+)\] (.*)$/gm)];
  return lines.map(([, level, text]) => `${level} ${nameless(text ?? '')}`).sort();
}

/** The same of Uvicorn's. */
export function uvicornLog(server: ServerProcess): string[] {
  const lines = [...server.log.matchAll(/^(INFO|WARNING|ERROR): +(.*)$/gm)];
  return lines.map(([, level, text]) => `${level} ${nameless(text ?? '')}`).sort();
}

const nameless = (text: string): string =>
  text.replace(/127\.0\.0\.1:\d+/g, 'ADDRESS').replace(/(pid: ?|\[|\(|<Worker )\d+/g, '$1N');

export const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));
export const status = async (answer: ReturnType<typeof get>): Promise<number | null> => (await answer)?.status ?? null;

export async function until(condition: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await condition())) await pause(25);
}

type Seen = Readonly<Record<string, unknown>> & { readonly log: string[] };

/** Ends it with a signal and tells everything. */
export async function end({ server }: Running, signal: NodeJS.Signals, seen: object = {}): Promise<Seen> {
  const how = await server.stop(signal);
  return { ...seen, how, log: server.log.includes('Starting gunicorn') ? gunicornLog(server) : uvicornLog(server) };
}

type Drive = (running: Running) => Promise<object>;

/** A scenario on a running Gunicorn that is ended with TERM. */
export function gunicorn(name: string, args: readonly string[], drive: Drive, excused?: RegExp): Scenario {
  return {
    name: `gunicorn ${args.join(' ')}${args.length > 0 ? ': ' : ''}${name}`,
    run: async (side) => {
      const running = await side.gunicorn('flask', ...args);
      // The workers are there when one has answered; a second may still be loading.
      await status(get(running.port, '/'));
      const seen = await end(running, 'SIGTERM', await drive(running));
      return excused ? { ...seen, log: seen.log.filter((each) => !excused.test(each)) } : seen;
    },
  };
}

export function uvicorn(name: string, args: readonly string[], drive: Drive): Scenario {
  return {
    name: `uvicorn ${args.join(' ')}${args.length > 0 ? ': ' : ''}${name}`,
    run: async (side) => {
      const running = await side.uvicorn('fastapi', ...args);
      await status(get(running.port, '/'));
      return end(running, 'SIGTERM', await drive(running));
    },
  };
}

/** A command that ends by itself: its status, and the lines that tell why. */
export function refusal(program: 'gunicorn' | 'uvicorn', app: AppName, args: readonly string[], why: RegExp): Scenario {
  return {
    name: `${program} ${args.join(' ')} ${app}`,
    run: async (side) => {
      const control = side.name === 'real' && program === 'gunicorn' ? ['--no-control-socket'] : [];
      const server = side.spawn(program, app, [...control, ...args]);
      const { status: code } = await server.exited;
      return { code, why: [...server.log.matchAll(why)].map(([text]) => nameless(text)) };
    },
  };
}

export const idle = (program: 'gunicorn' | 'uvicorn', signal: NodeJS.Signals): Scenario => ({
  name: `${program}: ${signal} when idle`,
  run: async (side) => {
    const running = program === 'gunicorn' ? await side.gunicorn('flask') : await side.uvicorn('fastapi');
    await status(get(running.port, '/'));
    return end(running, signal);
  },
});

/** A keep-alive connection: what its first response says about it, and that the server closes it. */
export async function keptAlive(port: number): Promise<object> {
  const text = await rawRequest(port, 'GET /size?bytes=1 HTTP/1.1\r\nHost: a\r\n\r\n');
  return { connection: /^connection: (.*)\r$/im.exec(text)?.[1] ?? null, responses: text.match(/HTTP\/1\.1/g)?.length };
}
