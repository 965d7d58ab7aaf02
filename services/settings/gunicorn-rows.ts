/**
 * Every Gunicorn setting that has a meaning here, one row each: flags, kind, default, doc. The command line, GUNICORN_CMD_ARGS, the
 * config file, --help, --print-config and the reference docs come from these rows.
 * Settings that we know but cannot honour carry the reason, so that using one is a named warning or an error and never silence.
 */
import { LOG_AND_HOOK_ROWS } from './gunicorn-log-and-hook-rows.ts';
import { PROCESS_ROWS } from './gunicorn-process-rows.ts';
import { SERVER_ROWS } from './gunicorn-server-rows.ts';
import { TLS_ROWS } from './gunicorn-tls-rows.ts';
import type { SettingsOf } from './setting.ts';

/** The whole table. */
export const GUNICORN_ROWS = [...SERVER_ROWS, ...PROCESS_ROWS, ...TLS_ROWS, ...LOG_AND_HOOK_ROWS] as const;

/** The settings of one Gunicorn, typed by the rows. */
export type GunicornSettings = SettingsOf<typeof GUNICORN_ROWS>;
