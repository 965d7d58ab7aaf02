// `portico explain`: the command line around explain/explanation.ts. Exit status 0 when the request could be explained
// (whatever its answer would be), 1 when the configuration is wrong or nothing listens there, 2 for a wrong command line.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ConfigError } from './config/error.ts';
import { explain, findConfFile } from './explain/explanation.ts';
import { askedRequest } from './explain/request.ts';
import { explanationText } from './explain/text.ts';

const HELP = `Usage: portico explain [OPTIONS] URL|REQUEST

Prints what an nginx.conf does to a request, without sending anything: the listen address and the server block and why,
each location tried and why the winner won, rewrites step by step, the files that are looked for, the upstream and the
request that it would get, the headers that are added to the response, with FILE:LINE for each.

URL is a URL, or a path (of the first listen address); REQUEST a request line ('GET /x'), or - for a whole request on
stdin. Names are not looked up, and an upstream is assumed to answer 200.

  -c, --conf FILE        the configuration (default: nginx.conf, conf/nginx.conf, nginx/nginx.conf or
                         proxy/conf/nginx.conf here, else /etc/nginx/nginx.conf); a file with only server and upstream
                         blocks will do
  -p, --prefix DIR       nginx's prefix: where relative paths start (default: the directory of the file, or the one
                         above when that is conf/)
  -X, --request METHOD   as curl's
  -H, --header LINE      as curl's: 'Name: value'; can be given several times
  -d, --data BODY        as curl's
      --json             the same as JSON
  -h, --help             this text

Examples:
  portico explain https://localhost:8443/api/items/7
  portico explain -c deploy/nginx.conf -H 'Host: shop.example' /cart
  portico explain -X POST -H 'Content-Length: 5000000' http://shop.example/upload
  portico explain --json 'HEAD /static/app.js' | jq .response.status
`;

/** Runs the command; gives the exit status. */
export async function runExplain(argv: readonly string[]): Promise<number> {
  let given: ReturnType<typeof parse>;
  try {
    given = parse(argv);
  } catch (error) {
    return misused((error as Error).message);
  }
  const { values, positionals } = given;
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  if (positionals.length !== 1) return misused('one URL or request is to be given');
  const text = positionals[0] === '-' ? readFileSync(0, 'utf8') : positionals[0]!;
  const confFile = values.conf === undefined ? findConfFile(process.cwd()) : resolve(values.conf);
  if (confFile === undefined) return misused('there is no nginx.conf here: name one with -c');
  try {
    const asked = askedRequest(text, { method: values.request, headers: values.header ?? [], body: values.data });
    const prefix = values.prefix === undefined ? undefined : `${resolve(values.prefix)}/`;
    const explanation = await explain(asked, { confFile, prefix });
    process.stdout.write(
      values.json ? `${JSON.stringify(explanation, undefined, 2)}\n` : explanationText(explanation, process.cwd()),
    );
    return 0;
  } catch (error) {
    if (!(error instanceof ConfigError) && !(error instanceof RangeError)) throw error;
    process.stderr.write(
      `portico explain: ${error instanceof ConfigError ? `[${error.level}] ` : ''}${error.message}\n`,
    );
    return 1;
  }
}

function parse(argv: readonly string[]) {
  return parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      conf: { type: 'string', short: 'c' },
      prefix: { type: 'string', short: 'p' },
      request: { type: 'string', short: 'X' },
      header: { type: 'string', short: 'H', multiple: true },
      data: { type: 'string', short: 'd' },
      json: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  });
}

function misused(message: string): number {
  process.stderr.write(`portico explain: ${message}\nTry 'portico explain --help'.\n`);
  return 2;
}

if (import.meta.main) process.exitCode = await runExplain(process.argv.slice(2));
