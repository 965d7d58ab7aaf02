/**
 * A real Gunicorn or Uvicorn for a calibration: started on a free port of loopback, put under a small closed-loop load, asked for the CPU
 * time of its process, stopped.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import net from 'node:net';

const START_LIMIT_MS = 30_000;

/** How to start one, and what to ask it. */
export interface RealServerPlan {
  /** Arguments of Python, `-m gunicorn …`. */
  readonly args: readonly string[];
  readonly isKeptAlive: boolean;
}

/** One running server. */
export class RealServer {
  readonly #child: ChildProcess;
  readonly #port: number;
  readonly #isKeptAlive: boolean;

  constructor(child: ChildProcess, port: number, isKeptAlive: boolean) {
    this.#child = child;
    this.#port = port;
    this.#isKeptAlive = isKeptAlive;
  }

  /** Starts a server and waits until it has said where it listens. Rejects with its last words. */
  static start(python: string, directory: string, plan: RealServerPlan): Promise<RealServer> {
    const child = spawn(python, plan.args, { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] });
    return new Promise((done, fail) => {
      let log = '';
      const refuse = (): void => fail(new Error(`${python} ${plan.args.join(' ')} did not start:\n${log.trim()}`));
      const timer = setTimeout(() => {
        child.kill('SIGKILL');
        refuse();
      }, START_LIMIT_MS);
      child.on('error', (error) => fail(error));
      child.on('close', () => {
        clearTimeout(timer);
        refuse();
      });
      for (const stream of [child.stdout, child.stderr]) {
        stream?.on('data', (bytes: Buffer) => {
          log += bytes.toString();
          const port = /(?:Listening at:|running on) http:\/\/127\.0\.0\.1:(\d+)/.exec(log)?.[1];
          if (port === undefined) return;
          clearTimeout(timer);
          done(new RealServer(child, Number(port), plan.isKeptAlive));
        });
      }
    });
  }

  /** Stops it and waits for its end. */
  stop(): Promise<void> {
    return new Promise((done) => {
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) return done();
      this.#child.on('close', () => done());
      this.#child.kill('SIGTERM');
    });
  }

  /** CPU time that the process of the application has used since it began, in microseconds. */
  async processTimeUs(): Promise<number> {
    const answer = await this.#exchange('/process-time', 1, false);
    const us = Number(/\r\n\r\n(\d+)$/.exec(answer)?.[1] ?? Number.NaN);
    if (Number.isNaN(us)) throw new Error(`/process-time answered:\n${answer}`);
    return us;
  }

  /**
   * What one request for a path costs, in microseconds: the mean of so many, from so many clients at a time. It is CPU time of the
   * process; or the time that passed, if that was less, since threads that run at once use more than one core's while what the GIL
   * lets through is one core's.
   */
  async requestUs(path: string, requests: number, clients: number): Promise<number> {
    const before = await this.processTimeUs();
    const each = Math.ceil(requests / clients);
    const startMs = performance.now();
    await Promise.all(Array.from({ length: clients }, () => this.#client(path, each)));
    const passedUs = (performance.now() - startMs) * 1000;
    return Math.min((await this.processTimeUs()) - before, passedUs) / (each * clients);
  }

  async #client(path: string, requests: number): Promise<void> {
    if (this.#isKeptAlive) await this.#exchange(path, requests, true);
    else for (let n = 0; n < requests; n++) await this.#exchange(path, 1, false);
  }

  /** Sends requests one after the other on one connection; gives the last answer whole. Rejects on any answer but 200. */
  #exchange(path: string, requests: number, isKeptAlive: boolean): Promise<string> {
    const connection = isKeptAlive ? 'keep-alive' : 'close';
    const request = `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: ${connection}\r\n\r\n`;
    return new Promise((done, fail) => {
      const socket = net.connect(this.#port, '127.0.0.1', () => socket.write(request));
      socket.setNoDelay(true);
      let answer = '';
      let left = requests;
      socket.on('error', fail);
      socket.on('end', () => socket.end());
      socket.on('close', () => {
        if (left === 0 || !isKeptAlive) done(answer);
        else fail(new Error(`the server closed a connection with ${left} requests to go`));
      });
      socket.on('data', (bytes) => {
        answer += bytes.toString('latin1');
        const head = answer.indexOf('\r\n\r\n');
        if (head < 0) return;
        if (!/^HTTP\/1\.1 200 /.test(answer)) {
          socket.destroy();
          fail(new Error(`GET ${path} answered:\n${answer}`));
          return;
        }
        const length = Number(/^content-length: *(\d+)/im.exec(answer)?.[1] ?? 0);
        if (!isKeptAlive || answer.length < head + 4 + length) return;
        if (--left === 0) socket.end();
        else {
          answer = '';
          socket.write(request);
        }
      });
    });
  }
}
