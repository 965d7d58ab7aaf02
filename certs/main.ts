// The command of the one-shot service `certs`: makes certs/live/ hold a good authority and leaf, says what it did, ends.
// `portico up`, docker compose and `portico certs` all start this same program; the proxy reads what it leaves behind.
// Idempotent: a second run changes nothing and loads no certificate library. Exit status 1 and one line on stderr when a
// file stands in the way, 2 for a wrong command line.
import { isIP } from 'node:net';
import { parseArgs } from 'node:util';
import { ensureCertificates } from './ensure.ts';
import { CertificateFileError } from './live-files.ts';

const HELP = `Usage: node certs/main.ts [--dir DIRECTORY] [NAME...]

Makes a local certificate authority and a leaf signed by it, reuses both while they are good, renews them 30 days
before they expire. The leaf is for localhost, 127.0.0.1, ::1 and every NAME (a DNS name, a *.wildcard, an IP address).

  --dir DIRECTORY   where ca.pem, ca-key.pem, leaf.pem and leaf-key.pem live (default: certs/live)
  -h, --help        this text

Examples:
  node certs/main.ts proxy wsgi asgi
  node certs/main.ts --dir /tmp/tls shop.localhost
  curl --cacert certs/live/ca.pem https://localhost:8443/
`;

const DNS_NAME = /^(?:\*\.)?[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*$/i;

/** Runs the command with its arguments (without node and the file); answers with the exit status. */
export async function runCerts(argv: readonly string[]): Promise<number> {
  let directory: string;
  let names: string[];
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: { dir: { type: 'string', default: 'certs/live' }, help: { type: 'boolean', short: 'h' } },
    });
    if (values.help) {
      process.stdout.write(HELP);
      return 0;
    }
    directory = values.dir;
    names = positionals.map((name) => name.toLowerCase());
    const bad = names.find((name) => !isIP(name) && (name.length > 253 || !DNS_NAME.test(name)));
    if (bad !== undefined) throw new Error(`"${bad}" is neither a DNS name nor an IP address`);
  } catch (error) {
    process.stderr.write(`certs: ${(error as Error).message}\nTry 'node certs/main.ts --help'.\n`);
    return 2;
  }
  try {
    const { lines } = await ensureCertificates(directory, names);
    for (const line of lines) process.stdout.write(`certs: ${line}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof CertificateFileError)) throw error;
    process.stderr.write(`certs: ${error.message}\n`);
    return 1;
  }
}

if (import.meta.main) process.exitCode = await runCerts(process.argv.slice(2));
