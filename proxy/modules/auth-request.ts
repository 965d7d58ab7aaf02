// `auth_request`: a subrequest decides whether the request may go on, in the access phase. Mirrors
// ngx_http_auth_request_module.
import { custom, defineModule, HSL } from '../config/rows.ts';
import type { Template } from '../config/template.ts';
import type { Variable, VariableRef } from '../config/variables.ts';
import { AGAIN, DECLINED, ERROR, OK } from '../http/codes.ts';
import type { Exchange } from '../http/exchange.ts';
import { startSubrequest } from '../http/subrequest.ts';

interface Assignment {
  readonly ref: VariableRef;
  readonly value: Template;
}

export const authRequestModule = defineModule('auth-request', {
  location: {
    auth_request: custom(HSL, '1', {
      default: '',
      syntax: 'uri | off',
      defaultText: 'off',
      set: (cf) => (cf.args[0] === 'off' ? '' : cf.args[0]!),
    }),
    auth_request_set: custom<readonly Assignment[]>(HSL, '2', {
      default: [],
      isRepeatable: true,
      syntax: '$variable value',
      set(cf, previous = []) {
        const name = cf.args[0]!;
        if (!name.startsWith('$')) cf.fail(`invalid variable name "${name}"`);
        const nothing: Variable = { get: () => undefined };
        const ref = cf.compiler.variables.declare(name.slice(1), nothing, cf.directive);
        return [...previous, { ref, value: cf.template(cf.args[1]!) }];
      },
    }),
  },
});

/** The subrequest of a request, and its status once it is known. */
interface Asking {
  subrequest: Exchange | undefined;
  isDone: boolean;
  status: number;
}

const ASKING = Symbol('auth_request');

export function authRequestHandler(r: Exchange): number {
  const conf = authRequestModule.location(r.location);
  const uri = conf.auth_request;
  if (uri === '') return DECLINED;
  const asking = r.context<Asking>(ASKING);
  if (!asking) return ask(r, uri);
  if (!asking.isDone) return AGAIN;

  const sub = asking.subrequest!;
  for (const { ref, value } of conf.auth_request_set) {
    const text = value.evaluate(sub);
    if (ref.variable!.set) ref.variable!.set(r, text);
    else ref.store(r, text);
  }
  const { status } = asking;
  if (status === 403) return status;
  if (status === 401) {
    const challenge = sub.out.get('www-authenticate') ?? sub.upstream?.fields?.get('www-authenticate');
    if (challenge !== undefined) r.out.add('WWW-Authenticate', challenge);
    return status;
  }
  if (status >= 200 && status < 300) return OK;
  r.log('error', `auth request unexpected status: ${status}`);
  return 500;
}

function ask(r: Exchange, uri: string): number {
  const asking: Asking = { subrequest: undefined, isDone: false, status: 0 };
  r.setContext(ASKING, asking);
  asking.subrequest = startSubrequest(r, uri, '', {
    isHeaderOnly: true,
    onDone(sub, code) {
      asking.isDone = true;
      asking.status = sub.out.status;
      return code;
    },
    onEnd: () => r.run(),
  });
  return asking.subrequest ? AGAIN : ERROR;
}
