// `ssl_conf_command`: OpenSSL's configuration commands, as far as the runtime's contexts can carry them out. The others
// are refused, since ignoring one would silently weaken or change what was asked for.
import { constants } from 'node:crypto';
import { ConfigError } from '../config/error.ts';
import type { ConfCommand } from '../modules/ssl.ts';

/** What a context is made from; commands change it. */
export interface ContextSettings {
  protocols: Set<string>;
  ciphers: string;
  /** TLS 1.3 suites; '' for the usual ones. */
  suites: string;
  curves: string;
  signatures: string;
  /** Files that go before those of the directives. */
  certificate: string | undefined;
  privateKey: string | undefined;
  prefersServer: boolean;
  hasTickets: boolean;
  /** SSL_OP_… bits. */
  options: number;
}

const VERSIONS = ['SSLv2', 'SSLv3', 'TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'];

const OPTIONS: Readonly<Record<string, number>> = {
  Bugs: constants.SSL_OP_ALL,
  PrioritizeChaCha: constants.SSL_OP_PRIORITIZE_CHACHA,
  NoRenegotiation: constants.SSL_OP_NO_RENEGOTIATION,
  EncryptThenMac: constants.SSL_OP_NO_ENCRYPT_THEN_MAC,
  Compression: constants.SSL_OP_NO_COMPRESSION,
  AllowNoDHEKEX: constants.SSL_OP_ALLOW_NO_DHE_KEX,
};
/** Options whose bit switches the thing off. */
const INVERTED = new Set(['EncryptThenMac', 'Compression']);

/** Applies the commands in order. Throws ConfigError in nginx's words. */
export function applyConfCommands(commands: readonly ConfCommand[], to: ContextSettings): void {
  for (const { name, value } of commands) {
    const fail = (why: string): never => {
      throw new ConfigError(`SSL_CONF_cmd("${name}", "${value}") failed (SSL: ${why})`);
    };
    const bad = (): never => fail(`error:0A000180:SSL routines::bad value:cmd=${name}, value=${value}`);
    switch (name.toLowerCase()) {
      case 'protocol':
        protocols(value, to, bad);
        break;
      case 'minprotocol':
      case 'maxprotocol': {
        const at = VERSIONS.indexOf(value);
        if (at < 0 && value !== 'None') bad();
        // ssl_protocols switches versions off one by one, so a bound can only narrow them.
        const isMin = name.toLowerCase() === 'minprotocol';
        for (const [i, version] of VERSIONS.entries()) {
          if (at >= 0 && (isMin ? i < at : i > at)) to.protocols.delete(version);
        }
        break;
      }
      case 'cipherstring':
        to.ciphers = value;
        break;
      case 'ciphersuites':
        to.suites = value;
        break;
      case 'curves':
      case 'groups':
        to.curves = value;
        break;
      case 'certificate':
        to.certificate = value;
        break;
      case 'privatekey':
        to.privateKey = value;
        break;
      case 'signaturealgorithms':
        to.signatures = value;
        break;
      case 'options':
        options(value, to, bad);
        break;
      default:
        fail(`error:0A000182:SSL routines::unknown cmd name:cmd=${name}`);
    }
  }
}

function protocols(value: string, to: ContextSettings, bad: () => never): void {
  const words = value.split(',').map((word) => word.trim());
  // A list that starts with a bare name replaces what was there, as in OpenSSL.
  if (!/^[-+]/.test(words[0] ?? '')) to.protocols = new Set();
  for (const word of words) {
    const bare = word.replace(/^[-+]/, '');
    const meant = bare === 'ALL' ? VERSIONS : VERSIONS.filter((v) => v === bare);
    if (meant.length === 0) bad();
    for (const version of meant) {
      if (word.startsWith('-')) to.protocols.delete(version);
      else to.protocols.add(version);
    }
  }
}

function options(value: string, to: ContextSettings, bad: () => never): void {
  for (const word of value.split(',').map((w) => w.trim())) {
    const isOn = !word.startsWith('-');
    const bare = word.replace(/^[-+]/, '');
    if (bare === 'SessionTicket') to.hasTickets = isOn;
    else if (bare === 'ServerPreference') to.prefersServer = isOn;
    else {
      const bit = OPTIONS[bare];
      if (bit === undefined) bad();
      else if (isOn !== INVERTED.has(bare)) to.options |= bit;
      else to.options &= ~bit;
    }
  }
}
