// The `syslog:server=address[,parameter...]` form of error_log and access_log. Mirrors ngx_syslog_parse_args.
import type { Cf } from '../config/rows.ts';
import { type ParsedAddress, parseAddress } from '../listen/address.ts';
import { LEVELS, type LogLevel } from '../log.ts';
import { canSendUnix, FACILITIES, SyslogPeer, type SyslogSettings } from '../syslog.ts';

export const SYSLOG_NOTE =
  'A unix: syslog server is reached through logger(1) of util-linux; refused where that is not there.';

/** The peer that `target` describes; it is opened with its first line. */
export function parseSyslog(cf: Cf, target: string): SyslogPeer {
  let server: ParsedAddress | undefined;
  let facility: number | undefined;
  let severity: LogLevel | undefined;
  let tag: string | undefined;
  let hasHostname = true;
  for (const word of target.slice('syslog:'.length).split(',')) {
    const value = word.slice(word.indexOf('=') + 1);
    if (word.startsWith('server=')) {
      if (server) cf.fail('duplicate syslog "server"');
      const parsed = parseAddress(value, 514);
      server = typeof parsed === 'string' ? cf.fail(`${parsed} in syslog server "${value}"`) : parsed;
    } else if (word.startsWith('facility=')) {
      if (facility !== undefined) cf.fail('duplicate syslog "facility"');
      facility = FACILITIES.indexOf(value);
      if (facility < 0) cf.fail(`unknown syslog facility "${value}"`);
    } else if (word.startsWith('severity=')) {
      if (severity) cf.fail('duplicate syslog "severity"');
      severity = LEVELS.find((level) => level === value) ?? cf.fail(`unknown syslog severity "${value}"`);
    } else if (word.startsWith('tag=')) {
      if (tag !== undefined) cf.fail('duplicate syslog "tag"');
      if (value.length > 32) cf.fail('syslog tag length exceeds 32');
      if (/\W/.test(value)) cf.fail('syslog "tag" only allows alphanumeric characters and underscore');
      tag = value;
    } else if (word === 'nohostname') hasHostname = false;
    else cf.fail(`unknown syslog parameter "${word}"`);
  }
  if (!server) return cf.fail('no syslog server specified');
  const { family, host, port } = server;
  if (family === 'unix' && !canSendUnix()) {
    cf.fail(`syslog server "unix:${host}" is out of reach: there is no logger(1) of util-linux to send datagrams with`);
  }
  const settings: SyslogSettings = {
    host,
    port,
    isUnix: family === 'unix',
    facility: facility ?? FACILITIES.indexOf('local7'),
    severity: severity ?? 'info',
    tag: tag ?? 'nginx',
    hasHostname,
  };
  if (family === 'name') {
    cf.compiler.pendingHosts.push({
      host,
      place: cf.directive,
      message: `host not found in syslog server "${target.replace(/^.*server=([^,]*).*$/, '$1')}"`,
      apply: ([first]) => {
        settings.host = first!.address;
      },
    });
  }
  const peer = new SyslogPeer(target, settings);
  cf.compiler.logFiles.push(peer);
  return peer;
}
