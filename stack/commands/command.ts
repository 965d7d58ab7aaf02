// What every subcommand of `portico` is: a name, a line for the overview, a help text with examples, and a function that
// takes the arguments after the name and gives the exit status. portico.ts holds the table of them.

/** One subcommand. */
export interface Command {
  name: string;
  /** For the list of subcommands; a dozen words at most. */
  summary: string;
  help: string;
  run(argv: readonly string[]): Promise<number> | number;
}

/** A wrong command line; printed with a hint at --help, exit status 2. */
export class UsageError extends Error {
  override name = 'UsageError';
}
