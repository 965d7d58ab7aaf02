/**
 * The named profiles of the originals' versions. What Gunicorn or Uvicorn changed between two versions, and we can show, hangs on
 * a field here and on nothing else, so that "which version are you?" is asked in one place.
 * `PORTICO_SERVICES_PROFILE` picks the profile; `current` is the default.
 */

/** The behaviours that differ between the versions that we know. */
export interface VersionProfile {
  readonly name: string;
  readonly gunicorn: string;
  readonly uvicorn: string;
  /** What a handler that outlives `timeout` gets: SystemExit caught and answered as 500, or a connection that just closes. */
  readonly timeoutAnswers500: boolean;
  /** The status of a request line over limit_request_line: 414 since Gunicorn 27, 400 before. */
  readonly requestLineTooLong: 400 | 414;
  /** The pydantic under FastAPI, whose words a 422 has. */
  readonly pydantic: 1 | 2;
  /** Whether a sync worker lets the client have the whole response before it closes, or just closes, unread data or not. */
  readonly closesGracefully: boolean;
  /** Whether the arbiter reports a worker's non-zero exit code and death by signal. */
  readonly reportsExitCodes: boolean;
}

const PROFILES: Readonly<Record<string, VersionProfile>> = {
  current: {
    name: 'current',
    gunicorn: '27.0.1',
    uvicorn: '0.54.0',
    timeoutAnswers500: true,
    requestLineTooLong: 414,
    pydantic: 2,
    closesGracefully: true,
    reportsExitCodes: true,
  },
  'debian-12': {
    name: 'debian-12',
    gunicorn: '20.1.0',
    uvicorn: '0.17.6',
    timeoutAnswers500: false,
    requestLineTooLong: 400,
    pydantic: 1,
    closesGracefully: false,
    reportsExitCodes: false,
  },
};

/** The profile that this process imitates; an unknown name throws, and says which names there are. */
export function versionProfile(): VersionProfile {
  const name = process.env['PORTICO_SERVICES_PROFILE'] ?? 'current';
  const profile = PROFILES[name];
  if (!profile) {
    throw new Error(`unknown PORTICO_SERVICES_PROFILE ${name}: known are ${Object.keys(PROFILES).join(', ')}`);
  }
  return profile;
}
