// `modern_browser` and `ancient_browser`, and the variables that tell browsers apart. Mirrors ngx_http_browser_module.
import { custom, defineModule, HSL, text } from '../config/rows.ts';
import type { Variable } from '../config/variables.ts';
import type { Exchange } from '../http/exchange.ts';

/** Browsers that nginx knows, in the order in which they are looked for: where to look and what stands there. */
const BROWSERS: readonly (readonly [name: string, skip: number, mark: string])[] = [
  ['opera', 0, 'Opera'],
  ['msie', 'Mozilla/4.0 (compatible; '.length, 'MSIE '],
  ['gecko', 'Mozilla/5.0 ('.length, 'rv:'],
  ['safari', 'Mozilla/5.0 ('.length, 'Safari/'],
  ['konqueror', 'Mozilla/5.0 (compatible; '.length, 'Konqueror/'],
];

/** How much is skipped behind the beginning of each mark to get to the version. */
const TO_VERSION: readonly number[] = ['Opera '.length, 'MSIE '.length, 'rv:'.length, 'Safari/'.length, 10];

interface ModernBrowsers {
  readonly isUnlisted: boolean;
  /** Least versions, by index in BROWSERS. */
  readonly versions: ReadonlyMap<number, number>;
}

interface AncientBrowsers {
  readonly isNetscape4: boolean;
  readonly marks: readonly string[];
}

export const browserModule = defineModule('browser', {
  location: {
    modern_browser: custom<ModernBrowsers>(HSL, '1-2', {
      default: { isUnlisted: false, versions: new Map() },
      isRepeatable: true,
      syntax: 'browser version | unlisted',
      set(cf, previous = { isUnlisted: false, versions: new Map() }) {
        const [name, version] = cf.args as [string, string | undefined];
        if (version === undefined) {
          if (name !== 'unlisted') cf.fail(`invalid parameter "${name}"`);
          return { ...previous, isUnlisted: true };
        }
        const at = BROWSERS.findIndex(([known]) => known === name.toLowerCase());
        if (at < 0) cf.fail(`unknown browser name "${name}"`);
        if (!/^[\d.]*$/.test(version)) cf.fail(`invalid browser version "${version}"`);
        return { ...previous, versions: new Map([...previous.versions, [at, versionOf(version)]]) };
      },
    }),
    ancient_browser: custom<AncientBrowsers>(HSL, '1+', {
      default: { isNetscape4: false, marks: [] },
      isRepeatable: true,
      syntax: 'string ...',
      set: (cf, previous = { isNetscape4: false, marks: [] }) => ({
        isNetscape4: previous.isNetscape4 || cf.args.includes('netscape4'),
        marks: [...previous.marks, ...cf.args.filter((arg) => arg !== 'netscape4')],
      }),
    }),
    modern_browser_value: text(HSL, '1'),
    ancient_browser_value: text(HSL, '1'),
  },
});

/** `a.b.c.d` as one number, two digits for each part behind the first. */
function versionOf(written: string): number {
  let version = 0;
  let scale = 1_000_000;
  for (const part of written.split('.')) {
    version += Number(part || 0) * Math.trunc(scale);
    scale /= 100;
  }
  return version;
}

function isModern(r: Exchange): boolean {
  const conf = browserModule.location(r.location);
  const { isUnlisted, versions } = conf.modern_browser;
  const agent = r.headers.get('user-agent');
  if (agent === undefined) return isUnlisted;
  if (versions.size) {
    for (let i = 0; i < BROWSERS.length; i++) {
      // Opera calls itself MSIE too, so it is always looked for, and never modern where it was not listed.
      const wanted = versions.get(i) ?? (i === 0 ? Number.POSITIVE_INFINITY : undefined);
      if (wanted === undefined) continue;
      const [, skip, mark] = BROWSERS[i]!;
      const at = skip < agent.length ? agent.indexOf(mark, skip) : -1;
      if (at < 0 || at + TO_VERSION[i]! >= agent.length) continue;
      return versionOf(/^[\d.]*/.exec(agent.slice(at + TO_VERSION[i]!))![0]) >= wanted;
    }
    if (!isUnlisted) return false;
  }
  const { isNetscape4, marks } = conf.ancient_browser;
  if (isNetscape4 && agent.length > 'Mozilla/4.72 '.length && /^Mozilla\/[1-4]/.test(agent)) return false;
  if (marks.some((mark) => agent.includes(mark))) return false;
  return isUnlisted;
}

export const BROWSER_VARIABLES: readonly (readonly [string, Variable])[] = [
  [
    'modern_browser',
    {
      get: (r) => (isModern(r) ? browserModule.location(r.location).modern_browser_value : ''),
      isCached: true,
      isChangeable: true,
    },
  ],
  [
    'ancient_browser',
    {
      get: (r) => (isModern(r) ? '' : browserModule.location(r.location).ancient_browser_value),
      isCached: true,
      isChangeable: true,
    },
  ],
  [
    'msie',
    {
      get: (r) =>
        /MSIE [1-9]/.test(r.headers.get('user-agent') ?? '') && !/Opera/.test(r.headers.get('user-agent')!) ? '1' : '',
      isCached: true,
      isChangeable: true,
    },
  ],
];
