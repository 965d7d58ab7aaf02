// Turns YAML text into a tree whose every node knows its line and its path (services.wsgi.ports), with anchors, merge
// keys and variables already resolved. Everything after this reads the tree, and so can say FILE:LINE: FIELD in every
// refusal. Duplicate keys, tabs and other YAML mistakes end here, with the library's own words and the line.
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type Scalar,
  type YAMLMap,
} from 'yaml';
import { ComposeError } from './error.ts';
import { InterpolationError, interpolate, type Variables } from './interpolation.ts';

interface Place {
  readonly file: string;
  readonly line: number;
  /** Dotted, from the top of the file; empty for the top itself. */
  readonly path: string;
}

/** A node of the file: a map, a list, or a scalar whose references are already replaced. */
export type Located =
  | (Place & { readonly kind: 'map'; readonly entries: ReadonlyMap<string, Located> })
  | (Place & { readonly kind: 'list'; readonly items: readonly Located[] })
  | (Place & { readonly kind: 'scalar'; readonly value: string | number | boolean | null });

/** Makes the error for a node: its file, line and path, then what is wrong. */
export function refuse(node: Place, text: string): ComposeError {
  return new ComposeError(node.file, node.line, node.path === '' ? text : `${node.path} ${text}`);
}

/** Parses a whole file. Throws ComposeError. */
export function parseLocated(text: string, file: string, variables: Variables): Located {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, prettyErrors: false });
  const problem = document.errors[0];
  if (problem !== undefined) {
    throw new ComposeError(
      file,
      lineCounter.linePos(problem.pos[0]).line,
      problem.message.replace(/\s*\n[\s\S]*$/, ''),
    );
  }

  const lineOf = (node: Node | null | undefined, otherwise: number): number =>
    node?.range ? lineCounter.linePos(node.range[0]).line : otherwise;

  const convert = (node: unknown, path: string, line: number): Located => {
    if (isAlias(node)) {
      const target = node.resolve(document);
      if (target === undefined) throw new ComposeError(file, lineOf(node, line), `there is no anchor &${node.source}`);
      return convert(target, path, line);
    }
    if (isMap(node)) return { kind: 'map', file, line, path, entries: entriesOf(node, path, line) };
    if (isSeq(node)) {
      const items = node.items.map((item, index) =>
        convert(item, `${path}[${index}]`, lineOf(item as Node | null, line)),
      );
      return { kind: 'list', file, line, path, items };
    }
    if (isScalar(node)) return { kind: 'scalar', file, line, path, value: plainValue(node, lineOf(node, line)) };
    return { kind: 'scalar', file, line, path, value: null };
  };

  const plainValue = (node: Scalar, line: number): string | number | boolean | null => {
    const { value } = node;
    if (typeof value === 'number' || typeof value === 'boolean' || value === null) return value;
    try {
      return interpolate(String(value), variables);
    } catch (error) {
      if (error instanceof InterpolationError) throw new ComposeError(file, line, error.message);
      throw error;
    }
  };

  const entriesOf = (map: YAMLMap, path: string, line: number): Map<string, Located> => {
    const entries = new Map<string, Located>();
    const merged: Located[] = [];
    for (const pair of map.items) {
      const key = isScalar(pair.key) ? String(pair.key.value) : String(pair.key);
      const keyLine = lineOf(pair.key as Node, line);
      if (key === '<<') {
        const source = convert(pair.value, path, keyLine);
        merged.push(...(source.kind === 'list' ? source.items : [source]));
      } else {
        entries.set(key, convert(pair.value, path === '' ? key : `${path}.${key}`, keyLine));
      }
    }
    // What stands in the map itself wins over what is merged in, and an earlier merge over a later one.
    for (const source of merged) {
      if (source.kind !== 'map') throw new ComposeError(file, source.line, '<< must be given a map');
      for (const [key, value] of source.entries) if (!entries.has(key)) entries.set(key, value);
    }
    return entries;
  };

  return convert(document.contents, '', 1);
}
