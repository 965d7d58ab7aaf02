// Server-side includes: `ssi on` carries out the commands in a page, and puts the answers of other requests into it. The
// last of a request's own body filters, so that what it includes takes its place by http/subrequest.ts. Mirrors
// ngx_http_ssi_filter_module; the parser and the values are in files of their own.
import { defineModule, flag, HSL, HSLI, size } from '../config/rows.ts';
import type { Variable } from '../config/variables.ts';
import { ERROR, OK } from '../http/codes.ts';
import { hasTypeOf, typesRow } from '../http/content-type.ts';
import type { Exchange } from '../http/exchange.ts';
import type { BodyFilter, OpenFilter } from '../http/filters.ts';
import { OutputOrder, startSubrequest } from '../http/subrequest.ts';
import { escapeHtml } from '../http/uri.ts';
import { SsiParser } from './ssi-parser.ts';
import { evaluateSsi, formatDate, SsiError, SsiPage, splitInclude, ssiCondition, ssiVariable } from './ssi-values.ts';

export const ssiModule = defineModule('ssi', {
  location: {
    ssi: flag(HSLI, false),
    ssi_silent_errors: flag(HSL, false),
    ssi_ignore_recycled_buffers: flag(HSL, false, { note: 'checked; there are no such buffers here' }),
    ssi_min_file_chunk: size(HSL, '1k', { note: 'checked; pages are parsed in memory' }),
    ssi_value_length: size(HSL, '255'),
    ssi_types: typesRow(HSL, ['text/html']),
    ssi_last_modified: flag(HSL, false),
  },
});

/** Opens the filter for pages of the listed types. */
export function ssiFilter(r: Exchange, open: OpenFilter): undefined {
  const conf = ssiModule.location(r.location);
  const { out } = r;
  if (!conf.ssi || out.contentLength === 0 || !hasTypeOf(r, conf.ssi_types)) return;
  r.order ??= new OutputOrder(r);
  const filter = new Ssi(r, conf.ssi_value_length, conf.ssi_silent_errors);
  r.setContext(ssiModule, filter);
  open(filter);
  if (r.parent) return;
  out.clearContentLength();
  out.clearAcceptRanges();
  if (conf.ssi_last_modified) out.weakenEtag();
  else {
    out.clearLastModified();
    out.clearEtag();
  }
}

const TIME_FORMAT = '%A, %d-%b-%Y %H:%M:%S %Z';
const MAX_PARAMS = 16;
const IN_IF = 1;
const IN_ELSE = 2;

type Params = Readonly<Record<string, string | undefined>>;

interface Command {
  readonly params: readonly string[];
  readonly mandatory: readonly string[];
  /** It belongs into an `if`: before (IN_IF) or also behind (IN_ELSE) the `else`. */
  readonly conditional: number;
  readonly run: (filter: Ssi, params: Params) => void;
}

const COMMANDS: ReadonlyMap<string, Command> = new Map<string, Command>([
  ['include', command(['virtual', 'file', 'wait', 'set', 'stub'], [], 0, (f, p) => f.include(p))],
  ['echo', command(['var', 'default', 'encoding'], ['var'], 0, (f, p) => f.echo(p))],
  ['config', command(['errmsg', 'timefmt'], [], 0, (f, p) => f.config(p))],
  ['set', command(['var', 'value'], ['var', 'value'], 0, (f, p) => f.set(p))],
  ['if', command(['expr'], ['expr'], 0, (f, p) => f.if(p, false))],
  ['elif', command(['expr'], ['expr'], IN_IF, (f, p) => f.if(p, true))],
  ['else', command([], [], IN_IF, (f) => f.else())],
  ['endif', command([], [], IN_ELSE, (f) => f.endif())],
  ['block', command(['name'], ['name'], 0, (f, p) => f.block(p))],
  ['endblock', command([], [], 0, (f) => f.endblock())],
]);

function command(
  params: readonly string[],
  mandatory: readonly string[],
  conditional: number,
  run: Command['run'],
): Command {
  return { params, mandatory, conditional, run };
}

