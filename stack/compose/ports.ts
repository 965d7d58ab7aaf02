// Reads a service's `ports`. Local processes bind their own ports, so a mapping is not something that Portico sets up: it
// tells which services are meant to be reached from outside (and so get 127.0.0.1), and on which port the user will look.
import { booleanOf, countOf, type LocatedMap, mapOf, textOf } from './fields.ts';
import { type Located, refuse } from './located.ts';

/** One published port. `published` is what the user asks for, `target` what the process inside binds. */
export interface PublishedPort {
  published: number;
  target: number;
}

const SHORT = /^(?:(\[[0-9a-f:.]+\]|\d+\.\d+\.\d+\.\d+):)?(?:(\d+)(?:-(\d+))?:)?(\d+)(?:-(\d+))?(?:\/(tcp|udp))?$/i;

/** The published TCP ports of a service, in the file's order; ports without a host side are not published locally. */
export function portsOf(node: Located): PublishedPort[] {
  if (node.kind !== 'list') throw refuse(node, 'must be a list');
  return node.items.flatMap((item) => (item.kind === 'map' ? longForm(mapOf(item)) : shortForm(item)));
}

function shortForm(node: Located): PublishedPort[] {
  const match = SHORT.exec(textOf(node));
  if (match === null) throw refuse(node, `"${textOf(node)}" is not a port mapping such as 127.0.0.1:8080:80`);
  const [, , from, to, target, targetTo, protocol] = match;
  if (protocol?.toLowerCase() === 'udp' || from === undefined) return [];
  const span = Number(targetTo ?? target) - Number(target);
  if (Number(to ?? from) - Number(from) !== span)
    throw refuse(node, `"${textOf(node)}" has ranges of different lengths`);
  return Array.from({ length: span + 1 }, (_, index) => ({
    published: checked(node, Number(from) + index),
    target: checked(node, Number(target) + index),
  }));
}

const LONG_KEYS = new Set(['target', 'published', 'host_ip', 'protocol', 'mode', 'name', 'app_protocol']);

function longForm(map: LocatedMap): PublishedPort[] {
  for (const [key, value] of map.entries) {
    if (!LONG_KEYS.has(key)) throw refuse(value, 'is not a key of a port mapping');
  }
  const target = map.entries.get('target');
  if (target === undefined) throw refuse(map, 'needs a target');
  const published = map.entries.get('published');
  const protocol = map.entries.get('protocol');
  if (published === undefined || (protocol !== undefined && textOf(protocol) === 'udp')) return [];
  return [{ published: checked(published, countOf(published)), target: checked(target, countOf(target)) }];
}

function checked(node: Located, port: number): number {
  if (port < 1 || port > 65_535) throw refuse(node, `has port ${port}, which is not between 1 and 65535`);
  return port;
}

/** Where a bind mount comes from and where the container sees it. */
export interface BindMount {
  source: string;
  target: string;
}

/** The bind mounts among a service's volumes; named volumes hold data that local processes keep in the project itself. */
export function bindMountsOf(node: Located): BindMount[] {
  if (node.kind !== 'list') throw refuse(node, 'must be a list');
  return node.items.flatMap((item) => {
    if (item.kind === 'map') {
      const text = (key: string): string | undefined => {
        const value = item.entries.get(key);
        return value === undefined ? undefined : textOf(value);
      };
      const readOnly = item.entries.get('read_only');
      if (readOnly !== undefined) booleanOf(readOnly);
      const [type, source, target] = [text('type'), text('source') ?? text('src'), text('target') ?? text('dst')];
      return type === 'bind' && source !== undefined && target !== undefined ? [{ source, target }] : [];
    }
    const [source, target] = textOf(item).split(':');
    return source !== undefined && target !== undefined && /^[.~/]/.test(source) ? [{ source, target }] : [];
  });
}
