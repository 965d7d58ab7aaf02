// The Python that the real stack runs on: what is in it, and what is missing.
import { execFileSync } from 'node:child_process';

const NEEDED = ['gunicorn', 'uvicorn', 'flask', 'fastapi'];
const SHOWN = [...NEEDED, 'uvloop', 'httptools'];

const PROGRAM = `import importlib.metadata as metadata, json, platform, sys
found = {"python": platform.python_version()}
for name in sys.argv[1:]:
    try:
        found[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
`;

/** Versions by name. Throws RangeError when something is missing, with what would bring it. */
export function versionsOf(python: string): Record<string, string> {
  let found: Record<string, string>;
  try {
    found = JSON.parse(execFileSync(python, ['-c', PROGRAM, ...SHOWN], { encoding: 'utf8', stdio: 'pipe' }));
  } catch (error) {
    throw new RangeError(`cannot run ${python}: ${(error as Error).message.trim().split('\n').at(-1)}`);
  }
  const missing = NEEDED.filter((name) => found[name] === undefined);
  if (missing.length === 0) return found;
  throw new RangeError(
    `${python} lacks ${missing.join(', ')}; try: ${python} -m pip install -r test/real/python/requirements.txt`,
  );
}
