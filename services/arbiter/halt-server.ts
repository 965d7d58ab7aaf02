// How the arbiter's main loop ends from anywhere inside it, as gunicorn/errors.py has it.

/** The master stops: with a reason and a status when workers cannot work, or with 0 because it was told to. */
export class HaltServer extends Error {
  readonly reason: string | null;
  readonly status: number;

  constructor(reason: string | null, status: number) {
    super(reason ?? 'stop');
    this.reason = reason;
    this.status = status;
  }
}
