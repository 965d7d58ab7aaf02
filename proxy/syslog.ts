// Log lines to a syslog server, as RFC 3164 wants them: `<PRI>Nov 22 14:00:00 host tag: message`, one datagram a line.
// Nothing waits for the server; what cannot be sent is lost, and error.log says so once for each broken socket. Node has
// no unix datagrams: for `unix:` servers the system's logger(1), kept running, sends them. Mirrors ngx_syslog.c.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { hostname } from 'node:os';
import { createInterface } from 'node:readline';
import { syslogTimeNow } from './clock.ts';
import { errnoText } from './config/error.ts';
import { LEVEL_RANK, LogFile, type LogLevel, logProcessError } from './log.ts';

export const FACILITIES = [
  ...['kern', 'user', 'mail', 'daemon', 'auth', 'intern', 'lpr', 'news', 'uucp', 'clock', 'authpriv', 'ftp', 'ntp'],
  ...['audit', 'alert', 'cron', 'local0', 'local1', 'local2', 'local3', 'local4', 'local5', 'local6', 'local7'],
];

export interface SyslogSettings {
  /** Address or socket path; filled in when a name was looked up. */
  host: string;
  readonly port: number;
  readonly isUnix: boolean;
  /** Index in FACILITIES. */
  readonly facility: number;
  /** Severity of lines that say none. */
  readonly severity: LogLevel;
  readonly tag: string;
  readonly hasHostname: boolean;
}

/** What a line of error.log may have at most. */
const MESSAGE_BYTES = 2048;
const HOSTNAME = hostname().toLowerCase();

export class SyslogPeer extends LogFile {
  readonly #settings: SyslogSettings;
  #udp: UdpSocket | undefined;
  #logger: ChildProcess | undefined;
  /** A failure is being logged: that line must not come here again. */
  #isBusy = false;

  constructor(name: string, settings: SyslogSettings) {
    super(name);
    this.#settings = settings;
  }

  override get isOnDisk(): boolean {
    return false;
  }

  override open(): void {}

  override reopen(): void {}

  /** Sends a line; `level` is its severity where it has one of its own. */
  override write(text: string, level?: LogLevel): void {
    if (this.sink) {
      this.sink(text);
      return;
    }
    if (this.#isBusy) return;
    const { facility, severity, tag, hasHostname, isUnix } = this.#settings;
    const priority = facility * 8 + LEVEL_RANK[level ?? severity] - 1;
    const line = text.endsWith('\n') ? text.slice(0, -1) : text;
    const message = level === undefined ? line : line.slice(0, MESSAGE_BYTES);
    if (isUnix) this.#sendUnix(`<${priority}>${message}`);
    else {
      const head = `<${priority}>${syslogTimeNow()} ${hasHostname ? `${HOSTNAME} ` : ''}${tag}: `;
      this.#sendUdp(Buffer.from(head + message, 'latin1'));
    }
  }

  #sendUdp(bytes: Buffer): void {
    try {
      this.#udp ??= this.#openUdp();
      this.#udp.send(bytes, (error) => {
        if (error) this.#failed('send() failed', error);
      });
    } catch (error) {
      this.#failed('connect() failed', error);
    }
  }

  /** Connected when it returns: lines of a process that is about to end must leave at once. */
  #openUdp(): UdpSocket {
    const { host, port } = this.#settings;
    const family = isIPv6(host) ? 6 : 4;
    const any = family === 6 ? '::' : '0.0.0.0';
    const socket = createSocket({
      type: family === 6 ? 'udp6' : 'udp4',
      // Only addresses come here, so nothing is looked up.
      lookup: (name, _, found) => found(null, name || any, family),
    });
    socket.unref();
    // The answer to a line that was sent before: nobody listens there.
    socket.on('error', (error) => {
      if (this.#udp === socket) this.#failed('send() failed', error);
    });
    socket.bind({ port: 0, address: any, exclusive: true });
    socket.connect(port, host);
    return socket;
  }

  /** One line to logger is one datagram; a line feed within it is written as syslog servers write it. */
  #sendUnix(line: string): void {
    this.#logger ??= this.#startLogger();
    this.#logger.stdin!.write(`${line.replaceAll('\n', '#012')}\n`, 'latin1');
  }

  #startLogger(): ChildProcess {
    const { host, tag, hasHostname } = this.#settings;
    const words = ['--prio-prefix', '--udp', '--socket', host, '--socket-errors=on', '--size', '65000', '--tag', tag];
    const child = spawn('logger', hasHostname ? [...words, '--rfc3164'] : words, {
      stdio: ['pipe', 'ignore', 'pipe'],
      // A signal to our process group is not for it: it ends when we do.
      detached: true,
    });
    child.unref();
    for (const pipe of [child.stdin, child.stderr] as unknown as { unref(): void }[]) pipe.unref();
    const failed = (why: string): void => {
      if (this.#logger === child) this.#failed('send() failed', why);
    };
    child.stdin!.on('error', () => {});
    // It writes a line in pieces.
    createInterface({ input: child.stderr! }).on('line', failed);
    child.on('error', (error) => failed(error.message));
    // Not at its exit: what it said may come after that.
    child.on('close', () => {
      if (this.#logger === child) this.#logger = undefined;
    });
    return child;
  }

  #failed(what: string, error: unknown): void {
    this.close();
    this.#isBusy = true;
    logProcessError(`${what} ${typeof error === 'string' ? `(${error})` : errnoText(error)}`);
    this.#isBusy = false;
  }

  override close(): void {
    this.#udp?.close();
    this.#udp = undefined;
    // What it was given already it still sends.
    this.#logger?.stdin?.end();
    this.#logger = undefined;
  }
}

let hasUnixDatagrams: boolean | undefined;

/** Whether the system's logger is the one (of util-linux) that sends to unix sockets. */
export function canSendUnix(): boolean {
  try {
    hasUnixDatagrams ??= execFileSync('logger', ['--version'], { encoding: 'latin1', stdio: 'pipe' }).includes(
      'util-linux',
    );
  } catch {
    hasUnixDatagrams = false;
  }
  return hasUnixDatagrams;
}
