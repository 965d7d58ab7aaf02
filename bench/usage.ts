// What a command line of bench/ got wrong, told from other errors.

/** Whether an error is node:util's parseArgs complaining, or that of a value (load/units.ts): to be told in a sentence, status 2. */
export function isUsageError(error: unknown): error is Error {
  return error instanceof RangeError || ((error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS') ?? false);
}
