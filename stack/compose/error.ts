// The one error that reading a compose file can end in. It stands before any process is started: whoever catches it
// prints the message, which is a single line with file, line and field, and exits with status 1, nothing being left running.

/** A compose file, .env or env_file that cannot be used; the message names file, line (where known) and field. */
export class ComposeError extends Error {
  override name = 'ComposeError';

  constructor(file: string, line: number | undefined, text: string) {
    super(line === undefined ? `${file}: ${text}` : `${file}:${line}: ${text}`);
  }
}
