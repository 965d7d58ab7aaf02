// The directories that requests and responses are buffered in: where they are, and that the master makes them for the
// workers' user. Mirrors ngx_conf_merge_path_value and ngx_create_paths.
import type { Compiler } from '../config/compile.ts';
import type { Location } from '../http/location.ts';
import { neededDirectory } from '../worker-directories.ts';
import { coreModule } from './core-rows.ts';
import { proxyModule } from './proxy.ts';

const BODY_TEMP_PATH = 'body temp path';

/** Prepare: the paths of a location; those that are not configured lie under the prefix. */
export function prepareTempPaths(location: Location, compiler: Compiler): void {
  const body = coreModule.location(location).client_body_temp_path ?? compiler.fullPath('client_body_temp');
  location.prepared.set(BODY_TEMP_PATH, body);
  neededDirectory(compiler, body);
  neededDirectory(
    compiler,
    proxyModule.location(location).proxy_temp_path?.directory ?? compiler.fullPath('proxy_temp'),
  );
}

/** `client_body_temp_path`, absolute. */
export function bodyTempPath(location: Location): string {
  return location.prepared.get(BODY_TEMP_PATH) as string;
}