/** Carries out the commands of one page or included part. */
class Ssi implements BodyFilter {
  declare next: BodyFilter;
  readonly #r: Exchange;
  readonly #parser: SsiParser;
  readonly #isSilent: boolean;
  timeFormat = TIME_FORMAT;
  #errorText = '[an error occurred while processing the directive]';
  #encoding: 'none' | 'url' | 'entity' = 'entity';
  /** Whether text goes out: not in a branch that was not taken, nor in a block. */
  #isOutput = true;
  #isChosen = false;
  #conditional = 0;
  #isInBlock = false;
  #waitsFor: Exchange | undefined;
  #isEnded = false;
  #pending = '';

  constructor(r: Exchange, maxValue: number, isSilent: boolean) {
    this.#r = r;
    this.#isSilent = isSilent;
    this.#parser = new SsiParser(maxValue, (message) => r.log('error', message));
  }

  write(chunk: Buffer): void {
    this.#parser.push(chunk.toString('latin1'));
    this.#run();
  }

  end(): void {
    this.#isEnded = true;
    this.#run();
  }

  flush(): void {
    this.next.flush?.();
  }

  #run(): void {
    while (!this.#waitsFor) {
      const event = this.#parser.next();
      if (!event) break;
      if (event.kind === 'text') this.#text(event.text);
      else if (event.kind === 'error') this.#failed();
      else this.#command(event.name, event.params);
      if (this.#r.isFinished) return;
    }
    this.#send();
    if (this.#isEnded && !this.#waitsFor) this.next.end();
  }

  #text(text: string): void {
    if (this.#isOutput) this.#pending += text;
    else if (this.#isInBlock) SsiPage.of(this.#r).blocks.at(-1)!.text += text;
  }

  #send(): void {
    const text = this.#pending;
    this.#pending = '';
    if (text !== '') this.next.write(Buffer.from(text, 'latin1'));
  }

  #failed(): void {
    if (!this.#isSilent) this.#pending += this.#errorText;
  }

  #command(name: string, given: readonly (readonly [string, string])[]): void {
    const found = COMMANDS.get(name);
    try {
      if (!found) {
        if (this.#isOutput) throw new SsiError(`invalid SSI command: "${name}"`);
        return;
      }
      if (!this.#isOutput && name !== 'endblock') {
        if (this.#isInBlock) {
          this.#text(`<!--#${name}${given.map(([key, value]) => ` ${key}="${value}"`).join('')} -->`);
          return;
        }
        if (found.conditional === 0) return;
      }
      if (found.conditional && (this.#conditional === 0 || this.#conditional > found.conditional)) {
        throw new SsiError(`invalid context of SSI command: "${name}"`);
      }
      found.run(this, paramsOf(name, found, given));
    } catch (error) {
      if (!(error instanceof SsiError)) throw error;
      if (error.message !== '') this.#r.log('error', error.message);
      this.#failed();
    }
  }

  include({ virtual, file, wait, set, stub }: Params): void {
    const r = this.#r;
    if (virtual !== undefined && file !== undefined) {
      throw new SsiError(`inclusion may be either virtual="${virtual}" or file="${file}"`);
    }
    const written = virtual ?? file;
    if (written === undefined) throw new SsiError('no parameter in "include" SSI command');
    if (set !== undefined && stub !== undefined) {
      throw new SsiError('"set" and "stub" cannot be used together in "include" SSI command');
    }
    let waits = virtual === undefined || set !== undefined;
    if (wait !== undefined) {
      if (virtual === undefined) throw new SsiError(`"wait" cannot be used with file="${file}"`);
      if (wait.toLowerCase() === 'yes') waits = true;
      else if (wait.toLowerCase() !== 'no') throw new SsiError(`invalid value "${wait}" in the "wait" parameter`);
    }
    const uri = evaluateSsi(r, written, true);
    const target = splitInclude(uri);
    if (!target) throw new SsiError(`unsafe URI "${uri}" was detected`);
    const page = SsiPage.of(r);
    const block = stub === undefined ? undefined : page.blocks.find((b) => b.name === stub);
    if (stub !== undefined && !block) throw new SsiError(`"stub"="${stub}" for "include" not found`);
    if (set !== undefined && page.get(set) === undefined) page.set(set, '');

    this.#send();
    const sub = startSubrequest(r, target.path, target.args, {
      isInMemory: set !== undefined,
      onDone(done, code) {
        if (block) return useStub(done, code, block.text);
        if (set !== undefined && done.out.status < 300 && done.captured?.length) {
          page.set(set, Buffer.concat(done.captured).toString('latin1'));
        }
        return code;
      },
      onEnd: (ended) => this.#resume(ended),
    });
    if (!sub) throw new SsiError('');
    if (waits) this.#waitsFor = sub;
  }

  #resume(ended: Exchange): void {
    if (this.#waitsFor !== ended) return;
    this.#waitsFor = undefined;
    this.#run();
  }

  echo({ var: name, default: standard, encoding }: Params): void {
    const value = ssiVariable(this.#r, name!) ?? standard ?? '(none)';
    if (value === '') return;
    if (encoding === 'none' || encoding === 'url' || encoding === 'entity') this.#encoding = encoding;
    else if (encoding !== undefined) this.#r.log('error', `unknown encoding "${encoding}" in the "echo" command`);
    if (this.#encoding === 'url') this.#pending += escapeUrl(value);
    else this.#pending += this.#encoding === 'entity' ? escapeHtml(value) : value;
  }

  config({ errmsg, timefmt }: Params): void {
    if (timefmt !== undefined) this.timeFormat = timefmt;
    if (errmsg !== undefined) this.#errorText = errmsg;
  }

  set({ var: name, value }: Params): void {
    SsiPage.of(this.#r).set(name!, evaluateSsi(this.#r, value!, false));
  }

  if({ expr }: Params, isElse: boolean): void {
    if (!isElse && this.#conditional) throw new SsiError('the "if" command inside the "if" command');
    if (this.#isChosen) {
      this.#isOutput = false;
      return;
    }
    this.#isOutput = this.#isChosen = ssiCondition(this.#r, expr!);
    this.#conditional = IN_IF;
  }

  else(): void {
    this.#isOutput = !this.#isChosen;
    this.#conditional = IN_ELSE;
  }

  endif(): void {
    this.#isOutput = true;
    this.#isChosen = false;
    this.#conditional = 0;
  }

  block({ name }: Params): void {
    SsiPage.of(this.#r).blocks.push({ name: name!, text: '' });
    this.#isOutput = false;
    this.#isInBlock = true;
  }

  endblock(): void {
    this.#isOutput = true;
    this.#isInBlock = false;
  }
}

/** Sorts the parameters by name. */
function paramsOf(name: string, found: Command, given: readonly (readonly [string, string])[]): Params {
  if (given.length > MAX_PARAMS) throw new SsiError(`too many SSI command parameters: "${name}"`);
  const params: Record<string, string> = {};
  for (const [key, value] of given) {
    if (!found.params.includes(key)) throw new SsiError(`invalid parameter name: "${key}" in "${name}" SSI command`);
    if (params[key] !== undefined) throw new SsiError(`duplicate "${key}" parameter in "${name}" SSI command`);
    params[key] = value;
  }
  const missing = found.mandatory.find((key) => params[key] === undefined);
  if (missing !== undefined) throw new SsiError(`mandatory "${missing}" parameter is absent in "${name}" SSI command`);
  return params;
}

/** An include that gave nothing is answered with its stub. */
function useStub(sub: Exchange, code: number, text: string): number {
  if (code === ERROR || sub.hasWritten) return code;
  if (!sub.isHeadSent) {
    sub.out.contentType = sub.parent!.out.contentType;
    if (sub.out.status === 0) sub.out.status = 200;
    if (!sub.sendHeader()) return code;
  }
  sub.write(text);
  return OK;
}

function escapeUrl(text: string): string {
  return text.replace(
    /[\x00-\x20"#%'<>\\^`{|}\x7f-\xff]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
}

function dateVariable(isGmt: boolean): Variable {
  return { get: (r) => formatDate(r.context<Ssi>(ssiModule)?.timeFormat ?? TIME_FORMAT, isGmt) };
}

/** `$date_local`, `$date_gmt`, as `config timefmt` says. */
export const SSI_VARIABLES: readonly (readonly [string, Variable])[] = [
  ['date_local', dateVariable(false)],
  ['date_gmt', dateVariable(true)],
];
