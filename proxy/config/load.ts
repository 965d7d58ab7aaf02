// From a file name to the Config that a worker runs on: parse, compile, fill in every level, resolve variables and
// names, open logs. Everything that is wrong comes out as one ConfigError in nginx's words.

import { type Server, ServerTable } from '../http/virtual-server.ts';
import type { ListenAddress } from '../listen/address.ts';
import type { LogFile } from '../log.ts';
import { checkEvents } from '../modules/events.ts';
import { STUB_STATUS_VARIABLES, showCounters } from '../modules/stub-status.ts';
import { lookupHost } from '../resolver-hosts.ts';
import type { Surroundings } from '../surroundings.ts';
import type { Upstream } from '../upstream/upstream.ts';
import { Compiler, Scope } from './compile.ts';
import { BUILT_IN_VARIABLES, MODULES, PREPARE, VARIABLE_PREFIXES } from './directives.ts';
import { ConfigError, errorAt } from './error.ts';
import { type Directive, type KnownFiles, parseFile, parseGlobals } from './parser.ts';
import { type Holder, MAIN } from './rows.ts';
import { VariableTable } from './variables.ts';

export interface LoadOptions {
  /** Absolute, with a trailing slash. */
  readonly prefix: string;
  /** Absolute path of the configuration file. */
  readonly confFile: string;
  /** `-g`. */
  readonly globals?: string;
  readonly warn: (message: string) => void;
  /** Texts of the configuration's files, in place of what is on disk. */
  readonly files?: KnownFiles;
  /** Texts of single files, in place of what is on disk; other files are read from there. */
  readonly extraFiles?: KnownFiles;
  readonly surroundings?: Surroundings;
  /** Called with every directive and the scope that it stands in. */
  readonly onDirective?: (directive: Directive, scope: Scope) => void;
}

/** A whole configuration, frozen. */
export interface Config extends Holder {
  readonly prefix: string;
  readonly confFile: string;
  /** Files it was read from, with their text, in order (for `-T`). */
  readonly files: ReadonlyMap<string, string>;
  readonly servers: readonly Server[];
  readonly listens: readonly ListenAddress[];
  readonly upstreams: ReadonlyMap<string, Upstream>;
  readonly logFiles: readonly LogFile[];
  readonly hasHttp: boolean;
  /** Values of the http level. */
  readonly http: Holder;
  /** Things shared by name: zones, caches. */
  readonly named: ReadonlyMap<string, unknown>;
}

/** Reads and completes a configuration; throws ConfigError. Log files are not opened yet. */
export async function loadConfig(options: LoadOptions): Promise<Config> {
  const confPrefix = options.confFile.slice(0, options.confFile.lastIndexOf('/') + 1);
  const variables = new VariableTable(BUILT_IN_VARIABLES, VARIABLE_PREFIXES);
  const compiler = new Compiler(
    {
      prefix: options.prefix,
      confPrefix,
      warn: options.warn,
      surroundings: options.surroundings,
      onDirective: options.onDirective,
    },
    MODULES,
    variables,
    PREPARE,
  );
  const main = new Scope(MAIN, undefined);
  if (options.globals) compiler.walk(parseGlobals(options.globals), main);
  const { surroundings } = options;
  const parsed = parseFile(options.confFile, confPrefix, options.files, options.extraFiles);
  compiler.walk(surroundings ? surroundings.adapt(parsed.directives) : parsed.directives, main);

  const conf: unknown[] = [];
  compiler.level('core', main, undefined, conf);
  const http: { conf: unknown[] } = { conf: [] };
  if (compiler.httpScope) finishHttp(compiler, compiler.httpScope, http);
  for (const act of compiler.atEnd) act();
  checkEvents(compiler);
  if (compiler.hasHttp) variables.resolve();
  if (variables.isUsed(STUB_STATUS_VARIABLES)) showCounters(compiler);
  for (const listen of compiler.listens.values()) {
    // Where there is one server, its names are never looked at.
    const isChoice = listen.servers.length > 1;
    const bad = isChoice && listen.servers.flatMap(({ names }) => names).find(({ kind }) => kind === 'invalid');
    if (bad) throw new ConfigError(`invalid server name or wildcard "${bad.text}" on ${listen.text}`);
    listen.table = new ServerTable(listen.defaultServer, listen.servers, (name) => {
      if (isChoice) compiler.warn(`conflicting server name "${name}" on ${listen.text}, ignored`);
    });
    listen.variables = variables;
  }
  for (const pending of compiler.pendingHosts) {
    const addresses = surroundings ? surroundings.lookup(pending.host) : await lookupHost(pending.host);
    if (addresses.length === 0) throw errorAt(pending.place, pending.message);
    pending.apply(addresses);
  }
  return Object.freeze({
    prefix: options.prefix,
    confFile: options.confFile,
    files: parsed.files,
    conf,
    http,
    servers: compiler.servers,
    listens: [...compiler.listens.values()],
    upstreams: compiler.upstreams,
    logFiles: compiler.logFiles,
    hasHttp: compiler.hasHttp,
    named: compiler.named,
  });
}

function finishHttp(compiler: Compiler, scope: Scope, http: { conf: unknown[] }): void {
  compiler.level('main', scope, undefined, http.conf);
  compiler.level('server', scope, undefined, http.conf);
  compiler.level('location', scope, undefined, http.conf);
  for (const server of compiler.servers) {
    const serverScope = compiler.serverScopes.get(server)!;
    const conf = [...http.conf];
    compiler.level('server', serverScope, http.conf, conf);
    server.conf = conf;
    compiler.finishLocation(server.root, server);
  }
}
